//! Inputs into bytes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::locate::find_member;
use super::words::{is_char, range};
use super::{Input, MAX_DEPTH, Misfit, Spot, fits, type_name};
use crate::print::Options;
use crate::types::{IntEncoding, Type, TypeId};
use crate::{Btf, Endian};

/// Writes a value into the bytes of the whole that a spot is in. What a list leaves out becomes 0. `options` give the
/// byte order.
///
/// # Errors
/// What the type does not take, with what it takes; bytes that end before the spot does. The bytes may have changed
/// then.
pub fn store(btf: &Btf, spot: Spot, input: &Input, bytes: &mut [u8], options: Options) -> Result<(), Misfit> {
    let mut writer = Writer { btf, bytes, endian: options.endian };
    writer.value(spot, input, 0)
}

struct Writer<'a> {
    btf: &'a Btf,
    bytes: &'a mut [u8],
    endian: Endian,
}

impl Writer<'_> {
    #[cold]
    fn misfit(&self, spot: Spot, input: &Input) -> Misfit {
        let ty = type_name(self.btf, spot.ty);
        let width = match spot.bitfield_bits {
            0 => String::new(),
            n => format!(" of {n} bits"),
        };
        Misfit::new(format!("{} does not fit into `{ty}`{width}: {}", spelled(input), fits(self.btf, spot)))
    }

    fn value(&mut self, spot: Spot, input: &Input, depth: u32) -> Result<(), Misfit> {
        if depth > MAX_DEPTH {
            return Err(Misfit::new(format!("types nest deeper than {MAX_DEPTH} levels")));
        }
        let btf = self.btf;
        let bits = |whole: u32| if spot.bitfield_bits == 0 { whole } else { spot.bitfield_bits.into() };
        if let Input::Bytes(raw) = input {
            return self.raw(spot, raw);
        }
        match btf.resolved(spot.ty) {
            Type::Int { encoding: IntEncoding::Bool, off_bits, bits: whole, .. } => {
                let on = match input {
                    Input::Bool(on) => *on,
                    Input::Int(0) => false,
                    Input::Int(1) => true,
                    _ => return Err(self.misfit(spot, input)),
                };
                self.put(spot.off_bits + u64::from(*off_bits), bits((*whole).into()), on.into())
            }
            Type::Int { encoding, off_bits, bits: whole, .. } => {
                let (signed, width) = (*encoding == IntEncoding::Signed, bits((*whole).into()));
                let (mut least, mut most) = range(signed, width);
                if is_char(btf, spot.ty) && spot.bitfield_bits == 0 {
                    (least, most) = (-128, 255);
                }
                self.number(spot, spot.off_bits + u64::from(*off_bits), width, (least, most), input)
            }
            Type::Ptr { .. } => {
                let width = btf.pointer_size() * 8;
                self.number(spot, spot.off_bits, width, range(false, width), input)
            }
            t @ (Type::Enum { size, signed, .. } | Type::Enum64 { size, signed, .. }) => {
                let width = bits(size * 8);
                let (Input::Word(name) | Input::Text(name)) = input else {
                    return self.number(spot, spot.off_bits, width, range(*signed, width), input);
                };
                let Some(v) = t.values().iter().find(|v| btf.str(v.name) == name) else {
                    return Err(self.misfit(spot, input));
                };
                let value = if *signed { v.value.into() } else { i128::from(v.value.cast_unsigned()) };
                self.number(spot, spot.off_bits, width, range(*signed, width), &Input::Int(value))
            }
            Type::Float { size, .. } => {
                let number = match input {
                    Input::Float(f) => *f,
                    Input::Int(n) => *n as f64,
                    Input::Word(word) if word == "inf" => f64::INFINITY,
                    Input::Word(word) if word == "NaN" => f64::NAN,
                    _ => return Err(self.misfit(spot, input)),
                };
                match size {
                    4 => self.put(spot.off_bits, 32, (number as f32).to_bits().into()),
                    8 => self.put(spot.off_bits, 64, number.to_bits().into()),
                    _ => Err(self.misfit(spot, input)),
                }
            }
            Type::Array { element, len, .. } => self.array(spot, *element, *len, input, depth),
            Type::Struct { .. } | Type::Union { .. } => self.fields(spot, input, depth),
            Type::Var { ty, .. } => self.value(Spot { ty: *ty, ..spot }, input, depth + 1),
            Type::Void
            | Type::Fwd { .. }
            | Type::Typedef { .. }
            | Type::Volatile { .. }
            | Type::Const { .. }
            | Type::Restrict { .. }
            | Type::Func { .. }
            | Type::FuncProto { .. }
            | Type::Datasec { .. }
            | Type::DeclTag { .. }
            | Type::TypeTag { .. } => Err(self.misfit(spot, input)),
        }
    }

    fn number(
        &mut self,
        spot: Spot,
        at: u64,
        width: u32,
        (least, most): (i128, u128),
        input: &Input,
    ) -> Result<(), Misfit> {
        let raw = match *input {
            Input::Int(n) if n < 0 && n >= least => n.cast_unsigned(),
            Input::Int(n) if n >= 0 && n.cast_unsigned() <= most => n.cast_unsigned(),
            Input::Huge(n) if n <= most => n,
            _ => return Err(self.misfit(spot, input)),
        };
        self.put(at, width, raw)
    }

    fn array(
        &mut self,
        spot: Spot,
        element: TypeId,
        len: u32,
        input: &Input,
        depth: u32,
    ) -> Result<(), Misfit> {
        let btf = self.btf;
        let whole = self.region(spot)?;
        match input {
            Input::Text(text) if is_char(btf, element) && text.len() <= len as usize => {
                whole.fill(0);
                whole[..text.len()].copy_from_slice(text.as_bytes());
                Ok(())
            }
            Input::List(items) if items.len() <= len as usize => {
                whole.fill(0);
                let step = u64::from(btf.size_of(element).unwrap_or(0)) * 8;
                for (i, (name, item)) in (0u64..).zip(items) {
                    if name.is_some() {
                        return Err(self.misfit(spot, input));
                    }
                    let spot = Spot { ty: element, off_bits: spot.off_bits + i * step, bitfield_bits: 0 };
                    self.value(spot, item, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(self.misfit(spot, input)),
        }
    }

    fn fields(&mut self, spot: Spot, input: &Input, depth: u32) -> Result<(), Misfit> {
        let Input::List(items) = input else { return Err(self.misfit(spot, input)) };
        self.region(spot)?.fill(0);
        let btf = self.btf;
        let members = btf.resolved(spot.ty).members();
        for (i, (name, item)) in items.iter().enumerate() {
            let found = match name {
                Some(name) => find_member(btf, members, name, spot.off_bits, 0),
                None => members.get(i).map(|m| Spot {
                    ty: m.ty,
                    off_bits: spot.off_bits + u64::from(m.off_bits),
                    bitfield_bits: m.bitfield_bits,
                }),
            };
            let field = found.ok_or_else(|| match name {
                Some(name) => Misfit::new(format!(
                    "`{}` has no member `{name}`: {}",
                    type_name(btf, spot.ty),
                    fits(btf, spot)
                )),
                None => self.misfit(spot, input),
            })?;
            self.value(field, item, depth + 1).map_err(|e| match name {
                Some(name) => Misfit::new(format!("`.{name}`: {e}")),
                None => e,
            })?;
        }
        Ok(())
    }

    fn raw(&mut self, spot: Spot, raw: &[u8]) -> Result<(), Misfit> {
        let whole = self.region(spot)?;
        if whole.len() == raw.len() {
            whole.copy_from_slice(raw);
            return Ok(());
        }
        let (want, ty) = (whole.len(), type_name(self.btf, spot.ty));
        Err(Misfit::new(format!("{} bytes do not fit into `{ty}`: it has {want}", raw.len())))
    }

    /// The bytes of a spot that is no bit-field.
    fn region(&mut self, spot: Spot) -> Result<&mut [u8], Misfit> {
        let ty = type_name(self.btf, spot.ty);
        if spot.bitfield_bits != 0 || !spot.off_bits.is_multiple_of(8) {
            return Err(Misfit::new(format!("a bit-field of `{ty}` takes numbers only")));
        }
        let Some(size) = self.btf.size_of(spot.ty) else {
            return Err(Misfit::new(format!("a value of type `{ty}` has no size")));
        };
        let (start, have) = (spot.off_bits / 8, self.bytes.len());
        let range = usize::try_from(start).ok().and_then(|s| Some(s..s.checked_add(size as usize)?));
        range.and_then(|r| self.bytes.get_mut(r)).ok_or_else(|| {
            Misfit::new(format!("`{ty}` at byte {start} ends after the {have} bytes that there are"))
        })
    }

    /// The `bits` low bits of `raw` to bit `at`, counted as printing counts them: from the least significant in little
    /// endian, from the most significant in big endian.
    fn put(&mut self, at: u64, bits: u32, raw: u128) -> Result<(), Misfit> {
        if at + u64::from(bits) > self.bytes.len() as u64 * 8 {
            return Err(Misfit::new(format!(
                "the value ends before byte {}",
                (at + u64::from(bits)).div_ceil(8)
            )));
        }
        for i in 0..u64::from(bits) {
            let (from, mask) = match self.endian {
                Endian::Little => (i, 1 << ((at + i) % 8)),
                Endian::Big => (u64::from(bits) - 1 - i, 0x80 >> ((at + i) % 8)),
            };
            let byte = &mut self.bytes[((at + i) / 8) as usize];
            if raw >> from & 1 == 1 { *byte |= mask } else { *byte &= !mask }
        }
        Ok(())
    }
}

/// An input for messages.
fn spelled(input: &Input) -> String {
    match input {
        Input::Int(n) => format!("{n}"),
        Input::Huge(n) => format!("{n}"),
        Input::Bool(b) => format!("{b}"),
        Input::Float(f) => format!("{f}"),
        Input::Text(text) if text.len() > 40 => format!("text of {} bytes", text.len()),
        Input::Text(text) => format!("\"{}\"", text.escape_debug()),
        Input::Word(word) => format!("`{word}`"),
        Input::Bytes(raw) => format!("{} bytes", raw.len()),
        Input::List(items) => {
            let named: Vec<&str> = items.iter().filter_map(|(n, _)| n.as_deref()).collect();
            if named.is_empty() {
                format!("{{…}} of {}", items.len())
            } else {
                format!("{{.{} …}}", named[0])
            }
        }
    }
}
