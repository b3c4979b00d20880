//! The packet of a run: a buffer with room before and behind, and where things lie in it.

/// Room that XDP programs find before the packet (`XDP_PACKET_HEADROOM`).
pub const XDP_HEADROOM: usize = 256;

/// Bytes at the start of the headroom that XDP programs may not use: the kernel keeps its `struct xdp_frame`
/// there (40 bytes on 64-bit machines).
pub const XDP_FRAME: usize = 40;

/// The longest that helpers make a packet of a socket buffer (`BPF_SKB_MAX_LEN`, net/core/filter.c: four pages
/// less the kernel's `skb_shared_info`).
pub const SKB_MAX_LEN: usize = 4 * 4096 - 320;

/// Room before the packet of a socket buffer. The kernel makes a larger buffer when a helper needs more room; here
/// there is enough for a packet that grows to [`SKB_MAX_LEN`] at its head.
pub const SKB_HEADROOM: usize = 4 * 4096;

/// Bytes of an Ethernet header.
pub const ETH_HLEN: usize = 14;

/// Bytes of a page that holds a part of a long XDP packet.
pub const XDP_FRAG: usize = 4096;

/// The pages behind the linear part of a long XDP packet (`skb_shared_info`): a place in the packet buffer from which
/// on there are whole pages of [`XDP_FRAG`] bytes. All that are used are full, but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Frags {
    /// Where the pages begin, which is where the linear part's tailroom ends; 0 when there is no such place.
    pub start: usize,
    /// Bytes of the packet in them.
    pub len: usize,
}

impl Frags {
    /// Bytes that the last used page has left.
    pub(crate) const fn room(self) -> usize {
        self.len.next_multiple_of(XDP_FRAG) - self.len
    }
}

/// Where things lie in a packet buffer, as byte offsets from its start: `meta <= data <= end`.
///
/// ```text
///  0          meta      data                     end        buffer length, or frags
///  | headroom | metadata | packet                 | tailroom | pages of a long XDP packet
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Layout {
    /// Start of the metadata; equal to `data` when there is none.
    pub meta: usize,
    /// First byte of the packet.
    pub data: usize,
    /// Behind the last byte of the packet.
    pub end: usize,
    /// The Ethernet header, for loads relative to `SKF_LL_OFF`; may lie before `data`.
    pub mac: Option<usize>,
    /// The network header, for loads relative to `SKF_NET_OFF`.
    pub network: usize,
    /// More of an XDP packet, which only helpers reach.
    pub frags: Frags,
}

impl Layout {
    /// A frame that fills a buffer of `len` bytes, Ethernet header first: what a raw socket receives.
    pub const fn frame(len: usize) -> Self {
        let network = if len < ETH_HLEN { len } else { ETH_HLEN };
        Self { meta: 0, data: 0, end: len, mac: Some(0), network, frags: Frags { start: 0, len: 0 } }
    }

    /// A frame whose program sees it from the network header on: what `BPF_PROG_TEST_RUN` shows a socket
    /// filter.
    pub const fn frame_from_network(len: usize) -> Self {
        let frame = Self::frame(len);
        Self { meta: frame.network, data: frame.network, ..frame }
    }

    /// A frame of `len` bytes in a buffer with [`SKB_HEADROOM`], seen from its Ethernet header: what programs of
    /// traffic control get. The rest of the buffer is tailroom.
    pub const fn skb(len: usize) -> Self {
        let data = SKB_HEADROOM;
        Self {
            meta: data,
            data,
            network: data + ETH_HLEN,
            end: data + len,
            mac: Some(data),
            ..Self::frame(0)
        }
    }

    /// The same frame, of at least [`ETH_HLEN`] bytes, seen from behind its Ethernet header.
    pub const fn skb_from_network(len: usize) -> Self {
        let frame = Self::skb(len);
        Self { meta: frame.network, data: frame.network, ..frame }
    }

    /// A frame of `len` bytes behind [`XDP_HEADROOM`]; the rest of the buffer is tailroom.
    pub const fn xdp(len: usize) -> Self {
        let data = XDP_HEADROOM;
        Self {
            meta: data,
            data,
            network: data + ETH_HLEN,
            end: data + len,
            mac: Some(data),
            ..Self::frame(0)
        }
    }

    pub(crate) fn fits(&self, buffer: usize) -> bool {
        let Frags { start, len } = self.frags;
        let pages = buffer.checked_sub(start).is_some_and(|room| len.next_multiple_of(XDP_FRAG) <= room);
        let linear = if start == 0 { len == 0 } else { self.end <= start && pages };
        self.meta <= self.data && self.data <= self.end && self.end <= buffer && linear
    }

    /// Bytes of the packet, without [`Self::frags`].
    pub const fn len(&self) -> usize {
        self.end - self.data
    }

    /// Whether the packet has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.end == self.data
    }
}
