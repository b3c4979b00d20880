//! Effects that a run records instead of having them.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

/// Where a program wants its packet to go, as the last of its redirecting helpers that succeeded recorded it.
///
/// It counts only if the program's verdict says so as well: `TC_ACT_REDIRECT` and `BPF_REDIRECT` are 7,
/// `XDP_REDIRECT` is 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Redirect {
    /// Number of the interface; 0 where it is not about one.
    pub ifindex: u32,
    /// What is meant by it.
    pub to: RedirectTo,
    /// The id of the program in the devmap's or cpumap's element, which runs there first; 0 for none.
    pub program: u32,
}

impl Redirect {
    /// One without a program on the way.
    pub fn new(ifindex: u32, to: RedirectTo) -> Self {
        Self { ifindex, to, program: 0 }
    }
}

/// What a [`Redirect`] means by its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RedirectTo {
    /// The interface sends the packet (`bpf_redirect`).
    Egress,
    /// The interface receives the packet (`bpf_redirect` with `BPF_F_INGRESS`).
    Ingress,
    /// The interface's peer in another namespace receives the packet (`bpf_redirect_peer`).
    Peer,
    /// The interface sends the packet to a neighbour, whose address the routing table gives
    /// (`bpf_redirect_neigh` without parameters).
    Neighbour,
    /// The same to this next hop (`bpf_redirect_neigh` with `struct bpf_redir_neigh`).
    NextHop(NextHop),
    /// Another CPU goes on with the packet (`bpf_redirect_map` on a cpumap).
    Cpu(u32),
    /// All interfaces of a devmap send the packet (`bpf_redirect_map` with `BPF_F_BROADCAST`).
    Broadcast {
        /// The map, by its index among the program's; [`u32::MAX`] for one in a map of maps.
        map: u32,
        /// Not the one that it came in by (`BPF_F_EXCLUDE_INGRESS`).
        exclude_ingress: bool,
    },
}

/// A next hop (`struct bpf_redir_neigh`), as the program gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// Address family: 2 for IPv4, 10 for IPv6.
    pub family: u32,
    /// The address, in network byte order; IPv4 in the first four bytes.
    pub addr: [u8; 16],
}

/// A copy of the packet that a program sent (`bpf_clone_redirect`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloneRedirect {
    /// Number of the interface.
    pub ifindex: u32,
    /// The interface receives the copy instead of sending it (`BPF_F_INGRESS`).
    pub ingress: bool,
    /// Bytes of the packet at that time.
    pub len: u32,
}

impl RedirectTo {
    /// The meaning in one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
            Self::Peer => "peer",
            Self::Neighbour => "neighbour",
            Self::NextHop(_) => "next_hop",
            Self::Cpu(_) => "cpu",
            Self::Broadcast { .. } => "broadcast",
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.addr;
        match self.family {
            2 => Ipv4Addr::new(a, b, c, d).fmt(f),
            10 => Ipv6Addr::from(self.addr).fmt(f),
            other => write!(f, "address family {other}"),
        }
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            RedirectTo::Cpu(cpu) => return write!(f, "CPU {cpu}"),
            RedirectTo::Broadcast { map, exclude_ingress } => {
                let but = if exclude_ingress { ", but not back" } else { "" };
                return write!(f, "all interfaces of map {map}{but}");
            }
            RedirectTo::Egress
            | RedirectTo::Ingress
            | RedirectTo::Peer
            | RedirectTo::Neighbour
            | RedirectTo::NextHop(_) => write!(f, "interface {}", self.ifindex)?,
        }
        match self.to {
            RedirectTo::Egress | RedirectTo::Cpu(_) | RedirectTo::Broadcast { .. } => Ok(()),
            RedirectTo::Ingress | RedirectTo::Peer | RedirectTo::Neighbour => {
                write!(f, ", {}", self.to.word())
            }
            RedirectTo::NextHop(hop) => write!(f, ", next hop {hop}"),
        }
    }
}

impl fmt::Display for CloneRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ingress = if self.ingress { ", ingress" } else { "" };
        write!(f, "interface {}{ingress}: {} bytes", self.ifindex, self.len)
    }
}
