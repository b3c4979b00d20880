//! Packets sent where programs say: what [`Runner::redirect`] only records.
//!
//! A verdict to send is carried out as Linux does after an XDP program (net/core/filter.c `xdp_do_redirect`,
//! kernel/bpf/devmap.c, cpumap.c, 6.18): the program of the devmap's or cpumap's element sees the packet first, a devmap's
//! with the interface that it leaves by. What passes a devmap's program is sent, what passes a cpumap's goes on to the
//! host; such a program may redirect again. Whoever runs programs on packets of a socket sees copies: the host has
//! those packets, too, whatever the verdict.

use std::sync::Arc;

use skep_maps::Map;
use skep_spec::{Errno, Redirect, RedirectTo};
use skep_vm::{Layout, Program, Programs, Run, Stack};

use crate::backend::Shared;
use crate::ctx::xdp::XdpMd;
use crate::host::RunHost;
use crate::runner::{Kind, Runner, tag_into};
use crate::test_run::fuel;
use crate::vcpu::Lease;

/// `enum xdp_action`.
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;
const XDP_REDIRECT: u32 = 4;
const TC_ACT_REDIRECT: u32 = 7;

/// How many programs of cpumaps hand a packet on before it is dropped: Linux has no bound, its CPUs hand it on for ever.
pub const HOPS: u32 = 64;

/// Takes frames to be sent.
pub trait Transmit: Send {
    /// Sends a frame, from its Ethernet header, on an interface.
    ///
    /// # Errors
    /// What keeps it: `ENODEV` no such interface, `ENETDOWN`, `EMSGSIZE` longer than it takes, `ENOBUFS`.
    fn transmit(&mut self, ifindex: u32, frame: &[u8]) -> Result<(), Errno>;
}

/// What came of a packet that was to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Frames that were sent.
    pub sent: u32,
    /// Packets that a CPU of a cpumap lets go on to the host.
    pub passed: u32,
    /// Packets that programs of elements dropped, or trapped on.
    pub dropped: u32,
    /// Frames that could not be sent.
    pub failed: u32,
    /// Why the last of those was not: as [`Transmit::transmit`]; `EOPNOTSUPP` for what is not carried out (into an
    /// interface, to a neighbour, to all of a devmap in a map of maps), `EINVAL` for a verdict without a place, `EBUSY`
    /// where no virtual CPU could be had, `ELOOP` after [`HOPS`].
    pub error: Option<Errno>,
}

impl Forwarded {
    fn fail(&mut self, why: Errno) {
        self.failed += 1;
        self.error = Some(why);
    }
}

impl Runner {
    /// Carries out what the last packet's verdict says about sending it: `XDP_TX` back to `ingress`, where it came in,
    /// `XDP_REDIRECT` and `TC_ACT_REDIRECT` where a helper said. Other verdicts do nothing.
    pub fn forward(&mut self, retval: u32, ingress: u32, to: &mut dyn Transmit) -> Forwarded {
        let Self { shared, program, stack, kind, redirect, .. } = self;
        let mut way = Way { shared, stack, ingress, to, done: Forwarded::default() };
        match kind {
            Kind::SocketFilter(_) => {}
            Kind::Xdp { buffer, layout } => match retval {
                XDP_TX => way.send(ingress, buffer.get(layout.data..layout.end)),
                XDP_REDIRECT => way.redirect(program.maps(), *redirect, buffer, *layout),
                _ => {}
            },
            Kind::Stack { buffer, layout, skip: 0, vlan } if retval == TC_ACT_REDIRECT => {
                let egress = redirect.filter(|r| r.to == RedirectTo::Egress);
                match (egress, buffer.get(layout.data..layout.end)) {
                    (Some(at), Some(frame)) => match vlan {
                        None => way.send(at.ifindex, Some(frame)),
                        Some(_) => {
                            let mut tagged = vec![0; frame.len() + 4];
                            let len = tag_into(frame, *vlan, &mut tagged);
                            way.send(at.ifindex, tagged.get(..len));
                        }
                    },
                    _ => way.done.fail(if redirect.is_some() { Errno::EOPNOTSUPP } else { Errno::EINVAL }),
                }
            }
            Kind::Stack { .. } => {}
        }
        way.done
    }
}

/// A packet on its way.
struct Way<'w> {
    shared: &'w Shared,
    stack: &'w mut Stack,
    ingress: u32,
    to: &'w mut dyn Transmit,
    done: Forwarded,
}

impl Way<'_> {
    fn send(&mut self, ifindex: u32, frame: Option<&[u8]>) {
        match frame.ok_or(Errno::EFAULT).and_then(|frame| self.to.transmit(ifindex, frame)) {
            Ok(()) => self.done.sent += 1,
            Err(e) => self.done.fail(e),
        }
    }

    /// Goes where the last redirecting helper of a program with these maps said, and on from there.
    fn redirect(&mut self, maps: &[Arc<Map>], to: Option<Redirect>, buffer: &mut [u8], mut layout: Layout) {
        let (mut held, mut to): (Option<Arc<Program>>, _) = (None, to);
        for _ in 0..HOPS {
            let Some(at) = to else { return self.done.fail(Errno::EINVAL) };
            match at.to {
                RedirectTo::Egress => return self.device(at.ifindex, at.program, buffer, layout),
                RedirectTo::Broadcast { map, exclude_ingress } => {
                    let maps = held.as_ref().map_or(maps, |p| p.maps());
                    let Some(map) = maps.get(map as usize) else { return self.done.fail(Errno::EOPNOTSUPP) };
                    let skipped = exclude_ingress.then_some(self.ingress);
                    return self.devices(&Arc::clone(map), skipped, buffer, layout);
                }
                RedirectTo::Cpu(_) if at.program == 0 => {
                    self.done.passed += 1;
                    return;
                }
                RedirectTo::Cpu(cpu) => {
                    let shared = self.shared;
                    let Some(lease) = shared.domain.lease_on(cpu) else {
                        return self.done.fail(Errno::EBUSY);
                    };
                    let Some(ran) = self.element(at.program, &lease, 0, buffer, layout) else { return };
                    drop(lease);
                    match ran.verdict {
                        XDP_PASS => {
                            self.done.passed += 1;
                            return;
                        }
                        XDP_REDIRECT => {
                            (held, to, layout) = (Some(ran.program), ran.redirect, ran.layout);
                        }
                        _ => {
                            self.done.dropped += 1;
                            return;
                        }
                    }
                }
                RedirectTo::Ingress | RedirectTo::Peer | RedirectTo::Neighbour | RedirectTo::NextHop(_) => {
                    return self.done.fail(Errno::EOPNOTSUPP);
                }
            }
        }
        self.done.fail(Errno::ELOOP);
    }

    /// Sends on an interface what its program lets pass.
    fn device(&mut self, ifindex: u32, program: u32, buffer: &mut [u8], layout: Layout) {
        let mut layout = layout;
        if program != 0 {
            let shared = self.shared;
            let Some(lease) = shared.domain.lease() else { return self.done.fail(Errno::EBUSY) };
            let Some(ran) = self.element(program, &lease, ifindex, buffer, layout) else { return };
            if ran.verdict != XDP_PASS {
                // Also what would send it elsewhere (`dev_map_bpf_prog_run`).
                self.done.dropped += 1;
                return;
            }
            layout = ran.layout;
        }
        self.send(ifindex, buffer.get(layout.data..layout.end));
    }

    /// Sends a copy on all interfaces of a map but one. Linux leaves out the bridge or bond that this one belongs to as well.
    fn devices(&mut self, map: &Map, skipped: Option<u32>, buffer: &mut [u8], layout: Layout) {
        let mut all = Vec::new();
        map.each_device(&mut |ifindex, program| {
            if Some(ifindex) != skipped {
                all.push((ifindex, program));
            }
        });
        for (ifindex, program) in all {
            match program {
                0 => self.device(ifindex, 0, buffer, layout),
                _ => self.device(ifindex, program, &mut buffer.to_vec(), layout),
            }
        }
    }

    /// Runs the program of an element; `None`, counted, when it is gone or traps.
    fn element(
        &mut self,
        id: u32,
        lease: &Lease<'_>,
        egress: u32,
        buffer: &mut [u8],
        layout: Layout,
    ) -> Option<Ran> {
        let Some(program) = self.shared.programs.program(id) else {
            self.done.fail(Errno::ENOENT);
            return None;
        };
        let host = RunHost::new(self.shared, None);
        let mut image = XdpMd::leaving(self.ingress, egress).image;
        let mut run = Run::new(self.stack, &host);
        run.set_fuel(fuel(&program));
        run.set_vcpu(lease.cpu());
        run.set_programs(&self.shared.programs);
        run.lend_ctx(&mut image);
        run.lend_packet(buffer, layout);
        let Ok(outcome) = program.run(&mut run) else {
            self.done.dropped += 1;
            return None;
        };
        let (layout, redirect) = (run.packet().unwrap_or(layout), run.redirect());
        drop(run);
        Some(Ran { verdict: outcome.r0 as u32, layout, redirect, program })
    }
}

/// What the program of an element made of a packet.
struct Ran {
    verdict: u32,
    layout: Layout,
    redirect: Option<Redirect>,
    program: Arc<Program>,
}
