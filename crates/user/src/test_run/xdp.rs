//! Test runs of XDP programs (`bpf_prog_test_run_xdp`).

use skep_spec::{Error, RunInput, RunOutput};
use skep_vm::{ETH_HLEN, Layout, XDP_HEADROOM};

use super::{Effects, TestRun};
use crate::ctx::xdp::XdpMd;

/// Bytes of a packet that stand in one piece before an XDP program: a page less head- and tailroom.
pub(crate) const XDP_LINEAR: usize = 4096 - XDP_HEADROOM - 320;

impl TestRun<'_> {
    pub(super) fn xdp(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        self.bounds(input.data.len(), ETH_HLEN, "a frame")?;
        let given = XdpMd::for_test(input.data.len(), input.ctx).map_err(|why| self.error(why.0, why.1))?;
        let linear = given.end.min(given.meta + XDP_LINEAR);
        let (meta, start) = (given.meta, XDP_HEADROOM - given.meta);
        let layout = Layout { meta: start, ..Layout::xdp(linear - meta) };
        let mut buffer = vec![0; XDP_HEADROOM + XDP_LINEAR];
        buffer[start..start + linear].copy_from_slice(&input.data[..linear]);
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
        data.extend_from_slice(&input.data[linear..]);
        let ctx = if input.ctx.is_empty() { Vec::new() } else { given.to_user(last) };
        let Effects { redirect, clones } = effects;
        Ok(RunOutput { retval, data, ctx, duration, redirect, clones })
    }
}
