//! The assembler: statements, directives, labels.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::lex::{Kind, Token, lex, number};
use super::template::{Resolve, Symbol, SymbolKind, Templates};
use super::{AsmError, Assembly, Function, MapDecl, Relocation, RelocationKind};
use crate::{CallTarget, Imm64, Insn, Op};

/// Assembles plain instructions: all functions of the text in its order.
///
/// # Errors
///
/// [`AsmError`] for what [`Assembler::assemble`] refuses, for called names that are no labels, and for
/// references to maps, which need [`Assembler`].
///
/// ```
/// let insns = skep_isa::text::assemble("r0 = 0; if r1 == 5 goto out; r0 = 1; out: exit").unwrap();
/// assert_eq!(insns.len(), 4);
/// ```
pub fn assemble(text: &str) -> Result<Vec<Insn>, AsmError> {
    let linked = Assembler::new().assemble(text)?.link_all();
    match linked.relocations.first() {
        None => Ok(linked.insns),
        Some(r) => {
            let line = linked.lines.get(r.slot).copied().unwrap_or(0);
            Err(AsmError::new(line, 1, format!("`{}` names a map, and no maps are known here", r.name)))
        }
    }
}

/// Reads assembly text in both [dialects](super::Dialect), mixed as you like.
///
#[doc = include_str!("assembly.md")]
#[derive(Clone, Copy, Default)]
pub struct Assembler<'a> {
    names: Option<&'a Resolve<'a>>,
}

impl<'a> Assembler<'a> {
    /// An assembler that knows no helper by name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks up the names of called helpers and kernel functions.
    #[must_use]
    pub fn with_names(self, names: &'a dyn Fn(&str) -> Option<CallTarget>) -> Self {
        Self { names: Some(names) }
    }

    /// Assembles a text.
    ///
    /// # Errors
    ///
    /// [`AsmError`] with the place of the first statement that is no instruction or known directive, label
    /// that is missing or stands twice, or operand out of range.
    pub fn assemble(&self, text: &str) -> Result<Assembly, AsmError> {
        let tokens = lex(text)?;
        let statements = || tokens.split(|t| t.kind == Kind::End).filter(|s| !s.is_empty());
        let mut unit = Unit {
            templates: Templates::new(),
            names: self.names,
            declared: statements().filter_map(declared_function).collect(),
            globals: statements().filter_map(declared_global).collect(),
            section: String::new(),
            open: false,
            functions: Vec::new(),
            maps: Vec::new(),
            license: None,
        };
        for statement in statements() {
            unit.statement(statement)?;
        }
        unit.finish()
    }
}

/// The name that `.globl` declares.
fn declared_global<'t>(statement: &[Token<'t>]) -> Option<&'t str> {
    match statement {
        [d, name, ..] if matches!(d.text, ".globl" | ".global") => Some(name.text),
        _ => None,
    }
}

/// The name that `.globl` or `.type NAME,@function` declares.
fn declared_function<'t>(statement: &[Token<'t>]) -> Option<&'t str> {
    match statement {
        [d, name, .., kind] if d.text == ".type" && kind.text == "function" => Some(name.text),
        _ => declared_global(statement),
    }
}

struct Unit<'a, 't> {
    templates: Templates,
    names: Option<&'a Resolve<'a>>,
    declared: BTreeSet<&'t str>,
    globals: BTreeSet<&'t str>,
    section: String,
    /// Whether a function has begun in this section.
    open: bool,
    functions: Vec<Draft<'t>>,
    maps: Vec<MapDecl>,
    license: Option<String>,
}

/// A function whose names are not resolved yet.
struct Draft<'t> {
    name: String,
    section: String,
    global: bool,
    slots: usize,
    ops: Vec<Pending<'t>>,
    /// Slots of each label, ascending. Only numbers may have several.
    labels: BTreeMap<&'t str, Vec<usize>>,
}

struct Pending<'t> {
    slot: usize,
    op: Op,
    symbol: Option<Symbol<'t>>,
    at: Token<'t>,
}

fn error<T>(at: &Token<'_>, message: impl Into<String>) -> Result<T, AsmError> {
    Err(AsmError::new(at.line, at.column, message.into()))
}

impl<'t> Unit<'_, 't> {
    fn statement(&mut self, mut tokens: &[Token<'t>]) -> Result<(), AsmError> {
        let comment = tokens.split_last().filter(|(last, _)| last.kind == Kind::Comment);
        if let Some((comment, before)) = comment {
            self.refuse_hidden_instruction(comment)?;
            tokens = before;
        }
        while let [label, colon, rest @ ..] = tokens
            && colon.text == ":"
            && matches!(label.kind, Kind::Word | Kind::Number)
        {
            self.label(label)?;
            tokens = rest;
        }
        match tokens {
            [] => Ok(()),
            [d, rest @ ..] if d.text.starts_with('.') && d.kind == Kind::Word => self.directive(d, rest),
            [d, open, name, close] if d.text == "SEC" && open.text == "(" && close.text == ")" => {
                self.begin_section(name.text.trim_matches('"'));
                Ok(())
            }
            _ => self.instruction(tokens),
        }
    }

    /// `r0 = 0 ; exit` would lose the `exit` if the comment were just skipped.
    fn refuse_hidden_instruction(&self, comment: &Token<'t>) -> Result<(), AsmError> {
        let Ok(tokens) = lex(comment.text) else { return Ok(()) };
        let first: Vec<_> = tokens.into_iter().take_while(|t| t.kind != Kind::End).collect();
        match self.templates.read(&first, None, self.names) {
            Ok(_) => error(
                comment,
                format!(
                    "`;` behind a space opens a comment, but this one is an instruction: `{}`; put `;` directly behind the statement before to separate two, or write the comment with `//`",
                    comment.text.trim()
                ),
            ),
            Err(_) => Ok(()),
        }
    }

    fn begin_section(&mut self, name: &str) {
        self.section = name.to_string();
        self.open = false;
    }

    fn begin_function(&mut self, name: &str) {
        self.functions.push(Draft {
            name: name.to_string(),
            section: self.section.clone(),
            global: self.globals.contains(name),
            slots: 0,
            ops: Vec::new(),
            labels: BTreeMap::new(),
        });
        self.open = true;
    }

    fn current(&mut self) -> &mut Draft<'t> {
        if !self.open {
            self.begin_function("main");
        }
        self.functions.last_mut().expect("a function is open")
    }

    fn label(&mut self, label: &Token<'t>) -> Result<(), AsmError> {
        let named = label.kind == Kind::Word;
        if named && (!self.open || self.declared.contains(label.text)) {
            if self.functions.iter().any(|f| f.name == label.text && f.slots > 0) {
                return error(label, format!("there is another function `{}`", label.text));
            }
            self.begin_function(label.text);
        }
        let function = self.current();
        let slot = function.slots;
        let slots = function.labels.entry(label.text).or_default();
        if named && !slots.is_empty() {
            return error(label, format!("label `{}` stands twice in this function", label.text));
        }
        slots.push(slot);
        Ok(())
    }

    fn instruction(&mut self, mut tokens: &[Token<'t>]) -> Result<(), AsmError> {
        let at = tokens[0];
        let mut opcode = None;
        if let [open, hex, close, rest @ ..] = tokens
            && (open.text, close.text) == ("(", ")")
            && hex.text.len() == 2
            && let Ok(byte) = u8::from_str_radix(hex.text, 16)
        {
            (opcode, tokens) = (Some(byte), rest);
        }
        // llvm-objdump names the target of a jump: `goto +0x3 <LBB0_2>`.
        if tokens.last().is_some_and(|t| t.text == ">")
            && let Some(n) = tokens.iter().rposition(|t| t.text == "<")
        {
            tokens = &tokens[..n];
        }
        match self.templates.read(tokens, opcode, self.names) {
            Ok((op, symbol)) => {
                let function = self.current();
                function.ops.push(Pending { slot: function.slots, op, symbol, at });
                function.slots += op.slots();
                Ok(())
            }
            Err(mismatch) => {
                let found = tokens.get(mismatch.at);
                let message = mismatch.message(found.map(|t| t.text));
                let (line, column) = match (found, tokens.last()) {
                    (Some(t), _) => (t.line, t.column),
                    (None, Some(t)) => (t.line, t.column + t.text.chars().count() as u32),
                    (None, None) => (at.line, at.column),
                };
                Err(AsmError::new(line, column, message))
            }
        }
    }

    fn directive(&mut self, directive: &Token<'t>, rest: &[Token<'t>]) -> Result<(), AsmError> {
        match directive.text {
            ".section" => {
                let name: String =
                    rest.iter().take_while(|t| t.text != ",").map(|t| t.text.trim_matches('"')).collect();
                if name.is_empty() {
                    return error(directive, "expected the section's name behind `.section`");
                }
                self.begin_section(&name);
            }
            ".text" => self.begin_section(".text"),
            ".map" => {
                let map = map_decl(directive, rest)?;
                if self.maps.iter().any(|m| m.name == map.name) {
                    return error(&rest[0], format!("there is another map `{}`", map.name));
                }
                self.maps.push(map);
            }
            ".license" => self.license = Some(text_operand(directive, rest)?),
            ".asciz" | ".string" if self.section == "license" => {
                self.license = Some(text_operand(directive, rest)?);
            }
            ".globl" | ".global" | ".type" | ".size" | ".file" | ".p2align" | ".align" | ".ident"
            | ".weak" | ".hidden" | ".local" | ".addrsig" | ".addrsig_sym" => {}
            other => {
                return error(
                    directive,
                    format!(
                        "directive `{other}` is not supported; known are .section, .text, .globl, .type, .map, .license"
                    ),
                );
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Assembly, AsmError> {
        let mut functions = Vec::new();
        for draft in self.functions.iter().filter(|f| f.slots > 0) {
            functions.push(self.resolve(draft)?);
        }
        Ok(Assembly { functions, maps: self.maps, license: self.license })
    }

    fn resolve(&self, draft: &Draft<'t>) -> Result<Function, AsmError> {
        let mut function = Function {
            name: draft.name.clone(),
            section: draft.section.clone(),
            global: draft.global,
            labels: draft.named_labels(),
            ..Function::default()
        };
        for pending in &draft.ops {
            let mut op = pending.op;
            if let Some(symbol) = pending.symbol {
                let relocation = self.resolve_symbol(draft, pending, symbol, &mut op)?;
                function.relocations.extend(relocation);
            }
            let Ok((first, second)) = op.try_encode() else {
                return error(&pending.at, "no instruction expresses this");
            };
            for insn in core::iter::once(first).chain(second) {
                function.insns.push(insn);
                function.lines.push(pending.at.line);
            }
        }
        Ok(function)
    }

    /// Puts what the name stands for into `op`, or tells what is missing there.
    fn resolve_symbol(
        &self,
        draft: &Draft<'t>,
        pending: &Pending<'t>,
        symbol: Symbol<'t>,
        op: &mut Op,
    ) -> Result<Option<Relocation>, AsmError> {
        let Symbol { kind, name } = symbol;
        let open = |kind| Ok(Some(Relocation { slot: pending.slot, kind, name: name.to_string() }));
        let label = draft.find_label(name, pending.slot);
        let distance = label.map(|slot| slot as i64 - pending.slot as i64 - 1);
        let other = self.functions.iter().any(|f| f.slots > 0 && f.name == name);
        match (kind, distance) {
            (SymbolKind::Jump, Some(distance)) => {
                self.set_jump(op, distance, pending, name)?;
                Ok(None)
            }
            (SymbolKind::Jump, None) => {
                let elsewhere = self.functions.iter().find(|f| f.labels.contains_key(name));
                match elsewhere {
                    Some(f) => error(
                        &pending.at,
                        format!("label `{name}` is in function `{}`: jumps stay inside a function", f.name),
                    ),
                    None => error(&pending.at, format!("there is no label `{name}`")),
                }
            }
            (SymbolKind::Call, Some(distance)) => {
                *op = Op::Call(CallTarget::Subprog(distance as i32));
                Ok(None)
            }
            (SymbolKind::Call, None) if other => {
                *op = Op::Call(CallTarget::Subprog(-1));
                open(RelocationKind::Call)
            }
            (SymbolKind::Call, None) => match self.names.and_then(|names| names(name)) {
                Some(target) => {
                    *op = Op::Call(target);
                    match target {
                        CallTarget::Kfunc { btf_id: 0, .. } => open(RelocationKind::Kfunc),
                        CallTarget::Kfunc { .. } | CallTarget::Helper(_) | CallTarget::Subprog(_) => Ok(None),
                    }
                }
                None => error(&pending.at, format!("no function, label or helper is called `{name}`")),
            },
            (SymbolKind::Code | SymbolKind::CodeOrMap, Some(distance)) => {
                set_value(op, Imm64::Code(distance as i32));
                Ok(None)
            }
            (SymbolKind::Code | SymbolKind::CodeOrMap, None) if other => {
                set_value(op, Imm64::Code(-1));
                open(RelocationKind::Code)
            }
            (SymbolKind::Code, None) => error(&pending.at, format!("there is no function `{name}`")),
            (SymbolKind::CodeOrMap, None) | (SymbolKind::Map, _) => open(RelocationKind::Map),
            (SymbolKind::MapValue, _) => open(RelocationKind::MapValue),
        }
    }

    fn set_jump(&self, op: &mut Op, to: i64, pending: &Pending<'t>, name: &str) -> Result<(), AsmError> {
        let short = i16::try_from(to);
        match op {
            Op::Jump { off, long } if *long || short.is_ok() => *off = to as i32,
            Op::JumpIf { off, .. } | Op::MayGoto { off } if short.is_ok() => *off = to as i16,
            _ => {
                return error(
                    &pending.at,
                    format!(
                        "label `{name}` is {to} slots away, a 16-bit offset does not reach it: use `gotol`"
                    ),
                );
            }
        }
        Ok(())
    }
}

fn set_value(op: &mut Op, new: Imm64) {
    if let Op::LoadImm64 { value, .. } = op {
        *value = new;
    }
}

impl Draft<'_> {
    /// The slot of a label, `1f` and `1b` being the nearest `1` behind and before `slot`.
    fn find_label(&self, name: &str, slot: usize) -> Option<usize> {
        if is_name(name) {
            return self.labels.get(name)?.first().copied();
        }
        let places = self.labels.get(name.trim_end_matches(['f', 'b']))?;
        let behind = places.partition_point(|&at| at <= slot);
        let index = if name.ends_with('b') { behind.checked_sub(1)? } else { behind };
        places.get(index).copied()
    }

    /// Labels other than numbers, in the order of their slots.
    fn named_labels(&self) -> Vec<(String, usize)> {
        let named = self.labels.iter().filter(|(name, _)| is_name(name));
        let mut list: Vec<_> =
            named.flat_map(|(name, slots)| slots.iter().map(|&at| (name.to_string(), at))).collect();
        list.sort_by_key(|&(_, slot)| slot);
        list
    }
}

/// Whether a label is a name and not a number.
fn is_name(label: &str) -> bool {
    !label.starts_with(|c: char| c.is_ascii_digit())
}

/// The operand of `.license`: one word or string.
fn text_operand(directive: &Token<'_>, rest: &[Token<'_>]) -> Result<String, AsmError> {
    match rest {
        [one] => Ok(one.text.trim_matches('"').trim_end_matches("\\0").to_string()),
        _ => error(directive, format!("expected one word or a string in quotes behind `{}`", directive.text)),
    }
}

fn map_decl(directive: &Token<'_>, rest: &[Token<'_>]) -> Result<MapDecl, AsmError> {
    let [name, attributes @ ..] = rest else {
        return error(directive, "expected `.map NAME type=… key=… value=… max_entries=…`");
    };
    if name.kind != Kind::Word {
        return error(name, format!("expected the map's name, found `{}`", name.text));
    }
    let mut attributes = attributes;
    let mut map = MapDecl { name: name.text.to_string(), line: directive.line, ..MapDecl::default() };
    while let [word, rest_of @ ..] = attributes {
        let [equals, value, rest_of @ ..] = rest_of else {
            return error(word, format!("expected `{}=…`", word.text));
        };
        if equals.text != "=" || !matches!(value.kind, Kind::Word | Kind::Number) {
            return error(word, format!("expected `{}=…`", word.text));
        }
        let size = || match number(value.text).and_then(|n| u32::try_from(n).ok()) {
            Some(n) => Ok(n),
            None => error(value, format!("expected a number up to {}, found `{}`", u32::MAX, value.text)),
        };
        attributes = rest_of;
        match word.text {
            "type" => map.map_type = value.text.to_string(),
            "key" | "key_size" => map.key_size = size()?,
            "value" | "value_size" => map.value_size = size()?,
            "max_entries" => map.max_entries = size()?,
            "flags" | "map_flags" => {
                map.flags.push(value.text.to_string());
                while let [bar, flag, rest_of @ ..] = attributes
                    && bar.text == "|"
                {
                    map.flags.push(flag.text.to_string());
                    attributes = rest_of;
                }
            }
            other => map.other.push((other.to_string(), value.text.to_string())),
        }
    }
    if map.map_type.is_empty() {
        return error(name, format!("map `{}` has no type: add `type=array` or another", map.name));
    }
    Ok(map)
}
