//! `skep asm` and `skep disasm`: text and bytecode.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use skep::isa::text::{Dialect, Listing};
use skep::isa::{CallTarget, Endian, Insn};
use skep::spec::ProgramSpec;
use skep::{Object, abi};

use crate::args::{self, AsmArgs, AsmFormat, ByteOrder, DisasmArgs};
use crate::failure::{BAD_INPUT, Failure};
use crate::{diagnostic, out};

fn endian(order: ByteOrder) -> Endian {
    match order {
        ByteOrder::Little => Endian::Little,
        ByteOrder::Big => Endian::Big,
    }
}

/// Reads a file, or stdin for `-`.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let done = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|b| bytes = b)
    };
    done.map(|()| bytes).map_err(|e| Failure::file("read", path, &e))
}

/// The program of a name, or the only one.
pub fn choose<'o>(object: &'o Object, name: Option<&str>) -> Result<&'o Arc<ProgramSpec>, Failure> {
    Ok(match name {
        Some(name) => object.program(name)?,
        None => object.only_program()?,
    })
}

/// Runs `skep asm`.
pub fn assemble(args: &AsmArgs) -> Result<(), Failure> {
    let text = read(&args.file)?;
    let name = match args.file.to_str() {
        Some("-") => "stdin.s".to_owned(),
        _ => args.file.display().to_string(),
    };
    let name = if Path::new(&name).extension().is_some_and(|e| e == "s" || e == "S" || e == "asm") {
        name
    } else {
        format!("{name}.s")
    };
    let object = Object::parse(&name, &text)?;
    let by_name = args.output.extension().is_some_and(|e| e == "o");
    let is_elf = args.format.map_or(by_name, |f| f == AsmFormat::Elf);
    if is_elf {
        if let Some(program) = &args.program {
            return Err(Failure::usage(format!(
                "an object holds all programs of the text: leave `{program}` out, or say --format raw"
            )));
        }
        // What cannot be loaded is not written either.
        if let Some(e) = object.programs().iter().find_map(|p| p.spec.as_ref().err()) {
            return Err(Failure::Message(BAD_INPUT, e.to_string()));
        }
        return put(&args.output, &object.to_elf(endian(args.endian))?);
    }
    let spec = choose(&object, args.program.as_deref())?;
    if !spec.maps.is_empty() {
        let maps: Vec<String> =
            spec.maps.iter().enumerate().map(|(i, m)| format!("{i} {}", m.name)).collect();
        diagnostic::note(&format!(
            "bytecode holds no maps: references are by index (BPF_PSEUDO_MAP_IDX): {}",
            maps.join(", ")
        ));
    }
    let bytes: Vec<u8> = spec.insns.iter().flat_map(|i| i.to_bytes(endian(args.endian))).collect();
    put(&args.output, &bytes)
}

fn put(output: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if output == Path::new("-") {
        return out::write(bytes);
    }
    std::fs::write(output, bytes).map_err(|e| Failure::file("write", output, &e))
}

/// The names of helpers, for listings.
pub fn helper_name(target: CallTarget) -> Option<&'static str> {
    match target {
        CallTarget::Helper(id) => abi::helper_name(id),
        CallTarget::Subprog(_) | CallTarget::Kfunc { .. } => None,
    }
}

fn list(text: &mut String, insns: &[Insn], dialect: args::Dialect) {
    let dialect = match dialect {
        args::Dialect::Kernel => Dialect::Kernel,
        args::Dialect::Clang => Dialect::Clang,
    };
    // Writing to a String cannot fail.
    let _ = write!(text, "{}", Listing::new(insns, dialect).with_names(&helper_name));
}

/// Runs `skep disasm`.
pub fn disassemble(args: &DisasmArgs) -> Result<(), Failure> {
    let bytes = read(&args.file)?;
    let name = args.file.display().to_string();
    let is_text = args.file.extension().is_some_and(|e| e == "s" || e == "S" || e == "asm");
    if !bytes.starts_with(b"\x7fELF") && !is_text {
        return raw(args, &bytes);
    }
    let object = Object::parse(&name, &bytes)?;
    if let Some(program) = &args.program {
        let mut text = String::new();
        list(&mut text, &object.program(program)?.insns, args.dialect);
        return out::write(text.as_bytes());
    }
    let mut failed = false;
    for (i, entry) in object.programs().iter().enumerate() {
        let mut text = if i > 0 { "\n".to_owned() } else { String::new() };
        match &entry.spec {
            Ok(spec) => {
                let section = if entry.section.is_empty() { "" } else { &format!(" ({})", entry.section) };
                let _ = writeln!(text, "{}{section}:", entry.name);
                list(&mut text, &spec.insns, args.dialect);
                out::write(text.as_bytes())?;
            }
            Err(e) => {
                diagnostic::error(&e.to_string());
                failed = true;
            }
        }
    }
    if failed { Err(Failure::Reported(BAD_INPUT)) } else { Ok(()) }
}

fn raw(args: &DisasmArgs, bytes: &[u8]) -> Result<(), Failure> {
    let name = args.file.display();
    if args.program.is_some() {
        return Err(Failure::usage(format!("`{name}` is raw bytecode, which has no program names")));
    }
    let (slots, rest) = bytes.as_chunks::<{ Insn::SIZE }>();
    if slots.is_empty() || !rest.is_empty() {
        return Err(Failure::usage(format!(
            "`{name}` is neither an eBPF object nor bytecode: {} bytes are not a whole number of 8-byte instructions",
            bytes.len()
        )));
    }
    let insns: Vec<Insn> = slots.iter().map(|s| Insn::from_bytes(*s, endian(args.endian))).collect();
    let mut text = String::new();
    list(&mut text, &insns, args.dialect);
    out::write(text.as_bytes())
}
