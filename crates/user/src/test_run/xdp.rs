//! Test runs of XDP programs (`bpf_prog_test_run_xdp`).

use skep_spec::{Errno, Error, RunInput, RunOutput};
use skep_vm::{ETH_HLEN, Frags, Layout, XDP_FRAG, XDP_HEADROOM};

use super::{Effects, TestRun};
use crate::ctx::xdp::XdpMd;

/// Bytes of a packet that stand in one piece before an XDP program: a page less head- and tailroom.
pub(crate) const XDP_LINEAR: usize = 4096 - XDP_HEADROOM - 320;

/// Pages of a packet behind its linear part (`MAX_SKB_FRAGS`).
const FRAGS_MAX: usize = 17;

impl TestRun<'_> {
    /// What does not fit into the first page stands in further ones, as in Linux whether the program says that it can
    /// do with them (`BPF_F_XDP_HAS_FRAGS`) or not.
    pub(super) fn xdp(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        self.bounds(input.data.len(), ETH_HLEN, "a frame")?;
        let given = XdpMd::for_test(input.data.len(), input.ctx).map_err(|why| self.error(why.0, why.1))?;
        self.bounds(input.data.len() - given.meta, ETH_HLEN, "a frame behind its metadata")?;
        let linear = given.end.min(given.meta + XDP_LINEAR);
        let (head, rest) = input.data.split_at(linear);
        if rest.len() > FRAGS_MAX * XDP_FRAG {
            let why =
                format!("{} bytes of data: more than {FRAGS_MAX} pages behind the first", input.data.len());
            return Err(self.error(Errno::ENOMEM, &why));
        }
        let (meta, start) = (given.meta, XDP_HEADROOM - given.meta);
        let pages = XDP_HEADROOM + XDP_LINEAR;
        let frags = Frags { start: pages, len: rest.len() };
        let layout = Layout { meta: start, frags, ..Layout::xdp(linear - meta) };
        let mut buffer = vec![0; pages + rest.len().next_multiple_of(XDP_FRAG)];
        buffer[start..start + linear].copy_from_slice(head);
        buffer[pages..pages + rest.len()].copy_from_slice(rest);
        // As in Linux, a repeated run goes on with the packet that the run before left.
        let mut last = layout;
        let (mut image, mut effects) = (given.image, Effects::default());
        let (retval, duration) = self
            .repeat(input.repeat, |run| {
                let mut run = run.with_ctx(&mut image).with_packet(&mut buffer, last);
                let outcome = self.program.run(&mut run)?;
                last = run.packet().unwrap_or(last);
                effects.take(&run);
                Ok(outcome)
            })
            .map_err(|t| self.trapped(&t))?;
        let mut data = buffer[last.meta..last.end].to_vec();
        data.extend_from_slice(&buffer[pages..pages + last.frags.len]);
        let ctx = if input.ctx.is_empty() { Vec::new() } else { given.to_user(last) };
        let Effects { redirect, clones } = effects;
        Ok(RunOutput { retval, data, ctx, duration, redirect, clones })
    }
}
