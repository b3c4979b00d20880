//! Context images: what `r1` points to, by program type.

pub(crate) mod flow;
pub(crate) mod lookup;
pub(crate) mod skb;
pub(crate) mod xdp;

use skep_spec::Errno;

/// Why a context cannot be taken.
pub(crate) type Refused = (Errno, &'static str);

/// The loopback device, which test runs take place on.
const LOOPBACK: u32 = 1;
/// Longest context that the kernel looks at (`bpf_check_uarg_tail_zero`: a page).
const CONTEXT_MAX: usize = 4096;

fn word(bytes: &[u8], off: usize) -> u32 {
    bytes.get(off..off + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// A context at its right length: padded, or cut where only zeros stand behind (`bpf_check_uarg_tail_zero`).
fn fitted<const N: usize>(user: &[u8]) -> Result<[u8; N], Refused> {
    if user.len() > CONTEXT_MAX {
        return Err((Errno::E2BIG, "the context is longer than 4096 bytes"));
    }
    let mut out = [0; N];
    let fit = user.len().min(N);
    out[..fit].copy_from_slice(&user[..fit]);
    if user[fit..].iter().any(|b| *b != 0) {
        return Err((Errno::E2BIG, "the context is longer than its structure and not zero behind"));
    }
    Ok(out)
}
