//! Test runs of programs on a `struct __sk_buff` (`bpf_prog_test_run_skb`).

use skep_spec::{Error, RunInput, RunOutput};
use skep_vm::{ETH_HLEN, Layout, SKB_HEADROOM, SKB_MAX_LEN, SkbState};

use super::{Effects, TestRun};
use crate::ctx::skb::SkBuff;
use crate::source::{ETH_P_IP, ETH_P_IPV6, ethertype};

/// Where a program's packet starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the Ethernet header.
    Frame,
    /// Behind it. What it said comes back as zeros.
    Network,
}

impl TestRun<'_> {
    /// Checks the frame and makes the context.
    fn arrive(&self, input: RunInput<'_>, start: Start) -> Result<SkBuff, Error> {
        let len = input.data.len();
        self.bounds(len, ETH_HLEN, "a frame")?;
        let protocol = ethertype(input.data);
        match protocol {
            ETH_P_IP => self.bounds(len, ETH_HLEN + 20, "a frame with an IPv4 header")?,
            ETH_P_IPV6 => self.bounds(len, ETH_HLEN + 40, "a frame with an IPv6 header")?,
            _ => {}
        }
        let seen = match start {
            Start::Frame => len,
            Start::Network => len - ETH_HLEN,
        };
        SkBuff::for_test(input.data, seen, protocol, input.ctx).map_err(|why| self.error(why.0, why.1))
    }

    /// Socket filters: their packet is read-only, so that it need not be copied.
    pub(super) fn socket_filter(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        let mut skb = self.arrive(input, Start::Network)?;
        let layout = Layout::frame_from_network(input.data.len());
        let (retval, duration) = self
            .repeat(input.repeat, |run| {
                self.program.run(&mut run.with_ctx(skb.image_mut()).with_packet_read_only(input.data, layout))
            })
            .map_err(|t| self.trapped(&t))?;
        let mut data = input.data.to_vec();
        data[..ETH_HLEN].fill(0);
        Ok(RunOutput { retval, data, ctx: skb.to_user(input.ctx), duration, ..RunOutput::default() })
    }

    /// Programs that may change their packet. As in Linux, a repeated run goes on with the packet and the context
    /// that the run before left.
    pub(super) fn skb(&self, input: RunInput<'_>, start: Start) -> Result<RunOutput, Error> {
        let mut skb = self.arrive(input, start)?;
        let len = input.data.len();
        let mut buffer = vec![0; SKB_HEADROOM + len.max(SKB_MAX_LEN)];
        buffer[SKB_HEADROOM..SKB_HEADROOM + len].copy_from_slice(input.data);
        let mut layout = match start {
            Start::Frame => Layout::skb(len),
            Start::Network => Layout::skb_from_network(len),
        };
        let (mut state, mut effects) = (SkbState::default(), Effects::default());
        let (retval, duration) = self
            .repeat(input.repeat, |run| {
                let mut run = run.with_ctx(skb.image_mut()).with_packet(&mut buffer, layout).with_skb(state);
                let outcome = self.program.run(&mut run)?;
                layout = run.packet().unwrap_or(layout);
                state = run.skb();
                effects.take(&run);
                Ok(outcome)
            })
            .map_err(|t| self.trapped(&t))?;
        let mut data = match start {
            Start::Frame => Vec::new(),
            Start::Network => vec![0; ETH_HLEN],
        };
        data.extend_from_slice(&buffer[layout.data..layout.end]);
        let Effects { redirect, clones } = effects;
        Ok(RunOutput { retval, data, ctx: skb.to_user(input.ctx), duration, redirect, clones })
    }
}
