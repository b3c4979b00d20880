//! What a flow dissector is given: `struct bpf_flow_keys`, behind a `struct __sk_buff` of which it sees little.

use skep_abi::FLOW_KEYS_BYTES;
use skep_spec::Errno;
use skep_vm::ETH_HLEN;

use super::{Refused, fitted};

/// Bytes of `struct bpf_flow_keys`.
pub(crate) const FLOW_KEYS: usize = FLOW_KEYS_BYTES as usize;

/// Offsets in `struct bpf_flow_keys`.
mod field {
    pub(super) const NHOFF: usize = 0;
    pub(super) const THOFF: usize = 2;
    pub(super) const N_PROTO: usize = 10;
    pub(super) const FLAGS: usize = 48;
    pub(super) const FLAGS_END: usize = 52;
}

/// A `struct bpf_flow_keys`, aligned as in C.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(crate) struct FlowKeys(pub(crate) [u8; FLOW_KEYS]);

impl FlowKeys {
    /// The keys before a test run on a frame (`bpf_prog_test_run_flow_dissector`); of `user` only the flags may be
    /// set.
    pub(crate) fn for_test(frame: &[u8], user: &[u8]) -> Result<Self, Refused> {
        let mut keys: [u8; FLOW_KEYS] = fitted(user)?;
        let flags = field::FLAGS..field::FLAGS_END;
        if keys.iter().enumerate().any(|(i, b)| *b != 0 && !flags.contains(&i)) {
            return Err((Errno::EINVAL, "the context sets more of bpf_flow_keys than its flags"));
        }
        let mut set = |off: usize, v: u16| keys[off..off + 2].copy_from_slice(&v.to_ne_bytes());
        set(field::NHOFF, ETH_HLEN as u16);
        set(field::THOFF, ETH_HLEN as u16);
        if let Some(protocol) = frame.get(ETH_HLEN - 2..ETH_HLEN) {
            keys[field::N_PROTO..field::N_PROTO + 2].copy_from_slice(protocol);
        }
        Ok(Self(keys))
    }

    /// What Linux makes of the offsets that a program leaves (`bpf_flow_dissect`): they stay in the frame, and the
    /// transport header does not come before the network header.
    pub(crate) fn clamp(&mut self, frame: usize) {
        let most = u16::try_from(frame).unwrap_or(u16::MAX);
        let nhoff = self.word(field::NHOFF).clamp(ETH_HLEN as u16, most);
        let thoff = self.word(field::THOFF).clamp(nhoff, most);
        self.0[field::NHOFF..field::NHOFF + 2].copy_from_slice(&nhoff.to_ne_bytes());
        self.0[field::THOFF..field::THOFF + 2].copy_from_slice(&thoff.to_ne_bytes());
    }

    fn word(&self, off: usize) -> u16 {
        u16::from_ne_bytes([self.0[off], self.0[off + 1]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_stay_in_the_frame() {
        let mut keys = FlowKeys::for_test(&[1; 60], &[]).unwrap();
        assert_eq!((keys.word(0), keys.word(2), keys.word(10)), (14, 14, 0x101));
        for (given, kept) in
            [((0, 0), (14, 14)), ((20, 15), (20, 20)), ((99, 30), (60, 60)), ((34, 54), (34, 54))]
        {
            keys.0[..2].copy_from_slice(&u16::to_ne_bytes(given.0));
            keys.0[2..4].copy_from_slice(&u16::to_ne_bytes(given.1));
            keys.clamp(60);
            assert_eq!((keys.word(0), keys.word(2)), kept);
        }
    }
}
