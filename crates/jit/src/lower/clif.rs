//! Cranelift as the generator.

use std::sync::{Arc, OnceLock};

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::gimli::RunTimeEndian;
use cranelift_codegen::gimli::write::{Address, EhFrame, EndianVec, FrameTable};
use cranelift_codegen::isa::unwind::UnwindInfo;
use cranelift_codegen::isa::{self, CallConv, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, ir as clif};

use super::body::{self, Convention};
use super::link::{Pending, resolve};
use super::seam::Seam;
use super::signature::{Signature, signatures};
use super::{Frames, Lowering, Machine, MakeFrames, Placed, Position, Wanted};
use crate::Unsupported;
use crate::ir::{Func, Module};

/// Machine code by Cranelift.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cranelift;

/// Values of a function from which on the generator optimises nothing by itself: it takes half of the time, and our own
/// passes have done most of it. So with pieces of larger ones.
const LARGE: usize = 4000;

/// What stands for no slot among source locations.
const NO_SLOT: u32 = u32::MAX;

impl Lowering for Cranelift {
    fn lower(
        &self,
        module: &Module,
        entered: &[bool],
        seam: &Seam,
        wanted: &Wanted,
    ) -> Result<Machine, Unsupported> {
        let signatures = signatures(module, entered);
        // The generator's tail jumps go by frame pointers.
        let frame_pointers = wanted.frame_pointers || signatures.iter().any(|s| s.tail);
        let isa = target(wanted, frame_pointers)?;
        let plain = target(&Wanted { plain: true, ..wanted.clone() }, frame_pointers)?;
        let (isa, plain) = (&*isa, &*plain);
        let convention = Convention::of(isa);
        let count = module.functions.len();
        let mut out = Out::new(isa, wanted.text);
        for (at, function) in module.functions.iter().enumerate() {
            let size: usize = function.blocks.iter().map(|b| b.insts.len() + 1).sum();
            out.isa = if size > LARGE || function.piece { plain } else { isa };
            body::fill(&mut out.context.func, module, function, &signatures, at, seam, convention);
            out.finish(&function.name, at as u32, Some(Func(at as u32)))?;
        }
        out.isa = plain;
        // Before a function with tail jumps stands an entry with the C convention; beside a main function without, one that
        // other programs jump to.
        let mut entries = vec![None; count];
        let mut tail_entry = out.starts[0];
        for (at, Signature { tail, .. }) in signatures.iter().enumerate() {
            let main = at == 0;
            if !main && entered.get(at) != Some(&true) {
                continue;
            }
            entries[at] = Some(out.starts[at]);
            if *tail || main {
                let from = if *tail { convention.system } else { CallConv::Tail };
                let symbol = (count + at) as u32;
                body::fill_entry(&mut out.context.func, from, &signatures, at, convention);
                let name = format!(
                    "{}{}",
                    module.functions[at].name,
                    if *tail { " (entry)" } else { " (jumped to)" }
                );
                let start = out.finish(&name, symbol, None)?;
                if *tail {
                    entries[at] = Some(start);
                } else {
                    tail_entry = start;
                }
            }
        }
        out.machine(entries, tail_entry)
    }
}

/// Code as it grows.
struct Out<'a> {
    isa: &'a dyn TargetIsa,
    context: Context,
    control: ControlPlane,
    want_text: bool,
    code: Vec<u8>,
    align: usize,
    functions: Vec<Placed>,
    /// Starts by symbol; the functions' own indices, then the entries'.
    starts: Vec<u32>,
    positions: Vec<Position>,
    pending: Vec<Pending>,
    unwind: Vec<(u32, UnwindInfo)>,
    text: String,
}

impl<'a> Out<'a> {
    fn new(isa: &'a dyn TargetIsa, want_text: bool) -> Self {
        Self {
            isa,
            context: Context::new(),
            control: ControlPlane::default(),
            want_text,
            code: Vec::new(),
            align: 16,
            functions: Vec::new(),
            starts: Vec::new(),
            positions: Vec::new(),
            pending: Vec::new(),
            unwind: Vec::new(),
            text: String::new(),
        }
    }

    /// Generates what stands in the context, puts it behind the code, and gives its offset.
    fn finish(&mut self, name: &str, symbol: u32, func: Option<Func>) -> Result<u32, Unsupported> {
        self.context.set_disasm(self.want_text);
        self.context
            .compile(self.isa, &mut self.control)
            .map_err(|e| Unsupported::generator(name, &e.inner.to_string()))?;
        let compiled = self.context.compiled_code().expect("just compiled");
        let align =
            (compiled.buffer.alignment as usize).max(self.isa.function_alignment().preferred as usize);
        self.align = self.align.max(align);
        while !self.code.len().is_multiple_of(align) {
            self.code.push(0);
        }
        let start = offset(self.code.len())?;
        self.code.extend_from_slice(compiled.code_buffer());
        let end = offset(self.code.len())?;
        for reloc in compiled.buffer.relocs() {
            self.pending.push(Pending::of(start, reloc, &self.context.func)?);
        }
        let positions = &mut self.positions;
        let mut upto = start;
        let mut put = |offset: u32, slot: Option<u32>| match positions.last() {
            Some(last) if last.slot == slot && last.offset >= start => {}
            _ => positions.push(Position { offset, slot }),
        };
        for range in compiled.buffer.get_srclocs_sorted() {
            if start + range.start > upto {
                put(upto, None);
            }
            let slot = Some(range.loc.bits()).filter(|s| !range.loc.is_default() && *s != NO_SLOT);
            put(start + range.start, slot);
            upto = start + range.end;
        }
        if upto < end {
            put(upto, None);
        }
        if let Ok(Some(info)) = compiled.create_unwind_info(self.isa) {
            self.unwind.push((start, info));
        }
        if let Some(text) = &compiled.vcode {
            self.text.push_str(&format!("; {name}\n{text}\n"));
        }
        self.functions.push(Placed { name: name.to_owned(), func, start, end });
        let symbol = symbol as usize;
        if self.starts.len() <= symbol {
            self.starts.resize(symbol + 1, u32::MAX);
        }
        self.starts[symbol] = start;
        self.context.clear();
        Ok(start)
    }

    fn machine(mut self, entries: Vec<Option<u32>>, tail_entry: u32) -> Result<Machine, Unsupported> {
        for pending in &self.pending {
            resolve(&mut self.code, pending, &self.starts)?;
        }
        let cie = self.isa.create_systemv_cie();
        let endian = match self.isa.endianness() {
            clif::Endianness::Little => RunTimeEndian::Little,
            clif::Endianness::Big => RunTimeEndian::Big,
        };
        let unwind = self.unwind;
        let frames = cie.map(|cie| -> Box<MakeFrames> {
            Box::new(move |base| {
                let mut table = FrameTable::default();
                let cie = table.add_cie(cie.clone());
                for (start, info) in &unwind {
                    if let UnwindInfo::SystemV(info) = info {
                        table.add_fde(cie, info.to_fde(Address::Constant(base + u64::from(*start))));
                    }
                }
                let mut section = EhFrame(EndianVec::new(endian));
                table.write_eh_frame(&mut section).ok()?;
                let mut bytes = section.0.into_vec();
                // The end of the section, for those who read it without its length.
                bytes.extend_from_slice(&[0; 4]);
                Some(bytes)
            })
        });
        Ok(Machine {
            code: self.code,
            align: self.align,
            functions: self.functions,
            entries,
            tail_entry,
            positions: self.positions,
            text: self.want_text.then_some(self.text),
            frames: Frames(frames),
        })
    }
}

fn offset(at: usize) -> Result<u32, Unsupported> {
    // Relative calls reach that far on every target.
    u32::try_from(at).ok().filter(|at| *at < 1 << 27).ok_or_else(Unsupported::too_large)
}

/// The target that is wanted; this machine's are made once.
fn target(wanted: &Wanted, frame_pointers: bool) -> Result<OwnedTargetIsa, Unsupported> {
    static HOST: [OnceLock<Result<OwnedTargetIsa, Unsupported>>; 4] = [const { OnceLock::new() }; 4];
    let Some(name) = &wanted.target else {
        let which = usize::from(wanted.plain) << 1 | usize::from(frame_pointers);
        let kept = HOST[which].get_or_init(|| {
            let builder = cranelift_native::builder().map_err(Unsupported::target)?;
            finish_target(builder, wanted.plain, frame_pointers)
        });
        return kept.as_ref().map(Arc::clone).map_err(Clone::clone);
    };
    let builder = isa::lookup_by_name(name).map_err(|e| Unsupported::target(&format!("{name}: {e}")))?;
    finish_target(builder, wanted.plain, frame_pointers)
}

fn finish_target(
    builder: isa::Builder,
    plain: bool,
    frame_pointers: bool,
) -> Result<OwnedTargetIsa, Unsupported> {
    let mut flags = settings::builder();
    let mut set =
        |name: &str, value: &str| flags.set(name, value).map_err(|e| Unsupported::target(&e.to_string()));
    let truth = |b: bool| if b { "true" } else { "false" };
    set("opt_level", if plain { "none" } else { "speed" })?;
    set("regalloc_algorithm", "backtracking")?;
    set("enable_verifier", truth(cfg!(debug_assertions)))?;
    // Loads are the program's own: two stay two, since others may write in between.
    set("enable_alias_analysis", "false")?;
    set("unwind_info", "true")?;
    set("enable_probestack", "false")?;
    set("preserve_frame_pointers", truth(frame_pointers))?;
    builder.finish(settings::Flags::new(flags)).map_err(|e| Unsupported::target(&e.to_string()))
}
