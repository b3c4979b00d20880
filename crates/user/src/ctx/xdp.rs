//! `struct xdp_md` as programs see it.

use skep_spec::Errno;
use skep_vm::Layout;

use super::{LOOPBACK, Refused, fitted, word};

/// Bytes of `struct xdp_md`.
const XDP_MD: usize = 24;

/// Offsets in `struct xdp_md`.
mod md {
    pub(super) const DATA: usize = 0;
    pub(super) const DATA_END: usize = 4;
    pub(super) const DATA_META: usize = 8;
    pub(super) const INGRESS_IFINDEX: usize = 12;
    pub(super) const RX_QUEUE_INDEX: usize = 16;
    pub(super) const EGRESS_IFINDEX: usize = 20;
}

/// A `struct xdp_md`, and where the packet of a test run lies in the data given.
#[derive(Clone, Copy)]
pub(crate) struct XdpMd {
    pub(crate) image: [u8; XDP_MD],
    /// Bytes of metadata at the start of the data.
    pub(crate) meta: usize,
    /// Where the part before the program ends in the data.
    pub(crate) end: usize,
    given: usize,
}

/// Largest metadata: the headroom less the kernel's `struct xdp_frame`.
const META_MAX: u32 = (skep_vm::XDP_HEADROOM - skep_vm::XDP_FRAME) as u32;

impl XdpMd {
    /// The context of a packet that came in on an interface.
    pub(crate) fn arriving(ifindex: u32) -> Self {
        let mut image = [0; XDP_MD];
        image[md::INGRESS_IFINDEX..md::INGRESS_IFINDEX + 4].copy_from_slice(&ifindex.to_ne_bytes());
        Self { image, meta: 0, end: 0, given: 0 }
    }

    /// The context of a packet that came in on an interface and is to leave by another; 0 for none.
    pub(crate) fn leaving(ingress: u32, egress: u32) -> Self {
        let mut md = Self::arriving(ingress);
        md.image[md::EGRESS_IFINDEX..].copy_from_slice(&egress.to_ne_bytes());
        md
    }

    /// The context of a test run (`xdp_convert_md_to_buff`): `data` is the length of the metadata, `data_end`
    /// where the packet ends.
    pub(crate) fn for_test(len: usize, user: &[u8]) -> Result<Self, Refused> {
        if user.is_empty() {
            return Ok(Self { end: len, ..Self::arriving(LOOPBACK) });
        }
        let mut image: [u8; XDP_MD] = fitted(user)?;
        let (meta, end) = (word(&image, md::DATA), word(&image, md::DATA_END));
        if word(&image, md::DATA_META) != 0 || word(&image, md::EGRESS_IFINDEX) != 0 {
            return Err((Errno::EINVAL, "data_meta and egress_ifindex of the context must be 0"));
        }
        if meta > end || end as usize > len {
            return Err((
                Errno::EINVAL,
                "data and data_end of the context do not lie in the data in this order",
            ));
        }
        if meta > META_MAX || !meta.is_multiple_of(4) {
            return Err((Errno::EINVAL, "data, the length of the metadata, is no multiple of 4 up to 216"));
        }
        let (ifindex, queue) = (word(&image, md::INGRESS_IFINDEX), word(&image, md::RX_QUEUE_INDEX));
        if queue != 0 {
            return Err((Errno::EINVAL, "rx_queue_index of the context: the loopback device has no queues"));
        }
        if ifindex > LOOPBACK {
            return Err((
                Errno::ENODEV,
                "ingress_ifindex of the context: there is only the loopback device, 1",
            ));
        }
        image[md::INGRESS_IFINDEX..md::INGRESS_IFINDEX + 4].copy_from_slice(&LOOPBACK.to_ne_bytes());
        Ok(Self { image, meta: meta as usize, end: end as usize, given: ifindex as usize })
    }

    /// What a test run gives back (`xdp_convert_buff_to_md`).
    pub(crate) fn to_user(self, layout: Layout) -> Vec<u8> {
        let mut out = vec![0; XDP_MD];
        let mut set = |off: usize, v: usize| out[off..off + 4].copy_from_slice(&(v as u32).to_ne_bytes());
        set(md::DATA, layout.data - layout.meta);
        set(md::DATA_END, layout.end - layout.meta);
        set(md::INGRESS_IFINDEX, self.given);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_a_test_run_is_bounded_as_the_kernel_does() {
        let md = |fields: [u32; 6]| {
            let user: Vec<u8> = fields.into_iter().flat_map(u32::to_ne_bytes).collect();
            XdpMd::for_test(60, &user).map(|m| (m.meta, m.end)).map_err(|e| e.0)
        };
        assert_eq!(md([0, 60, 0, 0, 0, 0]), Ok((0, 60)));
        assert_eq!(md([8, 60, 0, 1, 0, 0]), Ok((8, 60)));
        assert_eq!(md([36, 60, 0, 0, 0, 0]), Ok((36, 60)));
        for wrong in [
            [8, 68, 0, 0, 0, 0],
            [3, 60, 0, 0, 0, 0],
            [0, 60, 0, 0, 1, 0],
            [0, 60, 0, 0, 0, 1],
            [64, 60, 0, 0, 0, 0],
        ] {
            assert_eq!(md(wrong), Err(Errno::EINVAL), "{wrong:?}");
        }
    }
}
