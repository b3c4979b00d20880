//! Running a program on packets, one after another.

use std::fmt;

use skep_abi::ProgramType;
use skep_spec::{Errno, Redirect, RunInput};
use skep_user::UserProgram;
use skep_user::forward::{Forwarded, Transmit};
use skep_user::source::{Packet, PacketType};

use crate::{Error, ErrorKind, Program};

/// Bytes of an Ethernet header.
const ETH_HLEN: usize = 14;

/// What an XDP program decides (`enum xdp_action`); an open number, since a program may return any.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct XdpAction(pub u32);

impl XdpAction {
    /// The program failed; the packet is dropped.
    pub const ABORTED: Self = Self(0);
    /// Dropped.
    pub const DROP: Self = Self(1);
    /// Goes on to the network stack.
    pub const PASS: Self = Self(2);
    /// Sent back where it came from.
    pub const TX: Self = Self(3);
    /// Sent elsewhere.
    pub const REDIRECT: Self = Self(4);

    /// `XDP_PASS` and so on.
    pub fn name(self) -> Option<&'static str> {
        ["XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"].get(self.0 as usize).copied()
    }

    /// Whether a packet leaves the program: passed, sent back or redirected.
    pub fn forwards(self) -> bool {
        matches!(self, Self::PASS | Self::TX | Self::REDIRECT)
    }
}

impl fmt::Display for XdpAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "unknown action {}", self.0),
        }
    }
}

/// How the return values of a program on packets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdicts {
    /// Socket filters: how many bytes to keep, 0 for none.
    Keep,
    /// XDP: an [`XdpAction`].
    Xdp,
    /// Traffic control: `TC_ACT_OK` and so on (include/uapi/linux/pkt_cls.h).
    Tc,
    /// Control groups: the lowest bit says whether the packet passes.
    Cgroup,
}

/// From `TC_ACT_OK`, 0, on.
const TC_ACTIONS: [&str; 9] = [
    "TC_ACT_OK",
    "TC_ACT_RECLASSIFY",
    "TC_ACT_SHOT",
    "TC_ACT_PIPE",
    "TC_ACT_STOLEN",
    "TC_ACT_QUEUED",
    "TC_ACT_REPEAT",
    "TC_ACT_REDIRECT",
    "TC_ACT_TRAP",
];
const TC_ACT_REDIRECT: u32 = 7;
const TC_ACT_UNSPEC: u32 = u32::MAX;

impl Verdicts {
    /// Slots of [`Tally::actions`]: the last is for unknown ones, that before it for `TC_ACT_UNSPEC`.
    const SLOTS: usize = TC_ACTIONS.len() + 2;

    fn slot(self, retval: u32) -> usize {
        let known = match self {
            Self::Keep => 0,
            Self::Xdp => 5,
            Self::Tc if retval == TC_ACT_UNSPEC => return Self::SLOTS - 2,
            Self::Tc => TC_ACTIONS.len(),
            Self::Cgroup => 4,
        };
        if (retval as usize) < known { retval as usize } else { Self::SLOTS - 1 }
    }

    /// The action that a slot of [`Tally::actions`] counts.
    pub fn action(self, slot: usize) -> &'static str {
        let known = match self {
            Self::Keep => None,
            Self::Xdp => u32::try_from(slot).ok().and_then(|n| XdpAction(n).name()),
            Self::Tc if slot == Self::SLOTS - 2 => Some("TC_ACT_UNSPEC"),
            Self::Tc => TC_ACTIONS.get(slot).copied(),
            Self::Cgroup => ["drop", "pass", "drop, congested", "pass, congested"].get(slot).copied(),
        };
        known.unwrap_or("unknown action")
    }

    /// Whether a packet goes on after the program, here or elsewhere.
    pub fn forwards(self, retval: u32) -> bool {
        match self {
            Self::Keep => retval != 0,
            Self::Xdp => XdpAction(retval).forwards(),
            // What is shot, stolen, queued or trapped does not.
            Self::Tc => !matches!(retval, 2 | 4 | 5 | 8),
            Self::Cgroup => retval & 1 != 0,
        }
    }

    /// Whether a verdict says that the packet goes where a redirecting helper said.
    pub fn redirects(self, retval: u32) -> bool {
        match self {
            Self::Xdp => XdpAction(retval) == XdpAction::REDIRECT,
            Self::Tc => retval == TC_ACT_REDIRECT,
            Self::Keep | Self::Cgroup => false,
        }
    }

    /// Whether the program may have changed the packet, which [`Verdict::data`] then is.
    pub fn changes(self) -> bool {
        matches!(self, Self::Xdp | Self::Tc)
    }
}

/// What a program made of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// The program's return value, as its [`Verdicts`] say.
    pub retval: u32,
    /// The packet afterwards.
    pub data: &'a [u8],
    /// Where the packet is to go, if the verdict is to redirect it and the backend tells.
    pub redirect: Option<Redirect>,
    /// What came of it, if the runner sends packets ([`Runner::with_transmit`]).
    pub forwarded: Forwarded,
}

/// Runs one program on packets.
///
/// A socket filter sees each packet from its Ethernet header, as on a raw socket. An XDP program sees what
/// arrives, with VLAN tags in place; what a host sends never comes before one ([`Runner::takes`]). A program of traffic
/// control sees a frame, one of a control group the packet from its network header, VLAN tags in the context (in place
/// where packets are test runs of the kernel).
pub struct Runner {
    program: Program,
    kind: Verdicts,
    engine: Engine,
    transmit: Option<Box<dyn Transmit>>,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("program", &self.program.name()).finish_non_exhaustive()
    }
}

/// How packets come before the program.
#[derive(Debug)]
enum Engine {
    User(skep_user::Runner),
    /// Any other backend: a test run per packet.
    TestRun {
        input: Vec<u8>,
        output: Vec<u8>,
    },
}

impl Runner {
    /// Prepares a program for packets.
    ///
    /// # Errors
    /// `Usage` when it is of a type that runs on no packets here.
    pub fn new(program: &Program) -> Result<Self, Error> {
        let kind = match program.spec().prog_type {
            ProgramType::SOCKET_FILTER => Verdicts::Keep,
            ProgramType::XDP => Verdicts::Xdp,
            ProgramType::SCHED_CLS | ProgramType::SCHED_ACT => Verdicts::Tc,
            ProgramType::CGROUP_SKB => Verdicts::Cgroup,
            other => {
                let words = format!(
                    "program `{}` has type {}, which does not run on packets here; socket filters, XDP, traffic control and control groups' programs do, others once on given bytes (`skep prog run`, `Program::test_run`)",
                    program.name(),
                    other.name().unwrap_or("unknown")
                );
                return Err(Error::new(ErrorKind::Usage, words));
            }
        };
        let engine = match program.inner.as_any().downcast_ref::<UserProgram>() {
            Some(own) => Engine::User(skep_user::Runner::new(own)?),
            None => Engine::TestRun { input: Vec::new(), output: Vec::new() },
        };
        Ok(Self { program: program.clone(), kind, engine, transmit: None })
    }

    /// The program takes each packet's time for the current time, for captures: in the user backend only, the
    /// kernel's clock is the kernel's.
    #[must_use]
    pub fn with_packet_clock(mut self) -> Self {
        self.engine = match self.engine {
            Engine::User(runner) => Engine::User(runner.with_packet_clock()),
            Engine::TestRun { .. } => self.engine,
        };
        self
    }

    /// Packets are sent where the program says, `XDP_TX` back where they came in; programs in elements of devmaps and
    /// cpumaps run before. Whatever the verdict, who handed a packet on keeps it. In the user backend only.
    #[must_use]
    pub fn with_transmit(mut self, to: Box<dyn Transmit>) -> Self {
        self.transmit = Some(to);
        self
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// How its verdicts are read.
    pub fn verdicts(&self) -> Verdicts {
        self.kind
    }

    /// Whether a packet comes before such a program at all: XDP sees arriving ones only.
    pub fn takes(&self, packet: &Packet<'_>) -> bool {
        self.kind != Verdicts::Xdp || packet.pkt_type != PacketType::OUTGOING
    }

    /// Runs the program on a packet.
    ///
    /// # Errors
    /// When the program traps, or the backend cannot run it on such a packet.
    pub fn run<'r>(&'r mut self, packet: &Packet<'r>) -> Result<Verdict<'r>, Error> {
        match &mut self.engine {
            Engine::User(runner) => {
                let retval = runner.run_packet(packet).map_err(|t| trapped(self.program.name(), t))?;
                let redirect = runner.redirect().filter(|_| self.kind.redirects(retval));
                let forwarded =
                    self.transmit.as_deref_mut().map(|to| runner.forward(retval, packet.ifindex, to));
                let data = if self.kind.changes() { runner.packet() } else { packet.data };
                Ok(Verdict { retval, data, redirect, forwarded: forwarded.unwrap_or_default() })
            }
            Engine::TestRun { input, output } => {
                frame(self.kind, packet, input);
                let ran = self.program.test_run(RunInput { data: input, ctx: &[], repeat: 1 })?;
                *output = ran.data;
                let data = if self.kind.changes() { output } else { packet.data };
                let redirect = ran.redirect.filter(|_| self.kind.redirects(ran.retval));
                Ok(Verdict { retval: ran.retval, data, redirect, forwarded: Forwarded::default() })
            }
        }
    }
}

impl Runner {
    /// As [`Self::run`] for packets that are in memory, one after another, with less around each; `each` learns the
    /// return value of each.
    pub fn run_all<'p>(
        &mut self,
        packets: impl IntoIterator<Item = &'p Packet<'p>>,
        mut each: impl FnMut(&'p Packet<'p>, Result<u32, Error>),
    ) {
        let name = self.program.name();
        match &mut self.engine {
            Engine::User(runner) => {
                runner.run_packets(packets, |packet, result| {
                    each(packet, result.map_err(|t| trapped(name, t)))
                });
            }
            Engine::TestRun { .. } => {
                for packet in packets {
                    each(packet, self.run(packet).map(|verdict| verdict.retval));
                }
            }
        }
    }
}

#[cold]
fn trapped(name: &str, trap: skep_vm::Trap) -> Error {
    let words = format!("program `{name}`: {trap}");
    Error::new(ErrorKind::System(Errno::EFAULT), words).caused_by(trap)
}

/// The input of a test run that shows the program what a socket or a driver would.
///
/// A test run takes the first Ethernet header off and shows a socket filter the rest: with one more in front it
/// sees the whole frame, under the right protocol.
fn frame(kind: Verdicts, packet: &Packet<'_>, out: &mut Vec<u8>) {
    out.clear();
    match kind {
        Verdicts::Keep => {
            out.extend_from_slice(&[0; ETH_HLEN - 2]);
            out.extend_from_slice(&packet.protocol.to_be_bytes());
            out.extend_from_slice(packet.data);
        }
        Verdicts::Xdp | Verdicts::Tc | Verdicts::Cgroup => tagged(packet, out),
    }
}

/// Counts of a program that runs on packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets that came before the program.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Runs that ended in a trap; XDP counts them as aborted too.
    pub faults: u64,
    /// Packets that were kept, or went on ([`Verdicts::forwards`]).
    pub kept: u64,
    /// Packets by action, but for socket filters: [`Verdicts::action`] names the slots.
    pub actions: [u64; Verdicts::SLOTS],
}

impl Tally {
    /// Counts a run.
    pub fn count(&mut self, verdicts: Verdicts, bytes: usize, retval: Option<u32>) {
        self.packets += 1;
        self.bytes += bytes as u64;
        self.faults += u64::from(retval.is_none());
        let retval = match verdicts {
            Verdicts::Xdp => Some(retval.unwrap_or(XdpAction::ABORTED.0)),
            Verdicts::Keep | Verdicts::Tc | Verdicts::Cgroup => retval,
        };
        let Some(retval) = retval else { return };
        self.kept += u64::from(verdicts.forwards(retval));
        if verdicts != Verdicts::Keep {
            self.actions[verdicts.slot(retval)] += 1;
        }
    }
}

/// The frame with its VLAN tag put back, as a driver would hand it to XDP.
fn tagged(packet: &Packet<'_>, out: &mut Vec<u8>) {
    match (packet.vlan, packet.data.get(..ETH_HLEN - 2)) {
        (Some(vlan), Some(addresses)) => {
            out.extend_from_slice(addresses);
            out.extend_from_slice(&vlan.tpid.to_be_bytes());
            out.extend_from_slice(&vlan.tci.to_be_bytes());
            out.extend_from_slice(&packet.data[ETH_HLEN - 2..]);
        }
        _ => out.extend_from_slice(packet.data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_user::source::VlanTag;

    #[test]
    fn a_tag_goes_back_between_addresses_and_type() {
        let data: Vec<u8> = (0..20).collect();
        let mut out = Vec::new();
        let vlan = Some(VlanTag { tpid: 0x8100, tci: 5 });
        tagged(&Packet { data: &data, vlan, ..Packet::default() }, &mut out);
        assert_eq!(out[..12], data[..12]);
        assert_eq!(out[12..16], [0x81, 0, 0, 5]);
        assert_eq!(out[16..], data[12..]);
        out.clear();
        tagged(&Packet { data: &data[..3], vlan, ..Packet::default() }, &mut out);
        assert_eq!(out, data[..3]);
    }

    #[test]
    fn actions_have_the_kernel_s_names() {
        assert_eq!(XdpAction(2).to_string(), "XDP_PASS");
        assert_eq!(XdpAction(77).to_string(), "unknown action 77");
        assert!(XdpAction::TX.forwards() && !XdpAction::DROP.forwards());
        let named = |v: Verdicts, retval: u32| v.action(v.slot(retval));
        assert_eq!(named(Verdicts::Xdp, 2), "XDP_PASS");
        assert_eq!(
            [0, 8, u32::MAX].map(|n| named(Verdicts::Tc, n)),
            ["TC_ACT_OK", "TC_ACT_TRAP", "TC_ACT_UNSPEC"]
        );
        for (verdicts, retval) in [(Verdicts::Xdp, 5), (Verdicts::Tc, 9), (Verdicts::Cgroup, 4)] {
            assert_eq!(named(verdicts, retval), "unknown action");
        }
        assert!(Verdicts::Tc.forwards(0) && !Verdicts::Tc.forwards(2) && Verdicts::Tc.forwards(u32::MAX));
        assert!(Verdicts::Cgroup.forwards(3) && !Verdicts::Cgroup.forwards(2));
    }
}
