//! Programs that replace a function of another. No kernel that this was written on loads them: what is expected is what
//! Linux 6.18's source and its own tests say (`changes_pkt_data`, `exceptions_ext`, `fexit_bpf2bpf`).

use std::sync::Arc;

use skep_abi::{AttachType, ProgramType};
use skep_isa::text::assemble;
use skep_spec::{Environment, ProgramSpec};
use skep_testkit::functions;
use skep_verifier::{Options, verify};

fn program(kind: ProgramType, attach_type: AttachType, types: &str, text: &str) -> ProgramSpec {
    let insns = assemble(text).expect("well formed");
    let mut spec = ProgramSpec { name: "part".into(), attach_type, ..ProgramSpec::new(kind, insns) };
    functions::declare(&mut spec, types).unwrap_or_else(|why| panic!("{types}: {why}"));
    spec
}

/// An extension of the function of a name.
fn extension(kind: ProgramType, function: &str, types: &str, text: &str) -> ProgramSpec {
    ProgramSpec {
        prog_type: ProgramType::EXT,
        attach_target: Some(function.into()),
        ..program(kind, AttachType::UNSPEC, types, text)
    }
}

fn verdict(extended: &ProgramSpec, spec: &ProgramSpec) -> Result<(), String> {
    let mut env = Environment::default();
    env.extended = Some(Arc::new(extended.clone()));
    verify(spec, &env, &Options::default()).map(drop).map_err(|r| r.message().to_owned())
}

/// Functions at slots 4, 6, 11 and 13: one that leaves the packet as it is, one that changes it, one of two arguments, and
/// a static one.
const WHOLE: &str = "r6 = r1\ncall leaves\nr1 = r6\ncall changes\nr2 = 1\nr1 = r6\ncall two\nr1 = r6\ncall static\nr0 = 0\nexit\n\
     leaves:\nr0 = 0\nexit\n\
     changes:\nr2 = 0\ncall 39\nr0 = 0\nexit\n\
     two:\nr0 = r2\nexit\n\
     static:\nr0 = 0\nexit";
const TYPES: &str = "global int (ctx *); global int (ctx *); global int (ctx *, int); static int (ctx *)";

fn whole() -> ProgramSpec {
    program(ProgramType::SCHED_CLS, AttachType::UNSPEC, TYPES, WHOLE)
}

const LEAVES: &str = "at_11";
const CHANGES: &str = "at_13";
const TWO: &str = "at_17";
const STATIC: &str = "at_19";

/// Function, types and text of the extension, and the begin of the refusal.
const CASES: &[(&str, &str, &str, Option<&str>)] = &[
    (LEAVES, "", "r0 = 5\nexit", None),
    (LEAVES, "", "r0 = *(u32 *)(r1 + 0)\nexit", None),
    (LEAVES, "", "r0 = *(u64 *)(r1 + 0)\nexit", Some("invalid bpf_context access")),
    (LEAVES, "", "r0 = r2\nexit", Some("R2 !read_ok")),
    (LEAVES, "", "exit", Some("R0 !read_ok")),
    (
        LEAVES,
        "",
        "r2 = 0\ncall 39\nr0 = 0\nexit",
        Some("Extension program changes packet data, while original does not"),
    ),
    (CHANGES, "", "r2 = 0\ncall 39\nr0 = 0\nexit", None),
    (CHANGES, "", "r0 = 0\nexit", None),
    (TWO, "main global int (ctx *, int)", "r0 = r2\nexit", None),
    (
        TWO,
        "main global int (ctx *, long)",
        "r0 = r2\nexit",
        Some("arg1 in main() has size 8 while at_17() has 4"),
    ),
    (TWO, "", "r0 = 0\nexit", Some("main() has 1 args while at_17() has 2 args")),
    (TWO, "main global int (ctx *, int *)", "r0 = 0\nexit", Some("arg1 in main() is")),
    (LEAVES, "main global void (ctx *)", "r0 = 0\nexit", Some("Return type")),
    (
        LEAVES,
        "main global int (pair *)",
        "r0 = 0\nexit",
        Some("arg0 main(struct pair *) doesn't match at_11(struct __sk_buff *)"),
    ),
    (LEAVES, "main static int (ctx *)", "r0 = 0\nexit", Some("main() is not a global function")),
    (STATIC, "", "r0 = 0\nexit", Some("Cannot replace static functions")),
    ("nothing", "", "r0 = 0\nexit", Some("Subprog nothing doesn't exist")),
    ("main", "", "r2 = 0\ncall 39\nr0 = 0\nexit", None),
    (LEAVES, "", "call 188\nr0 = 0\nexit", Some("program of this type cannot use helper")),
    (LEAVES, "global int (ctx *)", "call inner\nexit\ninner:\nr0 = *(u32 *)(r1 + 0)\nexit", None),
];

#[test]
fn extensions_of_functions() {
    let whole = whole();
    verify(&whole, &Environment::default(), &Options::default()).expect("the program itself is legal");
    for (function, types, text, why) in CASES {
        let spec = extension(ProgramType::SCHED_CLS, function, types, text);
        let ours = verdict(&whole, &spec);
        let agrees = match (why, &ours) {
            (None, ours) => ours.is_ok(),
            (Some(why), Err(words)) => words.starts_with(why),
            (Some(_), Ok(())) => false,
        };
        assert!(agrees, "{function} {types}: {text}: {ours:?}");
    }
}

#[test]
fn what_is_extended_says_what_is_legal() {
    let text = "call inner\nr0 = 0\nexit\ninner:\nr0 = 0\nexit";
    let types = "global int (ctx *)";
    let xdp = program(ProgramType::XDP, AttachType::UNSPEC, types, text);
    let of = |text| extension(ProgramType::XDP, "at_3", "", text);
    assert_eq!(verdict(&xdp, &of("r0 = 9\nexit")), Ok(()));
    // bpf_xdp_get_buff_len; bpf_skb_pull_data is for others.
    assert_eq!(verdict(&xdp, &of("call 188\nr0 = 0\nexit")), Ok(()));
    assert!(verdict(&xdp, &of("r2 = 0\ncall 39\nr0 = 0\nexit")).is_err());
    let egress = AttachType::CGROUP_INET_EGRESS;
    let skb = program(ProgramType::CGROUP_SKB, egress, types, text);
    let of = |text| extension(ProgramType::CGROUP_SKB, "at_3", "", text);
    assert_eq!(verdict(&skb, &of("r0 = 3\nexit")), Ok(()));
    assert!(verdict(&skb, &of("r0 = 4\nexit")).is_err());
}

#[test]
fn what_cannot_be_extended() {
    let whole = whole();
    let good = extension(ProgramType::SCHED_CLS, LEAVES, "", "r0 = 0\nexit");
    let env = Environment::default();
    let alone = verify(&good, &env, &Options::default()).expect_err("nothing is extended");
    assert!(alone.is_unsupported(), "{}", alone.message());
    assert!(verdict(&good, &good).expect_err("an extension").contains("Cannot recursively attach"));
    let nameless = ProgramSpec { attach_target: None, ..good.clone() };
    assert!(verdict(&whole, &nameless).expect_err("no function").contains("must provide btf_id"));
    let sleeps = ProgramSpec { flags: ProgramSpec::SLEEPABLE, ..good.clone() };
    assert!(verdict(&whole, &sleeps).is_err());
    let placed = ProgramSpec { attach_type: AttachType::CGROUP_INET_EGRESS, ..good.clone() };
    assert!(verdict(&whole, &placed).is_err());
    let typeless = ProgramSpec { btf: None, func_info: Vec::new(), ..good.clone() };
    assert!(verdict(&whole, &typeless).expect_err("no types").contains("requires BTF"));
    let bare = ProgramSpec { btf: None, func_info: Vec::new(), ..whole.clone() };
    assert!(verdict(&bare, &good).is_err());
    let thrown = "thrown 2 int (long)";
    let throws = program(ProgramType::SCHED_CLS, AttachType::UNSPEC, thrown, "r0 = 0\nexit\nr0 = r1\nexit");
    let of = extension(ProgramType::SCHED_CLS, "at_2", "main global int (long)", "r0 = 0\nexit");
    assert!(verdict(&throws, &of).expect_err("called by the kernel alone").contains("exception callback"));
    let syscall = program(ProgramType::SYSCALL, AttachType::UNSPEC, "", "r0 = 0\nexit");
    let of = extension(ProgramType::SYSCALL, "main", "", "r0 = 0\nexit");
    assert!(verdict(&syscall, &of).expect_err("may sleep").contains("not supported yet"));
}
