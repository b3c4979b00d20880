//! `skep prog dump FILE [PROG] xlated`: a program's instructions in bpftool's form, or its control-flow graph.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};
use skep::isa::text::Dialect;
use skep::isa::{CallTarget, Endian, Insn, Op, decode};
use skep::spec::{ProgramSpec, SourceLine};
use skep::user::UserOptions;
use skep::{Backend, Engine, Object, btf};

use super::graph;
use super::jited::{self, Beside};
use crate::args::ProgDumpArgs;
use crate::failure::Failure;
use crate::{out, run, text};

/// What is printed and how, from bpftool's words.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    program: Option<String>,
    /// Native code.
    jited: bool,
    visual: bool,
    opcodes: bool,
    linum: bool,
    file: Option<PathBuf>,
}

impl Wish {
    /// `[PROG] xlated|jited [visual | opcodes | linum | file FILE]`
    fn of(words: &[OsString]) -> Result<Self, Failure> {
        let text = |w: &OsString| w.to_str().map(str::to_owned);
        let mut words = words.iter();
        let mut wish = Self::default();
        let mut next = words.next().and_then(text);
        if next.as_deref().is_some_and(|w| !matches!(w, "xlated" | "jited")) {
            wish.program = next;
            next = words.next().and_then(text);
        }
        match next.as_deref() {
            Some("xlated") => {}
            Some("jited") => wish.jited = true,
            Some(other) => {
                return Err(Failure::usage(format!(
                    "`{other}` is nothing to dump: `xlated` and `jited` are"
                )));
            }
            None => {
                return Err(Failure::usage(
                    "say what to dump: `xlated` or `jited`, behind the file or the program",
                ));
            }
        }
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("visual") => wish.visual = true,
                Some("opcodes") => wish.opcodes = true,
                Some("linum") => wish.linum = true,
                Some("file") => match words.next() {
                    Some(file) => wish.file = Some(PathBuf::from(file)),
                    None => return Err(Failure::usage("`file` wants a name behind it")),
                },
                Some(_) | None => {
                    return Err(Failure::usage(format!(
                        "`{}` is no way to dump: visual, opcodes, linum and `file FILE` are",
                        word.display()
                    )));
                }
            }
        }
        if wish.visual && wish.jited {
            return Err(Failure::usage(
                "`visual` is the graph of the program's instructions: `xlated visual`",
            ));
        }
        if wish.visual && (wish.opcodes || wish.linum || wish.file.is_some()) {
            return Err(Failure::usage(
                "`visual` goes alone: a graph shows neither opcodes nor line numbers",
            ));
        }
        Ok(wish)
    }
}

/// Runs `skep prog dump`.
pub fn dump(args: &ProgDumpArgs) -> Result<(), Failure> {
    let wish = Wish::of(&args.words)?;
    let mut object = Object::open_for(&args.file, &args.target.target()?)?;
    args.set.apply(&mut object)?;
    let spec = text::choose(&object, wish.program.as_deref())?;
    if wish.jited {
        return jited(&object, spec, &wish, args.json);
    }
    if let Some(file) = wish.file {
        let bytes: Vec<u8> = spec.insns.iter().flat_map(|i| i.to_bytes(Endian::NATIVE)).collect();
        if file == Path::new("-") {
            return out::write(&bytes);
        }
        return std::fs::write(&file, bytes).map_err(|e| Failure::file("write", &file, &e));
    }
    match (wish.visual, args.json) {
        (true, false) => out::write(graph::dot(spec).as_bytes()),
        (true, true) => out::line(&graph::json(spec).to_string()),
        (false, false) => out::write(plain(spec, &wish).as_bytes()),
        (false, true) => out::line(&list(spec, &wish).to_string()),
    }
}

/// The native code that the program gets on this machine.
fn jited(object: &Object, spec: &ProgramSpec, wish: &Wish, is_json: bool) -> Result<(), Failure> {
    let options = UserOptions { engine: Some(Engine::Jit), ..UserOptions::default() };
    let loaded = run::load(object, &Backend::user_with(options), &spec.name)?;
    let functions = loaded.program(&spec.name).and_then(|program| program.native_code());
    let functions = functions.ok_or_else(|| Failure::failed("the program has no native code"))?;
    if let Some(file) = &wish.file {
        let bytes: Vec<u8> =
            functions.iter().flat_map(|f| &f.insns).flat_map(|i| &i.bytes).copied().collect();
        if file == Path::new("-") {
            return out::write(&bytes);
        }
        return std::fs::write(file, bytes).map_err(|e| Failure::file("write", file, &e));
    }
    let beside = Beside { opcodes: wish.opcodes, linum: wish.linum };
    match is_json {
        false => out::write(jited::plain(spec, &functions, beside).as_bytes()),
        true => out::line(&jited::json(spec, &functions, beside).to_string()),
    }
}

/// An instruction of a listing.
pub struct Line {
    pub pc: usize,
    pub text: String,
    slots: usize,
}

/// The instructions of a program as text.
pub fn lines(spec: &ProgramSpec) -> Vec<Line> {
    let mut out = Vec::new();
    let mut pc = 0;
    while let Some(insn) = spec.insns.get(pc) {
        let (text, slots) = match decode(&spec.insns, pc) {
            Ok(op) => {
                let mut text = op.text(Dialect::Kernel).with_names(&text::helper_name).to_string();
                if let Op::Call(CallTarget::Subprog(off)) = op
                    && let Some(name) = usize::try_from(pc as i64 + 1 + i64::from(off))
                        .ok()
                        .and_then(|start| function_name(spec, start))
                {
                    text.push('#');
                    text.push_str(name);
                }
                (text, op.slots())
            }
            Err(e) => (format!("({:02x}) ??? {e}", insn.opcode), 1),
        };
        out.push(Line { pc, text, slots });
        pc += slots;
    }
    out
}

/// The name of the function that starts at a slot, by the program's BTF.
pub fn function_name(spec: &ProgramSpec, start: usize) -> Option<&str> {
    let info = spec.func_info.iter().find(|f| f.insn_off as usize == start);
    match info.and_then(|f| spec.btf.as_ref()?.name(btf::TypeId(f.type_id))) {
        Some(name) => Some(name),
        None => (start == 0).then_some(&spec.name),
    }
}

/// The C prototype of the function that starts at a slot.
fn prototype(spec: &ProgramSpec, start: usize) -> Option<String> {
    let btf = spec.btf.as_deref()?;
    let info = spec.func_info.iter().find(|f| f.insn_off as usize == start)?;
    let btf::Type::Func { name, proto, .. } = btf.ty(btf::TypeId(info.type_id))? else { return None };
    let btf::Type::FuncProto { ret, params } = btf.resolved(*proto) else { return None };
    let params: Vec<String> =
        params.iter().map(|p| format!("{} {}", c_type(btf, p.ty, 0), btf.str(p.name))).collect();
    let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
    Some(format!("{} {}({params})", c_type(btf, *ret, 0), btf.str(*name)))
}

/// A type as bpftool spells it: `struct __sk_buff *`.
fn c_type(btf: &btf::Btf, id: btf::TypeId, depth: u32) -> String {
    use btf::Type;
    let inner = |target| if depth < 16 { c_type(btf, target, depth + 1) } else { "?".to_owned() };
    let named =
        |word: &str, name| format!("{word}{}", if btf.str(name).is_empty() { "?" } else { btf.str(name) });
    match btf.ty(id).unwrap_or(&Type::Void) {
        Type::Void => "void".to_owned(),
        Type::Ptr { target } => format!("{} *", inner(*target)),
        Type::Const { target } => format!("const {}", inner(*target)),
        Type::Volatile { target } => format!("volatile {}", inner(*target)),
        Type::Restrict { target } | Type::TypeTag { target, .. } => inner(*target),
        Type::Struct { name, .. } | Type::Fwd { name, is_union: false } => named("struct ", *name),
        Type::Union { name, .. } | Type::Fwd { name, is_union: true } => named("union ", *name),
        Type::Enum { name, .. } | Type::Enum64 { name, .. } => named("enum ", *name),
        Type::Int { name, .. } | Type::Float { name, .. } | Type::Typedef { name, .. } => named("", *name),
        Type::Array { element, len, .. } => format!("{}[{len}]", inner(*element)),
        Type::FuncProto { .. } => "function".to_owned(),
        Type::Func { .. } | Type::Var { .. } | Type::Datasec { .. } | Type::DeclTag { .. } => "?".to_owned(),
    }
}

/// The source line that starts at a slot.
pub fn line_at(spec: &ProgramSpec, pc: usize) -> Option<SourceLine> {
    let starts = spec.line_info.binary_search_by_key(&pc, |l| l.insn_off as usize).is_ok()
        || spec.source_lines.binary_search_by_key(&pc, |(off, _)| *off as usize).is_ok();
    if starts { spec.source_line(pc) } else { None }
}

fn bytes_of(insns: &[Insn]) -> impl Iterator<Item = u8> {
    insns.iter().flat_map(|i| i.to_bytes(Endian::NATIVE))
}

fn plain(spec: &ProgramSpec, wish: &Wish) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for line in lines(spec) {
        if let Some(prototype) = prototype(spec, line.pc) {
            let _ = writeln!(out, "{prototype}:");
        }
        if let Some(source) = line_at(spec, line.pc) {
            let _ = write!(out, "; {}", source.text);
            if wish.linum {
                let (file, number, column) = (source.file, source.line, source.column);
                let _ = write!(out, " [file:{file} line_num:{number} line_col:{column}]");
            }
            out.push('\n');
        }
        let _ = writeln!(out, "{:4}: {}", line.pc, line.text);
        if wish.opcodes {
            let bytes: Vec<String> =
                bytes_of(&spec.insns[line.pc..line.pc + line.slots]).map(|b| format!("{b:02x}")).collect();
            let _ = writeln!(out, "       {}", bytes.join(" "));
        }
    }
    out
}

/// bpftool's JSON: an object for each instruction.
fn list(spec: &ProgramSpec, wish: &Wish) -> Json {
    let hex = |bytes: &[u8]| Json::Array(bytes.iter().map(|b| json!(format!("0x{b:02x}"))).collect());
    let each = lines(spec).into_iter().map(|line| {
        let mut object = Map::new();
        if let Some(prototype) = prototype(spec, line.pc) {
            object.insert("proto".to_owned(), json!(prototype));
        }
        if let Some(source) = line_at(spec, line.pc) {
            object.insert("src".to_owned(), json!(source.text));
            if wish.linum {
                object.insert("file".to_owned(), json!(source.file));
                object.insert("line_num".to_owned(), json!(source.line));
                object.insert("line_col".to_owned(), json!(source.column));
            }
        }
        object.insert("disasm".to_owned(), json!(line.text));
        if wish.opcodes {
            let insn = spec.insns[line.pc];
            let mut imm = insn.imm.to_ne_bytes().to_vec();
            if line.slots == 2 {
                imm.extend(bytes_of(&spec.insns[line.pc + 1..line.pc + 2]));
            }
            let opcodes = json!({
                "code": format!("{:#x}", insn.opcode), "src_reg": format!("{:#x}", insn.src.0),
                "dst_reg": format!("{:#x}", insn.dst.0), "off": hex(&insn.off.to_ne_bytes()), "imm": hex(&imm),
            });
            object.insert("opcodes".to_owned(), opcodes);
        }
        Json::Object(object)
    });
    Json::Array(each.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(line: &str) -> Result<Wish, Failure> {
        Wish::of(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn words_of_dump() {
        let plain = wish("xlated").expect("good");
        assert_eq!(plain, Wish::default());
        let all = wish("main xlated opcodes linum").expect("good");
        assert_eq!((all.program.as_deref(), all.opcodes, all.linum), (Some("main"), true, true));
        assert_eq!(wish("xlated file x.bin").expect("good").file, Some(PathBuf::from("x.bin")));
        assert!(wish("xlated visual").expect("good").visual);
        for bad in ["", "main", "jited visual", "xlated visual linum", "xlated file", "xlated pretty"] {
            assert!(wish(bad).is_err(), "{bad}");
        }
    }
}
