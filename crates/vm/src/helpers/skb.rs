//! Helpers of programs that see a socket buffer (net/core/filter.c).

use skep_spec::Errno;

use super::{Args, Call, errno};
use crate::trap::TrapKind;

/// `bpf_skb_load_bytes(skb, offset, to, len)`: copies packet bytes; where they are not all inside the packet it
/// zeroes `to` and gives -EFAULT. Offsets count from where the program's packet starts, never before it.
pub(super) fn skb_load_bytes(
    call: &mut Call<'_, '_, '_>,
    [skb, offset, to, len, _]: Args,
) -> Result<u64, TrapKind> {
    let packet = call.packet(skb)?;
    // The kernel's parameters are 32 bits wide.
    let (offset, len) = (offset as u32, u64::from(len as u32));
    if len == 0 {
        return Err(TrapKind::Size(len));
    }
    let start = i32::try_from(offset).ok().map(|off| off as usize);
    let inside = start.filter(|&off| off <= packet.len() && len <= (packet.len() - off) as u64);
    let done = match inside {
        Some(off) => call.mem.copy_packet(packet.data + off, len as usize, to),
        None => call.mem.zero(to, len),
    };
    match (done, inside) {
        (None, _) => Err(call.fault(to, len, true)),
        (Some(()), Some(_)) => Ok(0),
        (Some(()), None) => Ok(errno(Errno::EFAULT)),
    }
}
