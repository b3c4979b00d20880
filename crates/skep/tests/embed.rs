//! An embedder's own program type and helpers, with nothing of skep edited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use skep::abi::{
    Access, ArgKind, Capability, Context, CtxField, CtxShape, HelperGroup, HelperProto, MemAccess,
    ProgramType, ProgramTypeRow, ReturnRange,
};
use skep::isa::text::assemble;
use skep::spec::RunInput;
use skep::user::{OWN_HELPERS, UserOptions};
use skep::{Backend, Error, Program};

const REQUEST: ProgramType = ProgramType(0x1_0000);
const SUM: u32 = OWN_HELPERS;
const COUNT: u32 = OWN_HELPERS + 1;

/// `struct request { u32 status; u32 latency_us; u32 verdict; }`, of which programs set the last.
const ROW: ProgramTypeRow = ProgramTypeRow::own(
    REQUEST,
    Context {
        name: "request",
        size: 12,
        shape: CtxShape::Fields(&[
            CtxField::number("status", 0, 4, Access::Narrow),
            CtxField::number("latency_us", 4, 4, Access::Narrow),
            CtxField::number("verdict", 8, 4, Access::ExactReadWrite),
        ]),
    },
    ReturnRange::Within(0, 1),
    &[HelperGroup { capability: Capability::None, ids: &[1, 2, SUM, COUNT] }],
);

/// A backend with the type, a helper that sums bytes of the program's memory and one that counts calls.
fn backend(calls: &Arc<AtomicU64>) -> Backend {
    let mut options = UserOptions::default();
    options.environment.add_program_type(ROW);
    let sum = HelperProto::own(SUM, "sum", &[ArgKind::Mem(MemAccess::Read), ArgKind::Size]);
    let added = options.add_helper(sum, |call| {
        let mut bytes = [0; 64];
        let len = (call.arg(2) as usize).min(bytes.len());
        call.read(call.arg(1), &mut bytes[..len])?;
        Ok(bytes[..len].iter().map(|b| u64::from(*b)).sum())
    });
    added.expect("the id is an embedder's");
    let calls = Arc::clone(calls);
    let count = HelperProto::own(COUNT, "count", &[ArgKind::Anything]);
    let added = options.add_helper(count, move |call| Ok(calls.fetch_add(call.arg(1), Ordering::Relaxed)));
    added.expect("the id is an embedder's");
    Backend::user_with(options)
}

fn load(text: &str) -> (Result<Program, Error>, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let insns = assemble(text).expect("it is well formed");
    (backend(&calls).load_insns("test", REQUEST, &insns, &[]), calls)
}

fn run(program: &Program, ctx: [u32; 3]) -> (u32, Vec<u8>) {
    let ctx: Vec<u8> = ctx.into_iter().flat_map(u32::to_ne_bytes).collect();
    let out = program.test_run(RunInput { ctx: &ctx, ..RunInput::default() }).expect("it runs");
    (out.retval, out.ctx)
}

fn refused(text: &str) -> String {
    load(text).0.map(|_| ()).expect_err("it is refused").to_string()
}

#[test]
fn programs_see_the_context_and_call_the_helpers() {
    let (program, calls) = load(
        "r6 = r1
         r2 = *(u32 *)(r6 + 0)
         *(u64 *)(r10 - 8) = r2
         r1 = r10
         r1 += -8
         r2 = 8
         call 65536
         *(u32 *)(r6 + 8) = r0
         r1 = 5
         call 65537
         r2 = *(u32 *)(r6 + 4)
         r0 = 0
         if r2 < 1000 goto +1
         r0 = 1
         exit",
    );
    let program = program.expect("it verifies");
    let (slow, ctx) = run(&program, [0x0102_0304, 5000, 0]);
    assert_eq!((slow, &ctx[8..]), (1, 10u32.to_ne_bytes().as_slice()));
    assert_eq!(run(&program, [200, 10, 0]).0, 0);
    assert_eq!(calls.load(Ordering::Relaxed), 10);
}

#[test]
fn misuse_is_refused() {
    // A field that programs may not set.
    assert!(refused("r2 = 1\n*(u32 *)(r1 + 0) = r2\nr0 = 0\nexit").contains("context"));
    // A return value that the type does not know.
    assert!(refused("r0 = 2\nexit").contains("R0"));
    // A size without memory, memory that is not initialised, a helper of other types, one that nobody has.
    refused("r1 = 1\nr2 = 8\ncall 65536\nr0 = 0\nexit");
    refused("r1 = r10\nr1 += -4096\nr2 = 8\ncall 65536\nr0 = 0\nexit");
    assert!(refused("call 5\nr0 = 0\nexit").contains("bpf_ktime_get_ns"));
    assert!(refused("call 65538\nr0 = 0\nexit").contains("65538"));
}

#[test]
fn a_helper_of_linux_is_not_replaced() {
    let clash = HelperProto::own(5, "mine", &[]);
    let error = UserOptions::default().add_helper(clash, |_| Ok(0)).expect_err("the id is Linux's");
    assert!(error.to_string().contains("mine#5"), "{error}");
}

#[test]
fn a_body_cannot_read_what_the_program_cannot() {
    let calls = Arc::new(AtomicU64::new(0));
    let insns = assemble("r1 = 4096\nr2 = 8\ncall 65536\nr0 = 0\nexit").expect("it is well formed");
    let backend = {
        let mut options = UserOptions::default();
        options.environment.add_program_type(ROW);
        // A contract that promises nothing: the verifier lets any number through, the body meets it.
        let loose = [ArgKind::Anything, ArgKind::Anything];
        let added = options.add_helper(HelperProto::own(SUM, "sum", &loose), |call| {
            let mut bytes = [0; 8];
            call.read(call.arg(1), &mut bytes)?;
            Ok(0)
        });
        added.expect("the id is an embedder's");
        Backend::user_with(options)
    };
    let program = backend.load_insns("test", REQUEST, &insns, &[]).expect("it verifies");
    let ctx = [0; 12];
    let error = program.test_run(RunInput { ctx: &ctx, ..RunInput::default() }).expect_err("no such memory");
    assert!(error.to_string().contains("0x1000"), "{error}");
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}
