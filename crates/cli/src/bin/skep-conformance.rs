//! Plug-in of the public BPF conformance suite: runs one program on one piece of memory.
//!
//! ```text
//! skep-conformance [MEMORY] [--program HEX] [--elf] [--engine interpreter|jit] [--debug] < PROGRAM
//! ```
//!
//! `PROGRAM` and `MEMORY` are bytes in hex, with or without blanks between them; `MEMORY` is left out when it is
//! empty. The program starts with `r1` at the memory and `r2` its length; its `r0` is printed in hex. With
//! `--elf` the bytes are an object file, of which the first usable program runs. The interpreter verifies nothing: whatever
//! a program does that it may not ends in a message and exit status 1. Native code is made of verified programs
//! only: there the memory is a map's value, and what the verifier refuses does not run.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::{AluOp, Endian, Imm64, Insn, Op, Operand, Reg, Width};
use skep_maps::{Config, Heap, Map};
use skep_object::Object;
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_verifier::{Options, verify};
use skep_vm::{Host, Program, Run, Stack};

const USAGE: &str =
    "usage: skep-conformance [MEMORY] [--program HEX] [--elf] [--engine interpreter|jit] [--debug] < PROGRAM";

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    memory: Vec<u8>,
    program: Option<String>,
    elf: bool,
    jit: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|a| a == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let result = parse(&args).and_then(|arguments| {
        let mut text = String::new();
        if let Some(given) = &arguments.program {
            text.clone_from(given);
        } else {
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| format!("cannot read the program: {e}"))?;
        }
        run(&decode_hex(&text)?, arguments)
    });
    match result {
        Ok(r0) => match writeln!(std::io::stdout(), "{r0:x}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(message) => {
            eprintln!("skep-conformance: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(args: &[String]) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut args = args.iter();
    let mut memory_seen = false;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--elf" => parsed.elf = true,
            "--debug" => {}
            "--program" => parsed.program = Some(args.next().ok_or("--program needs bytes in hex")?.clone()),
            "--engine" => match args.next().map(String::as_str) {
                Some("interpreter") => parsed.jit = false,
                Some("jit") => parsed.jit = true,
                other => {
                    return Err(format!(
                        "engine {}: there are `interpreter` and `jit`",
                        other.unwrap_or("missing")
                    ));
                }
            },
            option if option.starts_with("--") => return Err(format!("unknown option {option}\n{USAGE}")),
            _ if memory_seen => return Err(format!("more than one memory argument\n{USAGE}")),
            memory => {
                memory_seen = true;
                parsed.memory = decode_hex(memory)?;
            }
        }
    }
    Ok(parsed)
}

/// Bytes of hex digits in pairs, blanks ignored.
fn decode_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.bytes().filter(|b| !b.is_ascii_whitespace()).map(|b| {
        let digit = char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        digit.ok_or_else(|| format!("`{}` is not a hex digit", char::from(b)))
    });
    let digits = digits.collect::<Result<Vec<u8>, _>>()?;
    if digits.len() % 2 != 0 {
        return Err(format!("{} hex digits are no whole bytes", digits.len()));
    }
    Ok(digits.chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect())
}

fn run(bytes: &[u8], arguments: Arguments) -> Result<u64, String> {
    let spec = if arguments.elf { from_elf(bytes)? } else { from_slots(bytes)? };
    if arguments.jit {
        return run_native(&spec, &arguments.memory);
    }
    let create = |def: &Arc<MapDef>| Map::create(def, &Config::new(1), &Heap).map_err(|e| e.to_string());
    let maps = spec.maps.iter().map(create).collect::<Result<Vec<_>, _>>()?;
    // Without a known type, the context is plain memory.
    let spec = ProgramSpec { prog_type: ProgramType::UNSPEC, ..spec };
    let program = Program::unverified(&spec, &Environment::default(), maps).map_err(|e| e.to_string())?;
    let mut stack = Stack::new();
    let mut memory = arguments.memory;
    let len = memory.len() as u64;
    let mut run = Run::new(&mut stack, &Outside);
    if len > 0 {
        run = run.with_ctx(&mut memory);
    }
    program.run(&mut run.with_arg(2, len)).map(|outcome| outcome.r0).map_err(|trap| trap.to_string())
}

/// Verifies and compiles the program, with the memory in a map's value, and runs it.
fn run_native(spec: &ProgramSpec, memory: &[u8]) -> Result<u64, String> {
    let mut spec = ProgramSpec { prog_type: ProgramType::SOCKET_FILTER, ..spec.clone() };
    let len = i32::try_from(memory.len()).map_err(|e| format!("the memory: {e}"))?;
    let mut begin: Vec<Insn> = Vec::new();
    let mut put = |op: Op| {
        let (first, second) = op.encode();
        begin.push(first);
        begin.extend(second);
    };
    let number = |dst, n| Op::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Imm(n) };
    match len {
        0 => put(number(Reg::R1, 0)),
        _ => {
            let idx = i32::try_from(spec.maps.len()).map_err(|e| e.to_string())?;
            put(Op::LoadImm64 { dst: Reg::R1, value: Imm64::MapValueIdx { idx, off_bytes: 0 } });
            spec.maps.push(Arc::new(MapDef::new(MapType::ARRAY, 4, memory.len() as u32, 1).named("memory")));
        }
    }
    put(number(Reg::R2, len));
    // Distances within the program stay as they are.
    spec.insns.splice(0..0, begin);

    let env = Environment::default();
    let verified = verify(&spec, &env, &Options::default()).map_err(|e| format!("it is refused: {e}"))?;
    let create = |def: &Arc<MapDef>| Map::create(def, &Config::new(1), &Heap).map_err(|e| e.to_string());
    let maps = spec.maps.iter().map(create).collect::<Result<Vec<_>, _>>()?;
    if let (Some(map), false) = (maps.last(), memory.is_empty()) {
        map.update_from_host(&[0; 4], memory, 0).map_err(|e| e.to_string())?;
    }
    let program = Program::new(&verified, &env, maps).map_err(|e| e.to_string())?;
    let (native, _) =
        skep_jit::compile(&program, &skep_jit::Options::default()).map_err(|e| e.to_string())?;
    program.set_native(native).map_err(|_| "it has native code already".to_owned())?;
    let (mut stack, mut ctx) = (Stack::new(), [0; 256]);
    let mut run = Run::new(&mut stack, &Outside).with_ctx(&mut ctx);
    program.run(&mut run).map(|outcome| outcome.r0).map_err(|trap| trap.to_string())
}

fn from_slots(bytes: &[u8]) -> Result<ProgramSpec, String> {
    let (slots, rest) = bytes.as_chunks::<{ Insn::SIZE }>();
    if slots.is_empty() || !rest.is_empty() {
        return Err(format!("{} bytes are no whole instructions of 8", bytes.len()));
    }
    let insns = slots.iter().map(|slot| Insn::from_bytes(*slot, Endian::NATIVE)).collect();
    Ok(ProgramSpec { name: "stdin".into(), insns, ..ProgramSpec::default() })
}

fn from_elf(bytes: &[u8]) -> Result<ProgramSpec, String> {
    let object = Object::parse("stdin", bytes).map_err(|e| e.to_string())?;
    let mut why = "the object has no program".to_owned();
    for program in object.programs {
        match program.spec {
            Ok(spec) => return Ok(spec),
            Err(e) => why = e.to_string(),
        }
    }
    Err(why)
}

/// The same at every run, so that results can be compared.
struct Outside;

impl Host for Outside {
    fn ktime_ns(&self) -> u64 {
        1_000_000_000
    }

    fn boot_ns(&self) -> u64 {
        1_000_000_000
    }

    fn prandom_u32(&self) -> u32 {
        4
    }

    fn processor_id(&self, vcpu: u32) -> u32 {
        vcpu
    }

    fn printk(&self, line: &[u8]) {
        // Standard output belongs to the result.
        let _ = std::io::stderr().write_all(&[line, b"\n"].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(program: &str, args: &[&str]) -> Result<u64, String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        run(&decode_hex(program)?, parse(&args)?)
    }

    #[test]
    fn the_protocol_of_the_suite() {
        // r0 = *(u8 *)(r1 + 1); exit
        let load = "71 10 01 00 00 00 00 00 95 00 00 00 00 00 00 00";
        assert_eq!(result(load, &["aa bb"]), Ok(0xbb));
        assert_eq!(result(load, &["aabb", "--engine", "interpreter", "--debug"]), Ok(0xbb));
        assert_eq!(result(load, &["aabb", "--engine", "jit"]), Ok(0xbb));
        assert!(result(load, &["aa", "--engine", "jit"]).is_err_and(|e| e.contains("invalid access")));
        assert!(result(load, &["aa"]).is_err_and(|e| e.contains("at instruction 0")));
        assert!(result(load, &[]).is_err());
        // r0 = r2; exit
        assert_eq!(result("bf 20 00 00 00 00 00 00 95 00 00 00 00 00 00 00", &["00 00 00"]), Ok(3));
        // r0 = -1 ll
        assert_eq!(result("b7 00 00 00 ff ff ff ff 95 00 00 00 00 00 00 00", &[]), Ok(u64::MAX));
    }

    #[test]
    fn wrong_usage_is_told() {
        for (program, args) in [
            ("95", &[][..]),
            ("", &[]),
            ("9", &[]),
            ("zz", &[]),
            ("9500000000000000", &["--engine", "other"]),
            ("9500000000000000", &["--engine"]),
            ("9500000000000000", &["--what"]),
            ("9500000000000000", &["00", "11"]),
            ("9500000000000000", &["0x"]),
            ("7f454c46", &["--elf"]),
        ] {
            assert!(result(program, args).is_err(), "{program} {args:?}");
        }
    }
}
