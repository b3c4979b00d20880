//! eBPF as an extension language: own helpers, program type and tracepoint, in about twenty lines.

use std::time::Duration;

use skep::abi::{ArgKind, ReturnRange};
use skep::{Error, Limits, Record, Vm};

skep::context! { pub struct Request "request" { status: u32, latency_us: u64 } }

fn main() -> Result<(), Error> {
    let vm = Vm::builder()
        .helper("is_slow", &[ArgKind::Anything], |call| Ok((call.arg(0) > 1_000).into()))
        .helper("note", &[ArgKind::Anything], |call| {
            Ok({
                println!("slow: {}", call.arg(0));
                0
            })
        })
        .program_type("policy", Request::CONTEXT, ReturnRange::Within(0, 1))
        .tracepoint::<Request>("request")
        .build()?;
    let loaded = vm.parse("rules.s", include_bytes!("../rules.s"))?.load(vm.backend())?;
    let request = vm.tracepoint::<Request>("request")?;
    let limits = Limits { fuel: None, time: Some(Duration::from_millis(1)) };
    let _link = request.attach_with(loaded.program("count").expect("in rules.s"), limits)?;
    for (status, latency_us) in [(200, 5_000), (200, 10), (500, 9_000), (200, 2_000)] {
        request.fire(&Request { status, latency_us });
        println!("status 200: {:?}", loaded.map("slow").expect("in rules.s").get::<u32, u64>(&200)?);
    }
    let (mut ctx, admit) =
        ([0; Request::CONTEXT.size as usize], loaded.program("admit").expect("in rules.s"));
    Request { status: 200, latency_us: 5_000 }.write(&mut ctx);
    println!("policy: {}", admit.run(&mut ctx, limits)?);
    let bad = b".section policy\nbad: r0 = *(u64 *)(r1 + 4096)\nexit\n";
    println!("refused: {}", vm.parse("bad.s", bad)?.load(vm.backend()).expect_err("no such field"));
    Ok(())
}
