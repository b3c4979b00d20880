//! Reading: one statement against the templates.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::lex::{Kind, Token, lex, number};
use super::{Hole, pieces};
use crate::table::{self, Fields, Role, Row};
use crate::{CallTarget, Op, Reg};

/// Maps a function's name to what calls it.
pub(super) type Resolve<'a> = dyn Fn(&str) -> Option<CallTarget> + 'a;

/// A name in an instruction, to be resolved when the whole text is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbol<'t> {
    pub(super) kind: SymbolKind,
    pub(super) name: &'t str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymbolKind {
    /// Jump to a label.
    Jump,
    /// Call of a label, a function, or a helper.
    Call,
    /// Address of a function.
    Code,
    /// A map.
    Map,
    /// Into a map's first value.
    MapValue,
    /// Address of a function, or a map.
    CodeOrMap,
}

/// Spellings that no row prints: operands by name, `ll` behind every form of `LDDW`, and how `clang -S` writes
/// a 32-bit move whose result it goes on using as 64 bits.
const OTHER_SPELLINGS: [(&str, &str, Option<SymbolKind>); 15] = [
    ("mov32_reg", "{d} = {ws}", None),
    ("call_local", "call {name}", Some(SymbolKind::Call)),
    ("lddw_map_fd", "{d} = map[{name}]", Some(SymbolKind::Map)),
    ("lddw_map_fd", "{d} = map[{name}] ll", Some(SymbolKind::Map)),
    ("lddw_map_value_fd", "{d} = map[{name}][0]+{offset}", Some(SymbolKind::MapValue)),
    ("lddw_map_value_fd", "{d} = map[{name}][0]+{offset} ll", Some(SymbolKind::MapValue)),
    ("lddw_code", "{d} = subprog[{name}]", Some(SymbolKind::Code)),
    ("lddw_code", "{d} = subprog[{name}] ll", Some(SymbolKind::Code)),
    ("lddw_map_fd", "{d} = {name} ll", Some(SymbolKind::CodeOrMap)),
    ("lddw_map_fd", "{d} = map[fd:{id}] ll", None),
    ("lddw_map_value_fd", "{d} = map[fd:{id}][0]+{offset} ll", None),
    ("lddw_variable", "{d} = variable[btf_id:{id}, btf_fd:{id2}] ll", None),
    ("lddw_code", "{d} = subprog[{subprog_off}] ll", None),
    ("lddw_map_idx", "{d} = map[idx:{id}] ll", None),
    ("lddw_map_value_idx", "{d} = map[idx:{id}][0]+{offset} ll", None),
];

enum Piece {
    Literal(Token<'static>),
    Hole(Hole),
}

struct Template {
    row: &'static Row,
    pieces: Vec<Piece>,
    symbol: Option<SymbolKind>,
}

impl Template {
    fn new(row: &'static Row, text: &'static str, symbol: Option<SymbolKind>) -> Self {
        let mut list = Vec::new();
        for (literal, hole) in pieces(text) {
            // The table's literals are plain operators and words: lexing cannot fail (a test reads them all).
            let tokens = lex(literal).unwrap_or_default();
            list.extend(tokens.into_iter().filter(|t| t.kind != Kind::End).map(Piece::Literal));
            list.extend(hole.map(Piece::Hole));
        }
        Self { row, pieces: list, symbol }
    }
}

/// All templates, ready for matching.
pub(super) struct Templates(Vec<Template>);

impl Templates {
    pub(super) fn new() -> Self {
        let mut all = Vec::new();
        for row in table::rows() {
            all.push(Template::new(row, row.kernel_text, None));
            if row.clang_text != row.kernel_text {
                all.push(Template::new(row, row.clang_text, None));
            }
        }
        for (row, text, kind) in OTHER_SPELLINGS {
            all.extend(table::named(row).map(|row| Template::new(row, text, kind)));
        }
        Self(all)
    }

    /// Reads one instruction. `opcode` is the one in parentheses before it, if there was.
    pub(super) fn read<'t>(
        &self,
        tokens: &[Token<'t>],
        opcode: Option<u8>,
        names: Option<&Resolve<'_>>,
    ) -> Result<(Op, Option<Symbol<'t>>), Mismatch> {
        if let Some(byte) = opcode.filter(|&o| table::with_opcode(o).next().is_none()) {
            let what = format!("no instruction has the opcode {byte:#04x}").into();
            return Err(Mismatch { at: 0, problem: true, what });
        }
        let mut best = Expectations::default();
        for template in &self.0 {
            if opcode.is_some_and(|o| o != template.row.opcode) {
                continue;
            }
            let wide = template.row.name == "lddw";
            let mut reader = Reader::new(tokens, template, opcode, names);
            match reader.read() {
                Ok(()) if wide && opcode.is_none() && !reader.ends_with("ll") => {
                    let what = "this constant needs 64 bits: `ll` behind it".into();
                    best.add(Mismatch { at: tokens.len(), problem: true, what });
                }
                Ok(()) => return Ok((template.row.op_from(reader.fields), reader.symbol)),
                Err(mismatch) => best.add(mismatch),
            }
        }
        Err(best.into_mismatch())
    }
}

/// Why a statement is not the instruction of a template.
pub(super) struct Mismatch {
    /// Token number.
    pub(super) at: usize,
    /// `what` is a problem with the token, else what was expected instead.
    problem: bool,
    what: Cow<'static, str>,
}

impl Mismatch {
    /// The message, given the text of the token.
    pub(super) fn message(&self, found: Option<&str>) -> String {
        match (self.problem, found) {
            (true, _) => self.what.clone().into_owned(),
            (false, Some(found)) => format!("expected {}, found `{found}`", self.what),
            (false, None) => format!("expected {}, found the end of the line", self.what),
        }
    }
}

/// The mismatches furthest to the right: what the writer most likely meant.
#[derive(Default)]
struct Expectations {
    at: usize,
    problem: Option<Cow<'static, str>>,
    expected: Vec<Cow<'static, str>>,
}

impl Expectations {
    fn add(&mut self, new: Mismatch) {
        if new.at < self.at {
            return;
        }
        if new.at > self.at {
            *self = Self { at: new.at, ..Self::default() };
        }
        if new.problem {
            self.problem.get_or_insert(new.what);
        } else if !self.expected.contains(&new.what) {
            self.expected.push(new.what);
        }
    }

    fn into_mismatch(self) -> Mismatch {
        let what = match (self.problem, &self.expected[..]) {
            (Some(problem), _) => return Mismatch { at: self.at, problem: true, what: problem },
            (None, _) if self.at == 0 => "an instruction".into(),
            (None, []) => "an instruction".into(),
            (None, [one]) => one.clone(),
            (None, [most @ .., last]) => format!("{} or {last}", most.join(", ")).into(),
        };
        Mismatch { at: self.at, problem: false, what }
    }
}

/// Tries one template.
struct Reader<'a, 't> {
    tokens: &'a [Token<'t>],
    at: usize,
    template: &'a Template,
    opcode: Option<u8>,
    names: Option<&'a Resolve<'a>>,
    fields: Fields,
    dst: Option<Reg>,
    src: Option<Reg>,
    symbol: Option<Symbol<'t>>,
}

type Step<T = ()> = Result<T, Mismatch>;

impl<'a, 't> Reader<'a, 't> {
    fn new(
        tokens: &'a [Token<'t>],
        template: &'a Template,
        opcode: Option<u8>,
        names: Option<&'a Resolve<'a>>,
    ) -> Self {
        let fields = Fields::default();
        Self { tokens, at: 0, template, opcode, names, fields, dst: None, src: None, symbol: None }
    }

    fn read(&mut self) -> Step {
        let template = self.template;
        for piece in &template.pieces {
            match piece {
                Piece::Literal(token) => self.literal(token)?,
                Piece::Hole(hole) => self.hole(*hole)?,
            }
        }
        if self.at < self.tokens.len() { self.expected("the end of the line") } else { Ok(()) }
    }

    fn ends_with(&self, word: &str) -> bool {
        self.tokens.last().is_some_and(|t| t.text == word)
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    fn expected<T>(&self, what: impl Into<Cow<'static, str>>) -> Step<T> {
        Err(Mismatch { at: self.at, problem: false, what: what.into() })
    }

    fn problem<T>(&self, what: impl Into<Cow<'static, str>>) -> Step<T> {
        Err(Mismatch { at: self.at, problem: true, what: what.into() })
    }

    /// Takes the token if it is this operator or word.
    fn take(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|t| t.text == text);
        self.at += usize::from(found);
        found
    }

    fn literal(&mut self, want: &Token<'static>) -> Step {
        let found = self.peek().is_some_and(|t| {
            t.text == want.text
                || want.kind == Kind::Number && t.kind == Kind::Number && number(t.text) == number(want.text)
        });
        if found {
            self.at += 1;
            return Ok(());
        }
        Err(Mismatch { at: self.at, problem: false, what: Quoted(want.text).into() })
    }

    fn hole(&mut self, hole: Hole) -> Step {
        match hole {
            Hole::Dst => self.set_dst("r"),
            Hole::Src => self.set_src("r"),
            Hole::DstW => self.set_dst("w"),
            Hole::SrcW => self.set_src("w"),
            Hole::DstValue => self.set_dst("rw"),
            Hole::SrcValue => self.set_src("rw"),
            Hole::R0Value => match self.reg("rw")? {
                Reg::R0 => Ok(()),
                _ => {
                    self.at -= 1;
                    self.problem("this operand is always r0")
                }
            },
            Hole::Imm | Hole::Compare => {
                self.fields.imm = self.constant(hole)?;
                Ok(())
            }
            Hole::DstMem => {
                self.set_dst("r")?;
                self.fields.off = self.displacement(i16::MIN.into(), i16::MAX.into())? as i16;
                Ok(())
            }
            Hole::SrcMem => {
                self.set_src("r")?;
                self.fields.off = self.displacement(i16::MIN.into(), i16::MAX.into())? as i16;
                Ok(())
            }
            Hole::SrcImm => {
                self.set_src("r")?;
                self.fields.imm = self.displacement(i32::MIN.into(), i32::MAX.into())? as i32;
                Ok(())
            }
            Hole::Jump => self.jump(),
            Hole::Subprog => {
                self.fields.imm = self.distance(i32::MIN.into(), i32::MAX.into())? as i32;
                Ok(())
            }
            Hole::Helper => self.helper(),
            Hole::Kfunc => self.kfunc(),
            Hole::Spaces => {
                let dst = self.int(0, u16::MAX.into())?;
                if !self.take(",") {
                    return self.expected("`,`");
                }
                let src = self.int(0, u16::MAX.into())?;
                self.fields.imm = (dst << 16 | src) as i32;
                Ok(())
            }
            Hole::Imm64 => {
                let value = self.int(i64::MIN.into(), u64::MAX.into())? as u64;
                (self.fields.imm, self.fields.next_imm) = (value as i32, (value >> 32) as i32);
                Ok(())
            }
            Hole::HexId => {
                self.fields.imm = self.int(i32::MIN.into(), u32::MAX.into())? as i32;
                Ok(())
            }
            Hole::HexId2 => {
                self.fields.next_imm = self.int(i32::MIN.into(), u32::MAX.into())? as i32;
                Ok(())
            }
            Hole::Id | Hole::SubprogOff => {
                self.fields.imm = self.int(i32::MIN.into(), i32::MAX.into())? as i32;
                Ok(())
            }
            Hole::Id2 => {
                self.fields.next_imm = self.int(i32::MIN.into(), i32::MAX.into())? as i32;
                Ok(())
            }
            Hole::Offset => {
                self.fields.next_imm = self.int(0, u32::MAX.into())? as i32;
                Ok(())
            }
            Hole::Name => {
                let name = self.word("a name")?;
                self.symbol = self.template.symbol.map(|kind| Symbol { kind, name });
                Ok(())
            }
        }
    }

    fn set_dst(&mut self, letters: &'static str) -> Step {
        let reg = self.reg(letters)?;
        self.fields.dst = self.same(self.dst, reg)?;
        self.dst = Some(reg);
        Ok(())
    }

    fn set_src(&mut self, letters: &'static str) -> Step {
        let reg = self.reg(letters)?;
        self.fields.src = self.same(self.src, reg)?;
        self.src = Some(reg);
        Ok(())
    }

    /// A register that stands twice in a template is one field.
    fn same(&mut self, before: Option<Reg>, reg: Reg) -> Step<Reg> {
        match before {
            Some(b) if b != reg => {
                self.at -= 1;
                self.problem(format!("this operand must be the same register as the other one, {b}"))
            }
            _ => Ok(reg),
        }
    }

    fn reg(&mut self, letters: &'static str) -> Step<Reg> {
        let what = match letters {
            "r" => "a register r0–r10",
            "w" => "a register w0–w10",
            _ => "a register",
        };
        let Some(token) = self.peek().filter(|t| t.kind == Kind::Word) else { return self.expected(what) };
        let Some((number, letter)) = register(token.text) else { return self.expected(what) };
        if number > Reg::FP {
            return self.problem(format!("there is no {}: registers go from 0 to 10", token.text));
        }
        if !letters.contains(letter) {
            return self.expected(what);
        }
        self.at += 1;
        Ok(number)
    }

    fn word(&mut self, what: &'static str) -> Step<&'t str> {
        match self.peek().filter(|t| t.kind == Kind::Word && register(t.text).is_none()) {
            Some(token) => {
                self.at += 1;
                Ok(token.text)
            }
            None => self.expected(what),
        }
    }

    /// A number with an optional sign, in `min..=max`.
    fn int(&mut self, min: i128, max: i128) -> Step<i128> {
        let start = self.at;
        let negative = self.take("-");
        if !negative {
            self.take("+");
        }
        self.magnitude(negative, min, max).inspect_err(|_| self.at = start)
    }

    fn magnitude(&mut self, negative: bool, min: i128, max: i128) -> Step<i128> {
        let Some(token) = self.peek().filter(|t| t.kind == Kind::Number) else {
            return self.expected("a number");
        };
        let Some(magnitude) = number(token.text) else {
            return self.problem(format!("`{}` is not a number of at most 64 bits", token.text));
        };
        let value = if negative { -i128::from(magnitude) } else { magnitude.into() };
        if !(min..=max).contains(&value) {
            return self.problem(format!("{value} is out of range: {min} to {max}"));
        }
        self.at += 1;
        Ok(value)
    }

    /// An immediate. Where only its low 32 bits (or fewer) count it may also be written unsigned; and the
    /// kernel's log prints the constants of comparisons unsigned.
    fn constant(&mut self, hole: Hole) -> Step<i32> {
        let opcode = self.template.row.opcode;
        let low_half = match opcode & 7 {
            0 | 4 | 6 => true,
            2 => opcode & 0x18 != 0x18,
            _ => false,
        };
        let unsigned = low_half || hole == Hole::Compare && self.opcode.is_some();
        let max = if unsigned { u32::MAX.into() } else { i32::MAX.into() };
        self.int(i32::MIN.into(), max).map(|v| v as i32)
    }

    /// What follows a base register: `+ 4`, `-4`, nothing.
    fn displacement(&mut self, min: i128, max: i128) -> Step<i128> {
        match self.peek() {
            Some(t) if t.text == "+" || t.text == "-" => self.int(min, max),
            _ => Ok(0),
        }
    }

    fn jump(&mut self) -> Step {
        let long = self.template.row.imm == Role::Jump;
        if let Some(token) = self.peek() {
            let local = token.kind == Kind::Number && token.text.ends_with(['f', 'b']);
            let label = token.kind == Kind::Word && token.text != "pc";
            if (local && number(token.text).is_none()) || label && register(token.text).is_none() {
                self.at += 1;
                self.symbol = Some(Symbol { kind: SymbolKind::Jump, name: token.text });
                return Ok(());
            }
        }
        if long {
            self.fields.imm = self.distance(i32::MIN.into(), i32::MAX.into())? as i32;
        } else {
            self.fields.off = self.distance(i16::MIN.into(), i16::MAX.into())? as i16;
        }
        Ok(())
    }

    /// `pc+3`, `+3`, `-3`
    fn distance(&mut self, min: i128, max: i128) -> Step<i128> {
        self.take("pc");
        match self.peek() {
            Some(t) if t.text == "+" || t.text == "-" => self.int(min, max),
            _ => self.expected("a distance such as `+3`"),
        }
    }

    /// `1`, `name#1`
    fn helper(&mut self) -> Step {
        if self.peek().is_some_and(|t| t.kind == Kind::Word) {
            let name = self.word("a helper")?;
            let known = self.names.and_then(|names| names(name));
            if matches!(known, Some(CallTarget::Kfunc { .. })) {
                return self.expected("a helper");
            }
            if !self.take("#") {
                return self.expected("`#`");
            }
        } else if self.peek().is_some_and(|t| t.kind != Kind::Number) {
            return self.expected("a helper");
        }
        self.fields.imm = self.int(i32::MIN.into(), u32::MAX.into())? as i32;
        Ok(())
    }

    /// `kernel-function#12`, `name#12`, `name#12@1` (the index of the module's BTF)
    fn kfunc(&mut self) -> Step {
        if self.take("kernel") {
            if !(self.take("-") && self.take("function")) {
                return self.expected("`kernel-function`");
            }
        } else {
            let start = self.at;
            let name = self.word("a kernel function")?;
            let known = self.names.and_then(|names| names(name));
            if !matches!(known, Some(CallTarget::Kfunc { .. })) {
                self.at = start;
                return self.expected("a kernel function");
            }
        }
        if !self.take("#") {
            return self.expected("`#`");
        }
        self.fields.imm = self.int(i32::MIN.into(), i32::MAX.into())? as i32;
        if self.take("@") {
            self.fields.off = self.int(i16::MIN.into(), i16::MAX.into())? as i16;
        }
        Ok(())
    }
}

/// Number and letter of a register's name.
fn register(text: &str) -> Option<(Reg, char)> {
    let letter = text.chars().next().filter(|c| matches!(c, 'r' | 'w'))?;
    let digits = &text[1..];
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() < 3;
    let number = digits.parse().ok().filter(|_| plain)?;
    Some((Reg(number), letter))
}

/// A token of a template in an error message.
struct Quoted(&'static str);

impl From<Quoted> for Cow<'static, str> {
    fn from(Quoted(text): Quoted) -> Self {
        format!("`{text}`").into()
    }
}
