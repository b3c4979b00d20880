//! Reads the text of the SSA form (see [`super::text`]). Names are checked here; whether the module is valid is for
//! [`check`](super::check) to say.

use core::fmt;

use skep_isa::{AtomicOp, Size};

use super::text::{ATOMICS, BINS, CELLS, CONDS, REGIONS, SIZES, TYPES};
use super::{
    Block, BlockData, Edge, FrameBytes, FrameUse, Func, Function, Module, Node, Op, Service, Term, Ty, Val,
};

/// Most values of a function in a text.
const MOST_VALUES: u32 = 1 << 24;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// In words.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

impl core::error::Error for ParseError {}

type Result<T> = core::result::Result<T, ParseError>;

impl Module {
    /// Reads a module's text. `;` begins a comment.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn parse(text: &str) -> Result<Self> {
        let tokens = tokens(text)?;
        let mut p = Parser { tokens: &tokens, at: 0, slot: 0 };
        let ctx_bytes = if p.eat_word("context") { p.number::<u32>("a number of bytes")? } else { 0 };
        let mut functions = Vec::new();
        while p.peek() != &Kind::End {
            functions.push(p.function(functions.len())?);
        }
        Ok(Self { functions, ctx_bytes: ctx_bytes as usize })
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Word(String),
    Number(i128),
    Text(String),
    Sign(char),
    Arrow,
    Dots,
    End,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(w) => write!(f, "`{w}`"),
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(t) => write!(f, "{t:?}"),
            Self::Sign(c) => write!(f, "`{c}`"),
            Self::Arrow => f.write_str("`->`"),
            Self::Dots => f.write_str("`..`"),
            Self::End => f.write_str("the end"),
        }
    }
}

struct Token {
    kind: Kind,
    line: usize,
    column: usize,
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut out = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let chars: Vec<char> = line.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            let start = at;
            let fail = |what: String| ParseError { line: n + 1, column: start + 1, what };
            let run = |from: usize, is: fn(char) -> bool| {
                chars[from..].iter().position(|c| !is(*c)).map_or(chars.len(), |l| from + l)
            };
            let kind = match chars[at] {
                ';' => break,
                c if c.is_whitespace() => {
                    at += 1;
                    continue;
                }
                '"' => {
                    let mut end = at + 1;
                    while end < chars.len() && chars[end] != '"' {
                        end += if chars[end] == '\\' { 2 } else { 1 };
                    }
                    if end >= chars.len() {
                        return Err(fail("a name without its closing quote".into()));
                    }
                    at = end + 1;
                    Kind::Text(unescape(&chars[start + 1..end]).map_err(fail)?)
                }
                '-' if chars.get(at + 1) == Some(&'>') => {
                    at += 2;
                    Kind::Arrow
                }
                '.' if chars.get(at + 1) == Some(&'.') => {
                    at += 2;
                    Kind::Dots
                }
                c if c.is_ascii_digit() => {
                    at = run(at, |c| c.is_ascii_alphanumeric());
                    let digits: String = chars[start..at].iter().collect();
                    let number = match digits.strip_prefix("0x") {
                        Some(hex) => u64::from_str_radix(hex, 16).ok(),
                        None => digits.parse().ok(),
                    };
                    Kind::Number(
                        number.ok_or_else(|| fail(format!("`{digits}` is no number of 64 bits")))?.into(),
                    )
                }
                c if c.is_ascii_alphabetic() => {
                    at = run(at, |c| c.is_ascii_alphanumeric() || c == '_');
                    Kind::Word(chars[start..at].iter().collect())
                }
                c if "(){}[],:=?@+-".contains(c) => {
                    at += 1;
                    Kind::Sign(c)
                }
                c => return Err(fail(format!("{c:?} begins nothing"))),
            };
            out.push(Token { kind, line: n + 1, column: start + 1 });
        }
    }
    let line = text.lines().count() + 1;
    out.push(Token { kind: Kind::End, line, column: 1 });
    Ok(out)
}

/// Reads what `Debug` of a string has written.
fn unescape(chars: &[char]) -> core::result::Result<String, String> {
    let mut out = String::new();
    let mut rest = chars.iter();
    while let Some(&c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match rest.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('0') => '\0',
            Some('u') => {
                let digits: String = rest.by_ref().skip(1).take_while(|c| **c != '}').collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                code.ok_or_else(|| format!("\\u{{{digits}}} is no character"))?
            }
            Some(&c) => c,
            None => return Err("a name that ends in a backslash".into()),
        });
    }
    Ok(out)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    /// The slot that was named last.
    slot: u32,
}

/// Nodes by number, where they are defined.
struct Nodes {
    nodes: Vec<Option<Node>>,
    /// Instructions that give nothing, to be numbered at the end: block, place, node.
    unnamed: Vec<(usize, usize, Node)>,
}

impl Nodes {
    fn define(&mut self, v: Val, node: Node) -> bool {
        let at = v.0 as usize;
        if self.nodes.len() <= at {
            self.nodes.resize(at + 1, None);
        }
        self.nodes[at].replace(node).is_none()
    }
}

impl Parser<'_> {
    fn peek(&self) -> &Kind {
        &self.tokens[self.at.min(self.tokens.len() - 1)].kind
    }

    fn fail<T>(&self, what: impl Into<String>) -> Result<T> {
        let Token { line, column, .. } = self.tokens[self.at.min(self.tokens.len() - 1)];
        Err(ParseError { line, column, what: what.into() })
    }

    fn wanted<T>(&self, what: &str) -> Result<T> {
        self.fail(format!("{what} wanted, found {}", self.peek()))
    }

    fn eat(&mut self, kind: &Kind) -> bool {
        let is = self.peek() == kind;
        self.at += usize::from(is);
        is
    }

    fn sign(&mut self, c: char) -> Result<()> {
        if self.eat(&Kind::Sign(c)) { Ok(()) } else { self.wanted(&format!("`{c}`")) }
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Kind::Word(w) if w == word);
        self.at += usize::from(is);
        is
    }

    fn keyword(&mut self, word: &str) -> Result<()> {
        if self.eat_word(word) { Ok(()) } else { self.wanted(&format!("`{word}`")) }
    }

    fn number<N: TryFrom<i128>>(&mut self, what: &str) -> Result<N> {
        let minus = self.eat(&Kind::Sign('-'));
        let Kind::Number(n) = *self.peek() else { return self.wanted(what) };
        let Ok(n) = N::try_from(if minus { -n } else { n }) else {
            return self.fail(format!("{n} is out of range for {what}"));
        };
        self.at += 1;
        Ok(n)
    }

    /// The thing of a table whose name comes next.
    fn of<T: Copy>(&mut self, table: &[(T, &str)], what: &str) -> Result<T> {
        let found = match self.peek() {
            Kind::Word(w) => table.iter().find(|row| row.1 == w).map(|row| row.0),
            _ => None,
        };
        self.at += usize::from(found.is_some());
        found.map_or_else(|| self.wanted(what), Ok)
    }

    /// A word of a letter sequence and a number, as `v5`.
    fn numbered(&mut self, prefix: &str, what: &str) -> Result<u32> {
        let found = match self.peek() {
            Kind::Word(w) => w.strip_prefix(prefix).and_then(|n| n.parse().ok()).filter(|n| *n < MOST_VALUES),
            _ => None,
        };
        self.at += usize::from(found.is_some());
        found.map_or_else(|| self.wanted(what), Ok)
    }

    fn val(&mut self) -> Result<Val> {
        self.numbered("v", "a value").map(Val)
    }

    fn comma_val(&mut self) -> Result<Val> {
        self.sign(',')?;
        self.val()
    }

    /// Values with commas between, up to a closing parenthesis.
    fn vals(&mut self) -> Result<Vec<Val>> {
        let mut out = Vec::new();
        while !self.eat(&Kind::Sign(')')) {
            if !out.is_empty() {
                self.sign(',')?;
            }
            out.push(self.val()?);
        }
        Ok(out)
    }

    fn slot(&mut self) -> Result<u32> {
        if self.eat(&Kind::Sign('@')) {
            self.slot = self.number("a slot")?;
        }
        Ok(self.slot)
    }

    fn function(&mut self, index: usize) -> Result<Function> {
        self.keyword("function")?;
        if self.peek() != &Kind::Number(index as i128) {
            return self.wanted(&format!("the function's number, {index},"));
        }
        self.at += 1;
        let Kind::Text(name) = self.peek().clone() else {
            return self.wanted("the function's name in quotes");
        };
        self.at += 1;
        self.keyword("slot")?;
        let slot = self.number("a slot")?;
        let piece = self.eat_word("piece");
        let zeroed = if self.eat_word("zeroed") { self.number("a number of bytes")? } else { 0 };
        self.sign('{')?;
        self.slot = slot;
        let mut nodes = Nodes { nodes: Vec::new(), unnamed: Vec::new() };
        let mut blocks = Vec::new();
        while !self.eat(&Kind::Sign('}')) {
            blocks.push(self.block(blocks.len(), &mut nodes)?);
        }
        // Numbers that nothing defines are those of instructions that give nothing, as far as there are any; whatever is
        // left over is in no block.
        let mut free = 0;
        for (block, place, node) in nodes.unnamed {
            while nodes.nodes.get(free).is_some_and(Option::is_some) {
                free += 1;
            }
            blocks[block].insts[place] = Val(free as u32);
            match nodes.nodes.get_mut(free) {
                Some(at) => *at = Some(node),
                None => nodes.nodes.push(Some(node)),
            }
        }
        let unused = Node::new(Op::Const(0), Ty::I64, slot);
        let nodes = nodes.nodes.into_iter().map(|n| n.unwrap_or_else(|| unused.clone())).collect();
        Ok(Function { name, slot, piece, zeroed, nodes, blocks })
    }

    fn block(&mut self, number: usize, nodes: &mut Nodes) -> Result<BlockData> {
        if self.numbered("block", "a block")? as usize != number {
            self.at -= 1;
            return self.wanted(&format!("`block{number}`"));
        }
        let mut params = Vec::new();
        if self.eat(&Kind::Sign('(')) {
            while !self.eat(&Kind::Sign(')')) {
                if !params.is_empty() {
                    self.sign(',')?;
                }
                let v = self.val()?;
                self.sign(':')?;
                let ty = self.of(&TYPES, "a type")?;
                let pc = self.slot()?;
                if !nodes.define(v, Node::new(Op::Param, ty, pc)) {
                    return self.fail(format!("{v} is defined a second time before here"));
                }
                params.push(v);
            }
        }
        self.sign(':')?;
        let mut insts = Vec::new();
        loop {
            if let Some(term) = self.term()? {
                let term_pc = self.slot()?;
                return Ok(BlockData { params, insts, term, term_pc });
            }
            let named = matches!(self.tokens.get(self.at + 1), Some(Token { kind: Kind::Sign(':'), .. }));
            if named {
                let v = self.val()?;
                self.sign(':')?;
                let ty = self.of(&TYPES, "a type")?;
                self.sign('=')?;
                let op = self.op(ty)?;
                let proved = self.eat_word("nonzero");
                let pc = self.slot()?;
                if !nodes.define(v, Node { proved, ..Node::new(op, ty, pc) }) {
                    return self.fail(format!("{v} is defined a second time before here"));
                }
                insts.push(v);
            } else {
                let op = self.op(Ty::None)?;
                let pc = self.slot()?;
                nodes.unnamed.push((number, insts.len(), Node::new(op, Ty::None, pc)));
                insts.push(Val(0));
            }
        }
    }

    fn edge(&mut self) -> Result<Edge> {
        let to = Block(self.numbered("block", "a block")?);
        let args = if self.eat(&Kind::Sign('(')) { self.vals()? } else { Vec::new() };
        Ok(Edge { to, args })
    }

    /// `-> block1, block2`
    fn two_edges(&mut self) -> Result<(Edge, Edge)> {
        if !self.eat(&Kind::Arrow) {
            return self.wanted("`->`");
        }
        let first = self.edge()?;
        self.sign(',')?;
        Ok((first, self.edge()?))
    }

    fn term(&mut self) -> Result<Option<Term>> {
        let term = if self.eat_word("jump") {
            Term::Jump(self.edge()?)
        } else if self.eat_word("branch") {
            let cond = self.of(&CONDS, "a comparison")?;
            let (a, b) = (self.val()?, self.comma_val()?);
            let (then, other) = self.two_edges()?;
            Term::Branch { cond, a, b, then, other }
        } else if self.eat_word("may_goto") {
            let (spent, other) = self.two_edges()?;
            Term::MayGoto { spent, other }
        } else if self.eat_word("leave") {
            let to = Func(self.number("the number of a function")?);
            self.sign('(')?;
            let mut kept = Vec::new();
            while !self.eat(&Kind::Sign(')')) {
                if !kept.is_empty() {
                    self.sign(',')?;
                }
                let n = self.number("a number below 256")?;
                self.sign(':')?;
                kept.push((n, self.val()?));
            }
            Term::Leave { to, kept }
        } else if self.eat_word("return") {
            Term::Return(self.val()?)
        } else if self.eat_word("unreachable") {
            Term::Unreachable
        } else {
            return Ok(None);
        };
        Ok(Some(term))
    }

    /// `[v1 + 8]`
    fn place(&mut self) -> Result<(Val, i32)> {
        self.sign('[')?;
        let base = self.val()?;
        let off = if self.eat(&Kind::Sign('+')) || self.peek() == &Kind::Sign('-') {
            self.number("an offset of 32 bits")?
        } else {
            0
        };
        self.sign(']')?;
        Ok((base, off))
    }

    fn frame_use(&mut self) -> Result<FrameUse> {
        if !self.eat_word("frame") {
            return Ok(FrameUse::Bytes(Box::new([])));
        }
        if self.eat_word("all") {
            return Ok(FrameUse::All);
        }
        let mut ranges = Vec::new();
        loop {
            let from = self.number("an offset in the frame")?;
            if !self.eat(&Kind::Dots) {
                return self.wanted("`..`");
            }
            ranges.push(FrameBytes { from, to: self.number("an offset in the frame")? });
            if !self.eat(&Kind::Sign(',')) {
                return Ok(FrameUse::Bytes(ranges.into()));
            }
        }
    }

    fn size(&mut self) -> Result<Size> {
        self.of(&SIZES, "a size")
    }

    fn op(&mut self, ty: Ty) -> Result<Op> {
        let Kind::Word(word) = self.peek().clone() else { return self.wanted("an instruction") };
        if let Some(&(op, _)) = BINS.iter().find(|row| row.1 == word) {
            self.at += 1;
            return Ok(Op::Bin(op, self.val()?, self.comma_val()?));
        }
        if let Some(service) = self.service(&word)? {
            self.sign('(')?;
            let args = self.vals()?.into();
            return Ok(Op::Service { service, args, frame: self.frame_use()? });
        }
        self.at += 1;
        Ok(match word.as_str() {
            "const" => {
                let number: i128 = self.number("a number")?;
                let all = number as u64;
                Op::Const(if ty == Ty::I32 { u64::from(all as u32) } else { all })
            }
            "trunc" => Op::Trunc(self.val()?),
            "zext" => Op::Zext(self.val()?),
            "sext" => Op::Sext(self.size()?, self.val()?),
            "swap" => Op::Swap(self.size()?, self.val()?),
            "cmp" => Op::Cmp(self.of(&CONDS, "a comparison")?, self.val()?, self.comma_val()?),
            "select" => {
                let cond = self.of(&CONDS, "a comparison")?;
                let (a, b) = (self.val()?, self.comma_val()?);
                self.sign('?')?;
                let x = self.val()?;
                self.sign(':')?;
                Op::Select(cond, a, b, x, self.val()?)
            }
            "frame" => Op::Frame,
            "cell" => Op::Cell(self.of(&CELLS, "a cell")?),
            "arg" => Op::Arg(self.number("a number below 256")?),
            "kept" => Op::Kept(self.number("a number below 256")?),
            "load" | "load_acquire" => {
                let (size, region) = (self.size()?, self.of(&REGIONS, "a region")?);
                let (base, off) = self.place()?;
                match word.as_str() {
                    "load" => Op::Load { size, base, off, region },
                    _ => Op::LoadAcquire { size, base, off, region },
                }
            }
            "store" | "store_release" => {
                let (size, region) = (self.size()?, self.of(&REGIONS, "a region")?);
                let (base, off) = self.place()?;
                let value = self.comma_val()?;
                match word.as_str() {
                    "store" => Op::Store { size, base, off, region, value },
                    _ => Op::StoreRelease { size, base, off, region, value },
                }
            }
            "atomic" => {
                let op = self.of(&ATOMICS, "an atomic operation")?;
                let (size, region) = (self.size()?, self.of(&REGIONS, "a region")?);
                let (base, off) = self.place()?;
                let value = self.comma_val()?;
                let expected = if op == AtomicOp::Cmpxchg {
                    self.keyword("if")?;
                    self.val()?
                } else {
                    value
                };
                Op::Atomic { op, size, base, off, region, value, expected }
            }
            "call" => {
                let func = Func(self.number("a function's number")?);
                self.sign('(')?;
                let Ok(args) = <[Val; 5]>::try_from(self.vals()?) else {
                    return self.fail("a call has five arguments");
                };
                Op::Call { func, args: Box::new(args), frame: self.frame_use()? }
            }
            "tail_call" => {
                self.sign('(')?;
                let Ok(args) = <[Val; 3]>::try_from(self.vals()?) else {
                    return self.fail("a tail call has three arguments");
                };
                Op::TailCall { args: Box::new(args) }
            }
            _ => {
                self.at -= 1;
                return self.fail(format!("`{word}` is no instruction"));
            }
        })
    }

    /// The service that a word begins, if it does.
    fn service(&mut self, word: &str) -> Result<Option<Service>> {
        self.at += 1;
        Ok(Some(match word {
            "helper" => Service::Helper { index: self.number("the slot of a helper")? },
            "lookup" => Service::Lookup,
            "quick" => Service::Quick {
                function: self.number("the address of a function")?,
                kept: self.number("an offset")?,
            },
            "find" => Service::Find {
                function: self.number("the address of a function")?,
                map: self.number("the address of a map")?,
            },
            "get_stackid" => Service::Stack { buffer: false },
            "get_stack" => Service::Stack { buffer: true },
            "call_back" => Service::CallBackBegin { kind: self.number("the number of a kind")? },
            "call_back_next" => Service::CallBackNext,
            "packet_load" => Service::PacketLoad { size: self.size()? },
            "load_elsewhere" => Service::LoadElsewhere { size: self.size()? },
            "store_elsewhere" => Service::StoreElsewhere { size: self.size()? },
            "arena" => Service::Arena { index: self.number("the number of an access")? },
            "tick" => Service::Tick,
            "check_load" => Service::Check { size: self.size()?, write: false },
            "check_store" => Service::Check { size: self.size()?, write: true },
            "throw" => Service::Throw,
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        }))
    }
}
