//! Running a program on live packets, one after another.

use std::fmt;
use std::sync::Arc;

use skep_abi::ProgramType;
use skep_spec::{Errno, Error, Redirect};
use skep_vm::{
    ETH_HLEN, Layout, Program, Run, SKB_HEADROOM, SKB_MAX_LEN, Stack, Trap, TrapKind, XDP_HEADROOM,
};

use crate::backend::Shared;
use crate::ctx::skb::SkBuff;
use crate::ctx::xdp::XdpMd;
use crate::host::RunHost;
use crate::program::UserProgram;
use crate::source::{Packet, VlanTag};
use crate::test_run::{XDP_LINEAR, fuel};

/// Packets that are run before others may have the virtual CPU.
const PER_LEASE: usize = 64;

/// Runs one program on packets, on one thread at a time.
///
/// A socket filter sees each packet as on a raw socket, from its Ethernet header. An XDP program sees a copy with
/// room before and behind, VLAN tag in place, which [`Self::packet`] shows afterwards. Programs of traffic control
/// (from the Ethernet header) and of control groups (from the network header) see a copy as well, its VLAN tag in the
/// context. Each packet leases a virtual CPU, or a few one after another do.
pub struct Runner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) program: Arc<Program>,
    pub(crate) stack: Box<Stack>,
    pub(crate) kind: Kind,
    packet_clock: bool,
    pub(crate) redirect: Option<Redirect>,
}

pub(crate) enum Kind {
    SocketFilter(Box<SkBuff>),
    Xdp {
        buffer: Vec<u8>,
        layout: Layout,
    },
    /// `skip`: bytes of the frame that the program does not see; `vlan`: the tag that it left in the context.
    Stack {
        buffer: Vec<u8>,
        layout: Layout,
        skip: usize,
        vlan: Option<VlanTag>,
    },
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("program", &self.program.name()).finish_non_exhaustive()
    }
}

impl Runner {
    /// Prepares a program for packets.
    ///
    /// # Errors
    /// `EINVAL` when it is of a type that runs on no packets.
    pub fn new(program: &UserProgram) -> Result<Self, Error> {
        let kind = match program.program().prog_type() {
            ProgramType::SOCKET_FILTER => Kind::SocketFilter(Box::new(SkBuff::new())),
            ProgramType::XDP => {
                Kind::Xdp { buffer: vec![0; XDP_HEADROOM + XDP_LINEAR], layout: Layout::xdp(0) }
            }
            ProgramType::SCHED_CLS | ProgramType::SCHED_ACT => {
                Kind::Stack { buffer: Vec::new(), layout: Layout::skb(0), skip: 0, vlan: None }
            }
            ProgramType::CGROUP_SKB => {
                Kind::Stack { buffer: Vec::new(), layout: Layout::skb(0), skip: ETH_HLEN, vlan: None }
            }
            other => {
                let text = format!(
                    "program {} has type {}, which does not run on packets; socket filters, XDP, traffic control and control groups' programs do",
                    program.program().name(),
                    other.name().unwrap_or("unknown")
                );
                return Err(Error::new(Errno::EINVAL, text));
            }
        };
        Ok(Self {
            shared: Arc::clone(program.shared()),
            program: Arc::clone(program.program()),
            stack: Box::new(Stack::new()),
            kind,
            packet_clock: false,
            redirect: None,
        })
    }

    /// Programs see each packet's time as the current time: for captures.
    #[must_use]
    pub fn with_packet_clock(mut self) -> Self {
        self.packet_clock = true;
        self
    }

    /// Runs the program on a packet; gives `r0`'s low half: for a socket filter how many bytes to keep, for XDP and
    /// traffic control the action, for a control group whether the packet passes.
    ///
    /// # Errors
    /// When the program traps.
    pub fn run_packet(&mut self, packet: &Packet<'_>) -> Result<u32, Trap> {
        let Self { shared, program, stack, kind, packet_clock, redirect } = self;
        let lease = shared.domain.lease().ok_or_else(|| no_cpu(program))?;
        kind.run(program, shared, stack, (lease.cpu(), *packet_clock), packet, redirect)
    }

    /// As [`Self::run_packet`] for one packet after another; `each` learns what came of each. A virtual CPU is leased
    /// for some at a time.
    pub fn run_packets<'p>(
        &mut self,
        packets: impl IntoIterator<Item = &'p Packet<'p>>,
        mut each: impl FnMut(&'p Packet<'p>, Result<u32, Trap>),
    ) {
        let Self { shared, program, stack, kind, packet_clock, redirect } = self;
        let mut packets = packets.into_iter().peekable();
        while packets.peek().is_some() {
            let lease = shared.domain.lease();
            for packet in packets.by_ref().take(PER_LEASE) {
                let verdict = match &lease {
                    Some(lease) => {
                        kind.run(program, shared, stack, (lease.cpu(), *packet_clock), packet, redirect)
                    }
                    None => Err(no_cpu(program)),
                };
                each(packet, verdict);
            }
        }
    }

    /// Where the program wanted the last packet to go, if a redirecting helper succeeded. Nothing has been sent
    /// ([`Self::forward`] does); it counts only if the verdict says so too.
    pub fn redirect(&self) -> Option<Redirect> {
        self.redirect
    }

    /// The packet as the program left it, as much of it as the program sees; empty for socket filters, which leave it
    /// as it was.
    pub fn packet(&self) -> &[u8] {
        match &self.kind {
            Kind::SocketFilter(_) => &[],
            Kind::Xdp { buffer, layout } | Kind::Stack { buffer, layout, .. } => {
                buffer.get(layout.data..layout.end).unwrap_or(&[])
            }
        }
    }
}

impl Kind {
    /// Runs a program on a virtual CPU that is leased.
    #[inline(always)]
    fn run(
        &mut self,
        program: &Program,
        shared: &Shared,
        stack: &mut Stack,
        (cpu, packet_clock): (u32, bool),
        packet: &Packet<'_>,
        redirect: &mut Option<Redirect>,
    ) -> Result<u32, Trap> {
        *redirect = None;
        let now = packet_clock.then_some(packet.time_ns);
        let host = RunHost::new(shared, now);
        // In place: a run is some hundred bytes, and moving one that was just written waits for all of them.
        let mut run = Run::new(stack, &host);
        run.set_fuel(fuel(program));
        run.set_vcpu(cpu);
        run.set_programs(&shared.programs);
        let outcome = match self {
            Self::SocketFilter(skb) => {
                skb.set_packet(packet);
                let layout = Layout::frame(packet.data.len());
                run.lend_ctx(skb.image_mut());
                run.lend_packet_read_only(packet.data, layout);
                program.run(&mut run)?
            }
            Self::Xdp { buffer, layout } => {
                *layout = Layout::xdp(place_tagged(packet, buffer));
                let mut image = XdpMd::arriving(packet.ifindex).image;
                run.lend_ctx(&mut image);
                run.lend_packet(buffer, *layout);
                let result = program.run(&mut run);
                *layout = run.packet().unwrap_or(*layout);
                *redirect = run.redirect();
                result?
            }
            Self::Stack { buffer, layout, skip, vlan } => {
                let len = packet.data.len();
                buffer.resize(SKB_HEADROOM + len.max(SKB_MAX_LEN), 0);
                buffer[SKB_HEADROOM..SKB_HEADROOM + len].copy_from_slice(packet.data);
                let frame = Layout::skb(len);
                let data = frame.data + len.min(*skip);
                *layout = Layout { meta: data, data, ..frame };
                let mut skb = SkBuff::in_stack(packet, layout.len());
                run.lend_ctx(skb.image_mut());
                run.lend_packet(buffer, *layout);
                let result = program.run(&mut run);
                *layout = run.packet().unwrap_or(*layout);
                *redirect = run.redirect();
                drop(run);
                *vlan = skb.vlan();
                result?
            }
        };
        Ok(outcome.r0 as u32)
    }
}

/// Why a program did not run.
#[cold]
pub(crate) fn no_cpu(program: &Program) -> Trap {
    Trap { prog_id: program.id(), pc: 0, kind: TrapKind::NoCpu }
}

/// Puts a packet behind the headroom, its VLAN tag back in place as a driver hands it to XDP; gives its length.
/// A packet that needs more than a page leaves no tailroom.
fn place_tagged(packet: &Packet<'_>, buffer: &mut Vec<u8>) -> usize {
    let tag = packet.vlan.filter(|_| packet.data.len() >= ETH_HLEN);
    let len = packet.data.len() + if tag.is_some() { 4 } else { 0 };
    buffer.resize(XDP_HEADROOM + len.max(XDP_LINEAR), 0);
    tag_into(packet.data, tag, &mut buffer[XDP_HEADROOM..XDP_HEADROOM + len])
}

/// Copies a frame with a tag between its addresses and its type; gives the length. `to` has as many bytes.
pub(crate) fn tag_into(frame: &[u8], tag: Option<VlanTag>, to: &mut [u8]) -> usize {
    match tag.filter(|_| frame.len() >= ETH_HLEN) {
        None => to[..frame.len()].copy_from_slice(frame),
        Some(tag) => {
            let (addresses, rest) = frame.split_at(ETH_HLEN - 2);
            to[..12].copy_from_slice(addresses);
            to[12..14].copy_from_slice(&tag.tpid.to_be_bytes());
            to[14..16].copy_from_slice(&tag.tci.to_be_bytes());
            to[16..16 + rest.len()].copy_from_slice(rest);
            return frame.len() + 4;
        }
    }
    frame.len()
}
