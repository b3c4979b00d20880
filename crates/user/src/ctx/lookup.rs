//! `struct bpf_sk_lookup` as programs see it.

use skep_spec::Errno;

use super::{Refused, fitted, word};

/// Bytes of `struct bpf_sk_lookup`.
const SK_LOOKUP: usize = 72;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// Offsets in `struct bpf_sk_lookup`.
mod field {
    use std::ops::Range;

    pub(super) const SK: Range<usize> = 0..8;
    pub(super) const FAMILY: usize = 8;
    pub(super) const PROTOCOL: usize = 12;
    pub(super) const REMOTE_IP4: Range<usize> = 16..20;
    pub(super) const REMOTE_IP6: Range<usize> = 20..36;
    pub(super) const PORT_PADDING: Range<usize> = 38..40;
    pub(super) const LOCAL_IP4: Range<usize> = 40..44;
    pub(super) const LOCAL_IP6: Range<usize> = 44..60;
    pub(super) const LOCAL_PORT: usize = 60;
    pub(super) const LOCAL_PORT_END: usize = 64;
}

/// A `struct bpf_sk_lookup`.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(crate) struct SkLookup {
    image: [u8; SK_LOOKUP],
    given: [u8; SK_LOOKUP],
}

impl SkLookup {
    /// The context of a test run (`bpf_prog_test_run_sk_lookup`).
    pub(crate) fn for_test(user: &[u8]) -> Result<Self, Refused> {
        if user.is_empty() {
            return Err((Errno::EINVAL, "a socket lookup takes a context, a struct bpf_sk_lookup"));
        }
        let given: [u8; SK_LOOKUP] = fitted(user)?;
        if given[field::SK].iter().chain(&given[field::LOCAL_PORT_END..]).any(|b| *b != 0) {
            return Err((Errno::EINVAL, "sk, and what follows local_port, must be 0 in the context"));
        }
        if word(&given, field::LOCAL_PORT) > u16::MAX.into() {
            return Err((Errno::ERANGE, "local_port of the context is above 65535"));
        }
        let mut image = given;
        // The kernel keeps these in 16 bits.
        for off in [field::FAMILY, field::PROTOCOL] {
            let low = word(&given, off) & 0xffff;
            image[off..off + 4].copy_from_slice(&low.to_ne_bytes());
        }
        image[field::PORT_PADDING].fill(0);
        let other = match word(&image, field::FAMILY) {
            AF_INET => [field::REMOTE_IP6, field::LOCAL_IP6],
            AF_INET6 => [field::REMOTE_IP4, field::LOCAL_IP4],
            _ => {
                return Err((
                    Errno::EAFNOSUPPORT,
                    "family of the context is neither AF_INET, 2, nor AF_INET6, 10",
                ));
            }
        };
        for part in other {
            image[part].fill(0);
        }
        Ok(Self { image, given })
    }

    pub(crate) fn image_mut(&mut self) -> &mut [u8] {
        &mut self.image
    }

    /// What a test run gives back: what it was given, since no program can select a socket here.
    pub(crate) fn to_user(self) -> Vec<u8> {
        self.given.to_vec()
    }
}
