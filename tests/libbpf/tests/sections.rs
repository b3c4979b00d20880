//! Every section name of libbpf's table, as libbpf reads it: the file that `skep-object` compares itself with.

use libbpf_oracle::sections::{names, of_program};

#[path = "../../../crates/object/tests/common/program_elf.rs"]
mod program_elf;

/// A target that is in no other string.
const TARGET: &str = "zebra_crossing";

#[test]
fn the_committed_word_is_libbpf_s() {
    let names = names();
    assert!(names.len() > 100, "libbpf tells its table: {names:?}");
    let mut out = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for name in &names {
        let base = name.trim_end_matches('+');
        let with_target = format!("{base}/{TARGET}");
        let deeper = format!("{base}/zoo/{TARGET}");
        let sleepable = format!("{base}.s");
        let forms = [
            base,
            &with_target,
            &deeper,
            &format!("{base}/"),
            &format!("?{base}"),
            &format!("?{with_target}"),
            &sleepable,
            &format!("{base}x"),
            name,
        ]
        .map(str::to_owned);
        for form in forms {
            if !seen.insert(form.clone()) {
                continue;
            }
            let target = form.split_once('/').map_or("", |(_, t)| t);
            let target = if target.ends_with(TARGET) { target } else { "" };
            let Some(s) = of_program(&program_elf::program_in(&form), target) else {
                out += &format!("{form}: unknown\n");
                continue;
            };
            assert_eq!(s.autoload, !form.starts_with('?'), "{form}");
            // A name without its target is not loaded: its flags are those that it has with one.
            let flags = s.flags.or_else(|| {
                let kind = form.trim_start_matches('?').split('/').next()?;
                let whole = of_program(&program_elf::program_in(&format!("{kind}/{TARGET}")), TARGET)?;
                whole.flags
            });
            let flags = flags.map_or("unasked".into(), |f| format!("{f:#x}"));
            out += &format!("{form}: type {} attach {} flags {flags}", s.prog_type, s.attach_type);
            if let Some(target) = s.target {
                out += &format!(" target {target}");
            }
            out.push('\n');
        }
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../crates/object/tests/libbpf/sections-1.7.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &out).expect("writable");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("committed"), out);
}
