//! Assembly text written as an ELF object: what is read back is what assembling alone gives.

use std::path::{Path, PathBuf};
use std::process::Command;

use skep::isa::{Endian, Insn};
use skep::spec::{Environment, LoadOptions, ProgramSpec, SourceLine};
use skep::verifier::{Options, verify};
use skep::{Backend, Object};

/// Every assembly text of the file tests and of the examples.
fn texts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("tests/cases"), root.join("examples")];
    let mut out = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "s") {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}

/// The text as it is, and written and read back; `None` for a text that is no object.
fn both(path: &Path, endian: Endian) -> Option<(Object, Object)> {
    let text = Object::open(path).ok()?;
    let bytes = match text.to_elf(endian) {
        Ok(bytes) => bytes,
        Err(e) => {
            let e = e.to_string();
            let expected = [
                "an address in the value of map",
                "which the text does not have",
                "a call of the kernel's function",
                "leads out of the function",
            ];
            assert!(expected.iter().any(|w| e.contains(w)), "{e}");
            return None;
        }
    };
    let name = path.with_extension("o").display().to_string();
    let object = Object::inspect(&name, &bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(object.problems().is_empty(), "{:?}", object.problems());
    Some((text, object))
}

/// Calls of functions, and addresses of them.
fn refers(insn: Insn) -> bool {
    insn.opcode == 0x85 && insn.src.0 == 1 || insn.opcode == 0x18 && insn.src.0 == 4
}

/// Instructions in the order of the text, with their lines; what refers to a function has the line where it begins. An
/// object has functions in the order in which they are called.
fn by_line(spec: &ProgramSpec) -> Vec<(SourceLine, Insn, Option<SourceLine>)> {
    let line = |pc: usize| spec.source_line(pc).unwrap_or_else(|| panic!("no line of {pc}"));
    let mut out: Vec<_> = spec
        .insns
        .iter()
        .enumerate()
        .map(|(pc, &insn)| match refers(insn) {
            true => {
                let to = line((pc as i64 + 1 + i64::from(insn.imm)) as usize);
                (line(pc), Insn { imm: 0, ..insn }, Some(to))
            }
            false => (line(pc), insn, None),
        })
        .collect();
    out.sort_by_key(|(line, ..)| line.line);
    out
}

fn assert_same(path: &Path, text: &ProgramSpec, read: &ProgramSpec) {
    let at = format!("{}: {}", path.display(), text.name);
    let (ours, theirs) = (by_line(read), by_line(text));
    assert_eq!(ours, theirs, "{at}");
    // Functions of a section of their own are in libbpf's order in both.
    if !text.insns.iter().enumerate().any(|(pc, i)| refers(*i) && text.source_line(pc).is_some()) {
        assert_eq!(read.insns, text.insns, "{at}");
    }
    let section = if text.section.is_empty() { "socket" } else { &text.section };
    assert_eq!(read.section, section, "{at}");
    assert_eq!((read.prog_type, read.attach_type), (text.prog_type, text.attach_type), "{at}");
    assert_eq!((&read.license, &read.attach_target), (&text.license, &text.attach_target), "{at}");
    assert_eq!(read.maps.len(), text.maps.len(), "{at}");
    for (r, t) in read.maps.iter().zip(&text.maps) {
        assert_eq!(
            (&r.name, r.kind, r.key_size, r.value_size, r.max_entries, r.flags),
            (&t.name, t.kind, t.key_size, t.value_size, t.max_entries, t.flags),
            "{at}"
        );
    }
}

#[test]
fn what_is_written_is_read_back() {
    let mut programs = 0;
    let endians = [Endian::Little, Endian::Big];
    for path in texts() {
        for endian in endians {
            let Some((text, object)) = both(&path, endian) else { continue };
            let usable = |o: &Object| o.programs().iter().filter(|p| p.spec.is_ok()).count();
            assert_eq!(usable(&object), usable(&text), "{}", path.display());
            for entry in text.programs() {
                let Ok(spec) = &entry.spec else { continue };
                let read = object.program(&entry.name).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert_same(&path, spec, read);
                programs += 1;
            }
        }
    }
    println!("{programs} programs");
    assert!(programs > 350, "{programs}");
}

/// The verdict does not change; types only add to what may be loaded (callbacks want them).
#[test]
fn verdicts_stay() {
    if Endian::NATIVE == Endian::Big {
        println!("skipped: the file tests are for little-endian machines");
        return;
    }
    let kernel = Backend::linux();
    if let Err(e) = &kernel {
        println!("skipped: {e}");
    }
    let env = Environment::default();
    let (mut ours, mut theirs) = (0, 0);
    for path in texts() {
        let Some((text, object)) = both(&path, Endian::NATIVE) else { continue };
        for spec in text.programs().iter().filter_map(|p| p.spec.as_ref().ok()) {
            let read = object.program(&spec.name).expect("it was there");
            let at = format!("{}: {}", path.display(), spec.name);
            let verdict =
                |s: &ProgramSpec| verify(s, &env, &Options::default()).map(drop).map_err(|e| e.to_string());
            let (direct, written) = (verdict(spec), verdict(read));
            if direct.is_ok() || !direct.as_ref().is_err_and(|e| e.to_lowercase().contains("btf")) {
                assert_eq!(written.is_ok(), direct.is_ok(), "{at}: {direct:?} {written:?}");
                ours += 1;
            }
            let Ok(kernel) = &kernel else { continue };
            let load = |s: &ProgramSpec| {
                let maps =
                    s.maps.iter().map(|m| kernel.create_map((**m).clone()).map(|m| m.backend_map().clone()));
                let maps = maps.collect::<Result<Vec<_>, _>>()?;
                kernel.load_with(&s.clone().into(), &maps, LoadOptions::default()).map(drop)
            };
            if load(spec).is_ok() {
                load(read).unwrap_or_else(|e| panic!("{at}: {e}\n{}", e.log()));
                theirs += 1;
            }
        }
    }
    println!("{ours} verdicts of ours, {theirs} of the kernel's");
    assert!(ours > 150, "{ours}");
}

const CALLS: &str = "// A program, its function, a callback.
.license \"Dual MIT/GPL\"
.map counts type=array key=4 value=8 max_entries=2 flags=BPF_F_MMAPABLE
.section xdp
main:
    r1 = map[counts] ll
    r2 = subprog[each] ll
    r3 = 0
    r4 = 0
    call bpf_for_each_map_elem
    call helper
    r0 = 2
    exit
helper:
    call deeper
    exit
each:
    r0 = 0
    exit
.text
deeper:
    r0 = 7
    exit
.section socket
other: call deeper
    exit
";

#[test]
fn functions_and_callbacks_load_in_the_kernel_with_their_lines() {
    if Endian::NATIVE == Endian::Big {
        println!("skipped: written for little-endian machines");
        return;
    }
    let text = Object::parse("dir/calls.s", CALLS.as_bytes()).expect("it assembles");
    let bytes = text.to_elf(Endian::NATIVE).expect("it can be written");
    let object = Object::parse("calls.o", &bytes).expect("it can be read");
    for name in ["main", "other"] {
        assert_same(Path::new("calls"), text.program(name).unwrap(), object.program(name).unwrap());
    }
    let main = object.program("main").unwrap();
    assert_eq!(main.func_info.len(), 4);
    object.load(&Backend::user()).unwrap_or_else(|e| panic!("{e}"));
    match Backend::linux() {
        Err(e) => println!("skipped: {e}"),
        Ok(kernel) => {
            object.load(&kernel).unwrap_or_else(|e| panic!("{e}\n{}", e.log()));
            // The log names the lines of the text.
            let bad = CALLS.replace("r0 = 7\n", "r0 = *(u64 *)(r9 + 0)\n");
            let bad = Object::parse("dir/calls.s", bad.as_bytes()).unwrap().to_elf(Endian::NATIVE).unwrap();
            let spec = Object::parse("calls.o", &bad).unwrap().program("other").unwrap().clone();
            let e =
                kernel.load_with(&spec, &[], LoadOptions { log_level: 1 }).expect_err("r9 is not readable");
            assert!(e.log().contains("; r0 = *(u64 *)(r9 + 0) @ calls.s:22"), "{}", e.log());
            assert!(!e.log().contains("reference type"), "{}", e.log());
        }
    }
}

#[test]
fn llvm_objdump_reads_it() {
    let probe = Command::new("llvm-objdump-19").arg("--version").output();
    if !probe.is_ok_and(|o| o.status.success()) {
        println!("skipped: no llvm-objdump-19");
        return;
    }
    let path = std::env::temp_dir().join(format!("skep-written-{}.o", std::process::id()));
    for (endian, arch) in [(Endian::Little, "elf64-bpf"), (Endian::Big, "elf64-bpf")] {
        let text = Object::parse("calls.s", CALLS.as_bytes()).unwrap();
        std::fs::write(&path, text.to_elf(endian).unwrap()).expect("a file for the test");
        let output =
            Command::new("llvm-objdump-19").args(["-d", "-r"]).arg(&path).output().expect("it was there");
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && out.contains(arch), "{out}");
        for line in [
            "<main>:",
            "<deeper>:",
            "call 0xa4",
            "R_BPF_64_64\tcounts",
            "R_BPF_64_32\thelper",
            "R_BPF_64_64\t.text",
        ] {
            assert!(out.contains(line), "{line} in {out}");
        }
        assert!(!out.contains("unknown"), "{out}");
    }
    let _ = std::fs::remove_file(path);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let refused = |text: &str| {
        Object::parse("a.s", text.as_bytes()).unwrap().to_elf(Endian::NATIVE).expect_err(text).to_string()
    };
    let map =
        ".map m type=array key=4 value=8 max_entries=1\n.section socket\nmain: r1 = map[m][0]+4 ll\nexit\n";
    let e = refused(map);
    assert!(
        e.contains("function \"main\", instruction 0: line 3: an address in the value of map \"m\""),
        "{e}"
    );
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/protocols/protocols.bpf.o");
    let object = Object::inspect("p.o", &std::fs::read(object).unwrap()).unwrap();
    assert!(object.to_elf(Endian::NATIVE).unwrap_err().to_string().contains("is an object already"));
}
