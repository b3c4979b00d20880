//! Records of functions (`struct bpf_func_info`): what the running kernel wants of them, skep wants too.

use std::sync::Arc;

use skep_abi::ProgramType;
use skep_btf::{Builder, FuncLinkage, IntEncoding, TypeId};
use skep_isa::text::assemble;
use skep_spec::{Environment, FuncInfo, ProgramSpec};
use skep_testkit::oracle::kernel::Kernel;
use skep_testkit::oracle::{Oracle, Privilege, Verdict};
use skep_verifier::{Options, verify};

/// A program with one function behind the main one, at slot 3, and records `(slot, type)`: types 0 and 1 are those of
/// functions, 2 is an `int`.
fn program(text: &str, records: &[(u32, usize)]) -> ProgramSpec {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let proto = b.func_proto(int, &[]);
    let (main, other) =
        (b.func("main", proto, FuncLinkage::Global), b.func("other", proto, FuncLinkage::Static));
    let types: [TypeId; 3] = [main, other, int];
    let mut spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, assemble(text).expect("it is text"));
    spec.btf = Some(Arc::new(b.finish().expect("legal types")));
    spec.func_info =
        records.iter().map(|&(insn_off, ty)| FuncInfo { insn_off, type_id: types[ty].0 }).collect();
    spec
}

const CALLS: &str = "call +2; r0 = 0; exit; r0 = 1; exit";
const ALONE: &str = "r0 = 0; exit";

/// A program, the records of its functions, and what is wrong with them.
type Case = (&'static str, &'static [(u32, usize)], Option<&'static str>);

#[test]
fn each_function_has_its_record_or_none_has() {
    let cases: &[Case] = &[
        (CALLS, &[(0, 0), (3, 1)], None),
        (CALLS, &[], None),
        (ALONE, &[(0, 0)], None),
        (CALLS, &[(0, 0)], Some("number of funcs in func_info doesn't match number of subprogs")),
        (ALONE, &[(0, 0), (1, 1)], Some("number of funcs in func_info doesn't match number of subprogs")),
        (CALLS, &[(0, 0), (2, 1)], Some("func_info BTF section doesn't match subprog layout")),
        (CALLS, &[(1, 0), (3, 1)], Some("nonzero insn_off 1 for the first func info record")),
        (
            CALLS,
            &[(0, 0), (0, 1)],
            Some("same or smaller insn offset (0) than previous func info record (0)"),
        ),
        (CALLS, &[(0, 0), (3, 2)], Some("in func info")),
    ];
    let kernel = Kernel.available().map_err(|why| println!("skipped: the kernel's verdicts: {why}")).is_ok();
    for (text, records, wrong) in cases {
        let spec = program(text, records);
        let ours = verify(&spec, &Environment::default(), &Options::default());
        match (ours, wrong) {
            (Ok(_), None) => {}
            (Err(r), Some(words)) => assert!(r.message().contains(words), "{records:?}: {}", r.message()),
            (ours, _) => panic!("{text}, {records:?}: {:?}", ours.map(drop)),
        }
        if kernel {
            match (Kernel.verdict(&spec, Privilege::Privileged), wrong) {
                (Verdict::Accepted, None) => {}
                (Verdict::Rejected { log }, Some(words)) => {
                    assert!(log.contains(words), "{records:?}: {log}")
                }
                (theirs, _) => panic!("{text}, {records:?}: Linux: {}", theirs.last_words()),
            }
        }
    }
}
