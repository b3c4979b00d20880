//! Test runs of flow dissectors (`bpf_prog_test_run_flow_dissector`) and of socket lookups
//! (`bpf_prog_test_run_sk_lookup`).

use skep_spec::{Errno, Error, RunInput, RunOutput};
use skep_vm::{ETH_HLEN, Layout};

use super::TestRun;
use crate::ctx::flow::{FLOW_KEYS, FlowKeys};
use crate::ctx::lookup::SkLookup;
use crate::ctx::skb::SkBuff;

impl TestRun<'_> {
    /// The packet is read-only; the data that comes back are the flow keys.
    pub(super) fn flow_dissector(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        let len = input.data.len();
        self.bounds(len, ETH_HLEN, "a frame")?;
        let before = FlowKeys::for_test(input.data, input.ctx).map_err(|why| self.error(why.0, why.1))?;
        let mut skb = SkBuff::new();
        let mut keys = before;
        let (retval, duration) = self
            .repeat(input.repeat, |run| {
                keys = before;
                let run = run.with_packet_read_only(input.data, Layout::frame(len));
                let outcome =
                    self.program.run(&mut run.with_ctx(skb.image_mut()).with_flow_keys(&mut keys.0))?;
                keys.clamp(len);
                Ok(outcome)
            })
            .map_err(|t| self.trapped(&t))?;
        let mut ctx = input.ctx.to_vec();
        if !ctx.is_empty() {
            ctx.resize(FLOW_KEYS, 0);
        }
        Ok(RunOutput { retval, data: keys.0.to_vec(), ctx, duration, ..RunOutput::default() })
    }

    pub(super) fn sk_lookup(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        if !input.data.is_empty() {
            return Err(self.error(Errno::EINVAL, "a socket lookup takes a context, no data"));
        }
        let mut ctx = SkLookup::for_test(input.ctx).map_err(|why| self.error(why.0, why.1))?;
        let (retval, duration) = self
            .repeat(input.repeat, |run| self.program.run(&mut run.with_ctx(ctx.image_mut())))
            .map_err(|t| self.trapped(&t))?;
        Ok(RunOutput { retval, data: Vec::new(), ctx: ctx.to_user(), duration, ..RunOutput::default() })
    }
}
