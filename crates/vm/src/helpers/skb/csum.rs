//! Internet checksums (RFC 1071): sums of 16-bit words in ones' complement. The words are taken as they stand in
//! memory, so that sums can be added without regard to byte order.

use skep_spec::Errno;

use super::super::{Args, Call, errno};
use super::Skb;
use crate::trap::TrapKind;

/// `BPF_F_HDR_FIELD_MASK`: bytes of the field that changed.
const FIELD: u64 = 0xf;
const PSEUDO_HDR: u64 = 1 << 4;
const MARK_MANGLED_0: u64 = 1 << 5;
const MARK_ENFORCE: u64 = 1 << 6;
const IPV6: u64 = 1 << 7;
/// What UDP sends where the checksum comes out as 0, which means "none" (`CSUM_MANGLED_0`).
const MANGLED_0: u16 = 0xffff;

/// A sum of two, the carry added (`csum_add`).
fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u32::from(carry)
}

/// A difference (`csum_sub`).
fn sub(a: u32, b: u32) -> u32 {
    add(a, !b)
}

/// A sum in 16 bits, not complemented (`csum_from32to16`).
fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum + (sum >> 16)) as u16
}

/// A checksum after what it covers went from `from` to `to`.
fn replaced(sum: u16, from: u32, to: u32) -> u16 {
    !fold(add(sub((!sum).into(), from), to))
}

/// The sum of bytes and a seed, as `csum_partial` has it on 64-bit machines: words of 8 bytes, the last one filled
/// up with zeros. What it is modulo 0xffff all machines agree on; whether 0 comes out as 0 or 0xffff depends.
struct Sum(u64);

impl Sum {
    fn new(seed: u32) -> Self {
        Self(seed.into())
    }

    fn word(&mut self, word: [u8; 8]) {
        let (sum, carry) = self.0.overflowing_add(u64::from_ne_bytes(word));
        self.0 = sum + u64::from(carry);
    }

    fn finish(self) -> u32 {
        add(self.0 as u32, (self.0 >> 32) as u32)
    }
}

/// The sum of guest memory.
fn partial(call: &mut Call<'_, '_, '_>, addr: u64, len: u64, seed: u32) -> Result<u32, TrapKind> {
    let mut sum = Sum::new(seed);
    let mut done = 0;
    while done < len {
        let (mut word, part) = ([0; 8], (len - done).min(8));
        if call.mem.read(addr.wrapping_add(done), &mut word[..part as usize]).is_none() {
            return Err(call.fault(addr, len, false));
        }
        sum.word(word);
        done += part;
    }
    Ok(sum.finish())
}

/// `bpf_csum_diff(from, from_size, to, to_size, seed)`: the seed without `from`'s sum and with `to`'s, in 16 bits.
pub(in super::super) fn csum_diff(
    call: &mut Call<'_, '_, '_>,
    [from, from_size, to, to_size, seed]: Args,
) -> Result<u64, TrapKind> {
    let (from_size, to_size) = (u64::from(from_size as u32), u64::from(to_size as u32));
    let seed = seed as u32;
    let sum = match (from_size, to_size) {
        (0, 0) => seed,
        (0, _) => partial(call, to, to_size, seed)?,
        (_, 0) => !partial(call, from, from_size, !seed)?,
        (_, _) => {
            let added = partial(call, to, to_size, seed)?;
            sub(added, partial(call, from, from_size, 0)?)
        }
    };
    Ok(fold(sum).into())
}

/// What a change does to a checksum: `size` of the field (the low bits of the flags), or the difference in `to`.
fn change(sum: u16, from: u64, to: u64, flags: u64) -> Result<u16, Errno> {
    match flags & FIELD {
        0 if from == 0 => Ok(replaced(sum, 0, to as u32)),
        2 => Ok(replaced(sum, (from as u16).into(), (to as u16).into())),
        4 => Ok(replaced(sum, from as u32, to as u32)),
        _ => Err(Errno::EINVAL),
    }
}

/// The offset of a checksum, if it is even, at most 0xffff and inside the packet.
fn place(skb: &Skb<'_, '_, '_, '_>, offset: u64) -> Option<(usize, u16)> {
    let offset = usize::from(u16::try_from(offset as u32).ok().filter(|off| off % 2 == 0)?);
    Some((offset, u16::from_ne_bytes(skb.bytes(offset)?)))
}

/// `bpf_l3_csum_replace(skb, offset, from, to, flags)`: flags are the size of the field that changed from `from` to
/// `to`, or 0 and `to` is a difference.
pub(in super::super) fn l3_csum_replace(
    call: &mut Call<'_, '_, '_>,
    [skb, offset, from, to, flags]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::changing(call, skb)?;
    if flags & !FIELD != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let Some((offset, sum)) = place(&skb, offset) else { return Ok(errno(Errno::EFAULT)) };
    let done = change(sum, from, to, flags).map(|sum| skb.put(offset, &sum.to_ne_bytes()));
    Ok(skb.done(done))
}

/// `bpf_l4_csum_replace(skb, offset, from, to, flags)`: the same; with `BPF_F_MARK_MANGLED_0` a checksum of 0 stays
/// (it means "none", unless `BPF_F_MARK_ENFORCE` says that there is one), and one that comes out as 0 is stored
/// as 0xffff. `BPF_F_PSEUDO_HDR` and `BPF_F_IPV6` matter only to sums of the device, see [`crate::SkbState`].
pub(in super::super) fn l4_csum_replace(
    call: &mut Call<'_, '_, '_>,
    [skb, offset, from, to, flags]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::changing(call, skb)?;
    if flags & !(FIELD | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6) != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let Some((offset, sum)) = place(&skb, offset) else { return Ok(errno(Errno::EFAULT)) };
    let mangled = flags & MARK_MANGLED_0 != 0;
    if mangled && flags & MARK_ENFORCE == 0 && sum == 0 {
        return Ok(skb.done(Ok(())));
    }
    let done = change(sum, from, to, flags).map(|sum| {
        let sum = if mangled && sum == 0 { MANGLED_0 } else { sum };
        skb.put(offset, &sum.to_ne_bytes());
    });
    Ok(skb.done(done))
}

/// `bpf_csum_update(skb, csum)`: adds to the sum that the device made of the packet. There is none: -ENOTSUPP.
pub(in super::super) fn csum_update(call: &mut Call<'_, '_, '_>, [skb, ..]: Args) -> Result<u64, TrapKind> {
    Skb::of(call, skb).map(|_| errno(Errno::ENOTSUPP))
}

/// Checksums beyond the first that can be marked as verified (`SKB_MAX_CSUM_LEVEL`).
const MAX_LEVEL: u8 = 3;

/// `bpf_csum_level(skb, level)`: asks (0) how many checksums beyond the first have been verified, -EACCES for none;
/// says that one more has (1) or one less (2); forgets all (3).
pub(in super::super) fn csum_level(
    call: &mut Call<'_, '_, '_>,
    [skb, level, ..]: Args,
) -> Result<u64, TrapKind> {
    let mut skb = Skb::of(call, skb)?;
    let verified = &mut skb.state().csum_level;
    *verified = match (level, *verified) {
        (0, level) => return Ok(level.map_or(errno(Errno::EACCES), u64::from)),
        (1, None) => Some(0),
        (1, Some(n)) => Some(MAX_LEVEL.min(n + 1)),
        (2, n) => n.and_then(|n| n.checked_sub(1)),
        (3, _) => None,
        _ => return Ok(errno(Errno::EINVAL)),
    };
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let mut sum = Sum::new(0);
        sum.word([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(fold(sum.finish()).to_ne_bytes(), [0xdd, 0xf2]);
    }

    #[test]
    fn a_replaced_checksum_is_that_of_the_new_bytes() {
        let checksum = |words: &[u16]| !fold(words.iter().fold(0, |sum, w| add(sum, u32::from(*w))));
        for (old, new) in [(0, 1), (0xffff, 0), (0x1234, 0x1234), (1, 0xfffe), (0x8000, 0x7fff)] {
            let before = checksum(&[0x4500, old, 0x4006, 7]);
            assert_eq!(replaced(before, old.into(), new.into()), checksum(&[0x4500, new, 0x4006, 7]));
        }
    }

    #[test]
    fn zero_comes_only_from_zeros() {
        assert_eq!(Sum::new(0).finish(), 0);
        let mut sum = Sum::new(1);
        sum.word(0xffff_ffff_ffff_fffe_u64.to_ne_bytes());
        assert_eq!(sum.finish(), u32::MAX);
    }
}
