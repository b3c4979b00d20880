//! A web server lets its users decide, in programs of their own, which requests it logs.
//!
//! The server has a program type of its own, `request`, whose programs see a request and return 0 or 1, and a
//! helper, `recent`, that tells how many of the last requests failed. `cargo run` in this folder.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use skep::Backend;
use skep::abi::{
    Access, ArgKind, Capability, Context, CtxField, CtxShape, HelperGroup, HelperProto, ProgramType,
    ProgramTypeRow, ReturnRange,
};
use skep::isa::text::assemble;
use skep::spec::RunInput;
use skep::user::{OWN_HELPERS, UserOptions};

const REQUEST: ProgramType = ProgramType(0x1_0000);
const RECENT: u32 = OWN_HELPERS;

/// `struct request { u32 status; u32 latency_us; }`
const REQUEST_TYPE: ProgramTypeRow = ProgramTypeRow::own(
    REQUEST,
    Context {
        name: "request",
        size: 8,
        shape: CtxShape::Fields(&[
            CtxField::number("status", 0, 4, Access::Narrow),
            CtxField::number("latency_us", 4, 4, Access::Narrow),
        ]),
    },
    ReturnRange::Within(0, 1),
    &[HelperGroup { capability: Capability::None, ids: &[RECENT] }],
);

/// Failed requests are logged if many fail, slow ones always.
const RULE: &str = "
    r6 = *(u32 *)(r1 + 0)
    r0 = 1
    r2 = *(u32 *)(r1 + 4)
    if r2 > 10000 goto done
    r0 = 0
    if r6 < 500 goto done
    r1 = r6
    call 65536                      // recent(status)
    if r0 > 2 goto many
    r0 = 0
    exit
many:
    r0 = 1
done:
    exit";

/// Writes over the request.
const HOSTILE: &str = "r2 = 0\n*(u32 *)(r1 + 0) = r2\nr0 = 0\nexit";

fn main() -> Result<(), Box<dyn Error>> {
    let failed = Arc::new(AtomicU64::new(0));
    let mut options = UserOptions::default();
    options.environment.add_program_type(REQUEST_TYPE);
    let count = Arc::clone(&failed);
    let recent = HelperProto::own(RECENT, "recent", &[ArgKind::Anything]);
    options.add_helper(recent, move |_call| Ok(count.load(Ordering::Relaxed)))?;
    let backend = Backend::user_with(options);

    let rule = backend.load_insns("rule", REQUEST, &assemble(RULE)?, &[])?;
    for (status, latency_us) in [(200u32, 300u32), (200, 20_000), (503, 300), (503, 300), (503, 300)] {
        failed.fetch_add(u64::from(status >= 500), Ordering::Relaxed);
        let request = [status.to_ne_bytes(), latency_us.to_ne_bytes()].concat();
        let logged = rule.test_run(RunInput { ctx: &request, ..RunInput::default() })?.retval == 1;
        println!("{status} in {latency_us} us: {}", if logged { "logged" } else { "not logged" });
    }

    match backend.load_insns("hostile", REQUEST, &assemble(HOSTILE)?, &[]) {
        Ok(_) => Err("the hostile rule was accepted".into()),
        Err(refusal) => {
            println!("refused: {refusal}");
            Ok(())
        }
    }
}
