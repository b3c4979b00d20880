//! Native code as text.

use crate::compile::Compiled;

/// An instruction of native code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeInsn {
    /// Offset in the program's code, bytes.
    pub offset: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its text, in the syntax of the GNU assembler.
    pub text: String,
    /// The slot of the program that it stands for.
    pub slot: Option<u32>,
}

impl Compiled {
    /// The instructions of the function at an index of [`Self::functions`].
    pub fn disassemble(&self, function: usize) -> Vec<NativeInsn> {
        let placed = &self.functions()[function];
        let (start, end) = (placed.start as usize, placed.end as usize);
        let bytes = &self.bytes()[start..end];
        let insns = decode(bytes, self.address() + start as u64, &|at| self.name_of(at));
        let insns = insns.into_iter().map(|(at, len, text)| {
            let offset = placed.start + at as u32;
            NativeInsn { offset, bytes: bytes[at..at + len].to_vec(), text, slot: self.slot_at(offset) }
        });
        insns.collect()
    }

    /// The function at an address.
    fn name_of(&self, address: u64) -> Option<String> {
        let offset = u32::try_from(address.checked_sub(self.address())?).ok()?;
        self.functions().iter().find(|f| f.start == offset).map(|f| f.name.clone())
    }
}

/// Offset, length and text of each instruction.
#[cfg(all(target_arch = "x86_64", feature = "disassemble"))]
fn decode(bytes: &[u8], address: u64, name: &dyn Fn(u64) -> Option<String>) -> Vec<(usize, usize, String)> {
    use iced_x86::{Decoder, DecoderOptions, Formatter, GasFormatter, Mnemonic};
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let mut formatter = GasFormatter::new();
    let mut all = Vec::new();
    while decoder.can_decode() {
        let insn = decoder.decode();
        let mut text = String::new();
        formatter.format(&insn, &mut text);
        let target = insn.near_branch_target();
        if insn.mnemonic() == Mnemonic::Call
            && let Some(name) = name(target)
        {
            text.push_str(&format!(" <{name}>"));
        }
        all.push(((insn.ip() - address) as usize, insn.len(), text));
    }
    all
}

/// Words: no disassembler for this machine is built in.
#[cfg(not(all(target_arch = "x86_64", feature = "disassemble")))]
fn decode(bytes: &[u8], _: u64, _: &dyn Fn(u64) -> Option<String>) -> Vec<(usize, usize, String)> {
    let words = bytes.chunks(4).enumerate();
    let text = |word: &[u8]| match *word {
        [a, b, c, d] => format!(".long 0x{:08x}", u32::from_ne_bytes([a, b, c, d])),
        _ => format!(".byte {word:?}"),
    };
    words.map(|(i, word)| (4 * i, word.len(), text(word))).collect()
}
