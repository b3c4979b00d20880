//! Native code beside the program's instructions and source lines, in bpftool's form.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};
use skep::spec::ProgramSpec;
use skep::{NativeFunction, NativeInsn};

use super::dump::{self, line_at};

/// What is printed beside the instructions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// The bytes.
    pub opcodes: bool,
    /// Where source lines stand.
    pub linum: bool,
}

/// What stands before an instruction when the program's changes: the source line, if another one begins, and the
/// program's instruction.
struct Told {
    lines: Vec<dump::Line>,
    slot: Option<u32>,
}

impl Told {
    fn of(spec: &ProgramSpec) -> Self {
        Self { lines: dump::lines(spec), slot: None }
    }

    /// The slot, if it is another than before.
    fn next(&mut self, insn: &NativeInsn) -> Option<usize> {
        let slot = insn.slot.filter(|_| insn.slot != self.slot)?;
        self.slot = Some(slot);
        Some(slot as usize)
    }

    fn text(&self, pc: usize) -> &str {
        self.lines.binary_search_by_key(&pc, |l| l.pc).map_or("", |i| &self.lines[i].text)
    }
}

/// Plain text.
pub fn plain(spec: &ProgramSpec, functions: &[NativeFunction], beside: Beside) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for function in functions {
        let mut told = Told::of(spec);
        let _ = writeln!(out, "{}:", function.name);
        for insn in &function.insns {
            if let Some(pc) = told.next(insn) {
                if let Some(source) = line_at(spec, pc) {
                    let _ = write!(out, "; {}", source.text);
                    if beside.linum {
                        let (file, number, column) = (source.file, source.line, source.column);
                        let _ = write!(out, " [file:{file} line_num:{number} line_col:{column}]");
                    }
                    out.push('\n');
                }
                let _ = writeln!(out, ";{pc:5}: {}", told.text(pc));
            }
            let _ = writeln!(out, "{:4x}:\t{}", insn.offset, insn.text);
            if beside.opcodes {
                let bytes: Vec<String> = insn.bytes.iter().map(|b| format!("{b:02x}")).collect();
                let _ = writeln!(out, "\t{}", bytes.join(" "));
            }
        }
        out.push('\n');
    }
    out
}

/// bpftool's JSON: an object for each function, and in it one for each instruction; `insn` and `slot` are skep's own.
pub fn json(spec: &ProgramSpec, functions: &[NativeFunction], beside: Beside) -> Json {
    let all = functions.iter().map(|function| {
        let mut told = Told::of(spec);
        let insns = function.insns.iter().map(|insn| {
            let mut object = Map::new();
            let mut put = |key: &str, value: Json| object.insert(key.to_owned(), value);
            if let Some(pc) = told.next(insn) {
                if let Some(source) = line_at(spec, pc) {
                    put("src", json!(source.text));
                    if beside.linum {
                        put("file", json!(source.file));
                        put("line_num", json!(source.line));
                        put("line_col", json!(source.column));
                    }
                }
                put("slot", json!(pc));
                put("insn", json!(told.text(pc)));
            }
            put("pc", json!(format!("{:#x}", insn.offset)));
            let (operation, operands) = insn.text.split_once(char::is_whitespace).unwrap_or((&insn.text, ""));
            put("operation", json!(operation));
            put("operands", json!(parts(operands)));
            if beside.opcodes {
                let bytes = insn.bytes.iter().map(|b| json!(format!("0x{b:02x}")));
                put("opcodes", Json::Array(bytes.collect()));
            }
            Json::Object(object)
        });
        json!({ "name": function.name, "insns": insns.collect::<Vec<_>>() })
    });
    Json::Array(all.collect())
}

/// Operands: what commas part that stand in no parentheses.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut open) = (Vec::new(), 0, 0usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => open += 1,
            ')' | ']' => open = open.saturating_sub(1),
            ',' if open == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() {
        parts.push(text[start..].trim());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands() {
        assert_eq!(parts("%rax,8(%rdi,%rcx,4)"), ["%rax", "8(%rdi,%rcx,4)"]);
        assert_eq!(parts("$1, %eax"), ["$1", "%eax"]);
        assert!(parts("").is_empty());
    }

    #[test]
    fn an_instruction_is_told_once() {
        let insns = skep::isa::text::assemble("r0 = 7\nexit").expect("assembles");
        let spec = ProgramSpec::new(skep::abi::ProgramType::XDP, insns);
        let insn = |offset, slot| NativeInsn { offset, bytes: vec![0x90], text: "nop".into(), slot };
        let insns = vec![insn(0, None), insn(1, Some(0)), insn(2, Some(0)), insn(3, Some(1))];
        let functions = [NativeFunction { name: "main".into(), insns }];
        let beside = Beside { opcodes: true, linum: false };
        let text = plain(&spec, &functions, beside);
        let line = "\tnop\n\t90\n";
        assert_eq!(
            text,
            format!(
                "main:\n   0:{line};    0: (b7) r0 = 7\n   1:{line}   2:{line};    1: (95) exit\n   3:{line}\n"
            )
        );
        let list = json(&spec, &functions, beside);
        assert_eq!(list[0]["insns"][1]["insn"], "(b7) r0 = 7");
        assert_eq!(list[0]["insns"][2]["insn"], Json::Null);
        assert_eq!(list[0]["insns"][3]["pc"], "0x3");
    }
}
