//! What a socket buffer knows beside its bytes and the scalars of its `__sk_buff`.

/// What a socket buffer knows beside its bytes and its `__sk_buff`. The default is that of a buffer just received,
/// whose device knows nothing.
///
/// The kernel's `CHECKSUM_COMPLETE` and `CHECKSUM_PARTIAL` do not occur: nothing here computes or asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SkbState {
    /// `None`: no checksum has been verified (`CHECKSUM_NONE`). Otherwise the outermost `n + 1` have been
    /// (`CHECKSUM_UNNECESSARY` with `csum_level` n).
    pub csum_level: Option<u8>,
    /// The hash was set by a program, so 0 is not "unknown".
    pub hash_set: bool,
    /// The transport header, as an offset in the packet buffer, once a program has said where it is.
    pub transport: Option<usize>,
    /// A program has put another packet around this one.
    pub encapsulated: bool,
}
