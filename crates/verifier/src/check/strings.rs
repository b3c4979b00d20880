//! Constant strings: arguments whose text is known when the program is verified.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_abi::{BPRINTF_ARGS, MapType, check_format};
use skep_isa::Reg;

use super::memory::region;
use crate::Code;
use crate::program::Program;
use crate::state::{Kind, State};
use crate::violation::{Check, Explain, refuse};

const WANTED: &str = "a string in a map that nobody can change, as constants of the program are";
const REMEDY: &str = "declare it as static const char NAME[] = \"…\"";

/// The text at a register, without its NUL (`check_reg_const_str`).
pub(super) fn constant(p: &Program<'_>, s: &State, reg: Reg) -> Check<Vec<u8>> {
    let value = s.reg(reg);
    let no = |words: String, known: &str| {
        refuse(Code::BadArgument, words).explain(WANTED, format!("r{}: {known}", reg.0), REMEDY)
    };
    let Kind::MapValue(map) = value.kind else {
        return no(format!("R{} type=? expected=map_value", reg.0), "no map value");
    };
    let def = p.map(map);
    let Some(initial) = p.constants(map) else {
        let known = format!("map {} may change", def.name);
        return no(format!("R{} does not point to a readonly map'", reg.0), &known);
    };
    let Some(var) = value.val.as_const() else {
        return no(format!("R{} is not a constant address'", reg.0), "the address varies");
    };
    if def.kind != MapType::ARRAY {
        return no("no direct value access support for this map type".into(), "the map is no array");
    }
    let (off, len) = (i64::from(value.off), i64::from(def.value_size));
    region(s, reg, value.off, len - off, len as u64, false, |at| {
        format!("invalid access to map value, value_size={len} off={at} size={}", len - off)
    })?;
    if def.max_entries != 1 {
        return no("direct value access on string failed".into(), "the array has several elements");
    }
    let at = usize::try_from(off.wrapping_add(var as i64)).unwrap_or(usize::MAX);
    let end = def.value_size as usize;
    // What the initial contents leave out is zero.
    let text = initial.get(at..end.min(initial.len())).unwrap_or(&[]);
    match text.iter().position(|&b| b == 0) {
        Some(nul) => Ok(text[..nul].to_vec()),
        None if initial.len() < end && at < end => Ok(text.to_vec()),
        None => no("string is not zero-terminated".into(), "the map's value ends before the string"),
    }
}

/// A format for arguments of so many bytes (`check_bpf_snprintf_call`).
pub(super) fn format(text: &[u8], bytes: u64) -> Check<()> {
    let words = match bytes.is_multiple_of(8) {
        false => "Invalid size of arguments",
        true if check_format(text, (bytes / 8) as usize).is_err() => "Invalid format string",
        true => return Ok(()),
    };
    refuse(Code::BadArgument, words).explain(
        "a format of %d %u %x with l or ll, %c, %s, %p, and a u64 for each",
        format!("the format is {:?} for {bytes} bytes of arguments", String::from_utf8_lossy(text)),
        format!("correct the format; at most {BPRINTF_ARGS} arguments"),
    )
}
