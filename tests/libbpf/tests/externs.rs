//! Configuration, symbols, variables and functions of the kernel, as libbpf resolves them.

mod common;

use common::{CPUS, compile, normal, sources};
use skep_object::Unlinked;

/// What both are given before the kernel's own configuration.
const GIVEN: &str = "# a comment\nCONFIG_TEXT=\"hello\"\nCONFIG_SMALL=200\nCONFIG_WIDE=0xfedcba9876543210\nCONFIG_YES=y\n\
                     CONFIG_NO=n\nCONFIG_MODULE=m\nCONFIG_LETTER=m\nCONFIG_NEGATIVE=-7\nCONFIG_HEX=0xbeef\n\
                     CONFIG_CUT=\"much too long\"\nCONFIG_OCTAL=0755\nCONFIG_YES=n\n";

#[test]
fn externs_are_resolved_as_libbpf_does_it() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let kernel = match common::Kernel::running(GIVEN) {
        Ok(kernel) => kernel,
        Err(why) => return println!("skipped: {why}"),
    };
    let inputs = kernel.inputs();
    let (mut equal, mut refused) = (Vec::new(), Vec::new());
    for source in sources("externs") {
        for cpu in CPUS {
            let (name, path) = compile(&source, cpu);
            let bytes = std::fs::read(&path).expect("just written");
            let ours = Unlinked::parse(&name, &bytes).and_then(|u| u.link(&inputs)).expect("clang's object");
            let errors: Vec<_> = ours.programs.iter().filter_map(|p| p.spec.as_ref().err()).collect();
            match libbpf_oracle::prepare(&path, None, Some(GIVEN)) {
                Err(messages) => {
                    assert!(!errors.is_empty(), "{name} ({cpu}): we take it, libbpf does not: {messages:#?}");
                    assert!(errors.iter().all(|e| e.to_string().contains("extern \"")), "{errors:?}");
                    refused.push(name);
                }
                Ok(theirs) => {
                    assert!(errors.is_empty(), "{name} ({cpu}): libbpf takes it, we do not: {errors:#?}");
                    for p in &theirs.programs {
                        let spec =
                            ours.program(&p.name).expect("it is there").spec.as_ref().expect("looked at");
                        assert_eq!(normal(&spec.insns), normal(&p.insns), "{name} ({cpu}): {}", p.name);
                    }
                    let config = ours.maps.iter().find(|m| m.name.ends_with(".kconfig"));
                    let config = config.map(|m| m.def.as_ref().expect("it has values"));
                    let our = config.map(|d| {
                        (d.name.clone(), d.value_size, d.flags.0, d.initial.clone().unwrap_or_default())
                    });
                    assert_eq!(our, theirs.kconfig, "{name} ({cpu})");
                    equal.push(name);
                }
            }
        }
    }
    println!("{} objects equal, {} refused by both", equal.len(), refused.len());
    assert!(equal.len() >= 8 && refused.len() >= 36, "equal: {equal:?}, refused: {refused:?}");
}
