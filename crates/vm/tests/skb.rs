//! Helpers on socket buffers: whatever they are called with they stay inside what was lent; what they record, what
//! they ask the host, and the limits of the buffer. That they do what Linux does: `packet_helpers.rs` in testkit.

mod common;

use std::cell::RefCell;

use common::{r, slots, typed};
use proptest::prelude::*;
use skep_abi::{HELPERS, ProgramType, sk_buff_field};
use skep_isa::{AluOp, CallTarget, Imm64, Insn, Op, Operand, Size, Width};
use skep_spec::{CloneRedirect, Errno, NextHop, Redirect, RedirectTo};
use skep_vm::{
    CLONES, FibLookup, Frags, Host, Interface, Layout, NullHost, Program, Run, SkbState, Stack, TrapKind,
    XDP_FRAG,
};

const GUARD: usize = 64;
const FILL: u8 = 0xa5;
const SK_BUFF: usize = 192;
const TYPES: [(ProgramType, usize); 6] = [
    (ProgramType::SCHED_CLS, SK_BUFF),
    (ProgramType::LWT_XMIT, SK_BUFF),
    (ProgramType::SK_SKB, SK_BUFF),
    (ProgramType::SOCKET_FILTER, SK_BUFF),
    (ProgramType::XDP, 24),
    (ProgramType::UNSPEC, SK_BUFF),
];

fn set(reg: u8, value: u64) -> Op {
    Op::LoadImm64 { dst: r(reg), value: Imm64::Const(value) }
}

fn mov(dst: u8, src: Operand) -> Op {
    Op::Alu { width: Width::W64, op: AluOp::Mov, dst: r(dst), src }
}

/// An argument of a call.
#[derive(Clone, Copy, Debug)]
enum Arg {
    Number(u64),
    /// The context.
    Ctx,
    /// An address so many bytes below the top of the stack.
    Stack(i32),
}

use Arg::{Ctx, Number};

/// `r6 = r1`, then calls of helpers with their arguments; the last result is returned.
fn calls(list: &[(u32, [Arg; 5])]) -> Vec<Insn> {
    let mut ops = vec![mov(6, Operand::Reg(r(1)))];
    for (id, args) in list {
        for (i, arg) in args.iter().enumerate() {
            let reg = i as u8 + 1;
            match *arg {
                Number(n) => ops.push(set(reg, n)),
                Ctx => ops.push(mov(reg, Operand::Reg(r(6)))),
                Arg::Stack(off) => {
                    ops.push(mov(reg, Operand::Reg(r(10))));
                    ops.push(Op::Alu {
                        width: Width::W64,
                        op: AluOp::Sub,
                        dst: r(reg),
                        src: Operand::Imm(off),
                    });
                }
            }
        }
        ops.push(Op::Call(CallTarget::Helper(*id)));
    }
    ops.push(Op::Exit);
    slots(&ops)
}

/// What a run left.
struct Left {
    r0: i64,
    packet: Vec<u8>,
    redirect: Option<Redirect>,
    clones: Vec<CloneRedirect>,
    skb: SkbState,
}

struct Setup {
    prog_type: ProgramType,
    buffer: usize,
    layout: Layout,
    protocol: u16,
}

impl Setup {
    fn tc(buffer: usize, layout: Layout) -> Self {
        Self { prog_type: ProgramType::SCHED_CLS, buffer, layout, protocol: 0x0800 }
    }

    fn run(&self, host: &dyn Host, list: &[(u32, [Arg; 5])]) -> Result<Left, TrapKind> {
        let program: Program = typed(self.prog_type, calls(list));
        let mut image = [0; SK_BUFF];
        for (name, v) in
            [("len", self.layout.len() as u32), ("protocol", self.protocol.to_be().into()), ("ifindex", 1)]
        {
            let at = usize::from(sk_buff_field(name).off);
            image[at..at + 4].copy_from_slice(&v.to_ne_bytes());
        }
        let mut buffer: Vec<u8> = (0..self.buffer).map(|i| i as u8).collect();
        let mut stack = Stack::new();
        let mut run = Run::new(&mut stack, host).with_ctx(&mut image).with_packet(&mut buffer, self.layout);
        let r0 = program.run(&mut run).map_err(|t| t.kind)?.r0;
        let (at, redirect, clones, skb) =
            (run.packet().expect("one was lent"), run.redirect(), run.clones().to_vec(), run.skb());
        let len = usize::from(sk_buff_field("len").off);
        assert_eq!(image[len..len + 4], (at.len() as u32).to_ne_bytes());
        Ok(Left { r0: r0 as i64, packet: buffer[at.data..at.end].to_vec(), redirect, clones, skb })
    }
}

fn args(given: &[Arg]) -> [Arg; 5] {
    core::array::from_fn(|i| given.get(i).copied().unwrap_or(Number(0)))
}

fn frame(headroom: usize, len: usize) -> Layout {
    Layout {
        meta: headroom,
        data: headroom,
        end: headroom + len,
        mac: Some(headroom),
        network: headroom + 14,
        ..Layout::default()
    }
}

fn error(e: Errno) -> i64 {
    -i64::from(e.0)
}

fn any_arg() -> impl Strategy<Value = Arg> {
    prop_oneof![
        4 => (0u64..70).prop_map(Number),
        1 => any::<u64>().prop_map(Number),
        1 => prop_oneof![Just(0x81), Just(0xa888), Just(0xdd86), Just(8)].prop_map(Number),
        1 => (0u32..64).prop_map(|bit| Number(1 << bit)),
        1 => any::<i8>().prop_map(|n| Number(n as u64)),
        1 => Just(Ctx),
        2 => (0..600i32).prop_map(Arg::Stack),
    ]
}

fn any_layout(buffer: usize) -> impl Strategy<Value = Layout> {
    let ends = prop::collection::vec(0..=buffer, 3);
    (ends, prop::option::of(0..=buffer), 0..=buffer, prop::option::of(any::<usize>())).prop_map(
        move |(mut ends, mac, network, in_pages)| {
            ends.sort_unstable();
            let (start, most) = (ends[2], (buffer - ends[2]) / XDP_FRAG * XDP_FRAG);
            let frags = in_pages.filter(|_| start > 0).map(|n| Frags { start, len: n % (most + 1) });
            let frags = frags.unwrap_or_default();
            Layout { meta: ends[0], data: ends[1], end: ends[2], mac, network, frags }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn helpers_stay_inside_what_was_lent(
        kind in 0..TYPES.len(),
        (buffer, layout) in prop_oneof![9 => 0usize..300, 1 => XDP_FRAG..3 * XDP_FRAG].prop_flat_map(|n| (Just(n), any_layout(n))),
        list in prop::collection::vec((0..HELPERS.len(), prop::array::uniform4(any_arg())), 1..12),
        image in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], SK_BUFF),
        protocol in prop_oneof![Just(0x0800u16), Just(0x86dd), Just(0x8100), Just(0x88a8)],
        read_only in any::<bool>(),
    ) {
        let (prog_type, ctx_len) = TYPES[kind];
        // Most helpers take the context first, and end the run if they do not get it.
        let list: Vec<_> = list
            .into_iter()
            .map(|(i, a)| (HELPERS[i].id, [Ctx, a[0], a[1], a[2], a[3]]))
            .filter(|(id, _)| ![1, 2, 3, 6, 12].contains(id))
            .collect();
        let program: Program = typed(prog_type, calls(&list));
        let mut ctx = vec![FILL; GUARD + ctx_len + GUARD];
        ctx[GUARD..GUARD + ctx_len].copy_from_slice(&image[..ctx_len]);
        if ctx_len == SK_BUFF {
            let at = GUARD + usize::from(sk_buff_field("protocol").off);
            ctx[at..at + 4].copy_from_slice(&u32::from(protocol.to_be()).to_ne_bytes());
        }
        let mut packet = vec![FILL; GUARD + buffer + GUARD];
        let before = packet.clone();
        let mut stack = Stack::new();
        let run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx[GUARD..GUARD + ctx_len]);
        let bytes = &mut packet[GUARD..GUARD + buffer];
        let mut run = match read_only {
            true => run.with_packet_read_only(bytes, layout),
            false => run.with_packet(bytes, layout),
        };
        let _ = program.run(&mut run);
        let at = run.packet().expect("one was lent");
        prop_assert!(at.meta <= at.data && at.data <= at.end && at.end <= buffer, "{at:?}");
        prop_assert!(run.clones().len() <= CLONES);
        for (bytes, len) in [(&ctx, ctx_len), (&packet, buffer)] {
            prop_assert!(bytes[..GUARD].iter().chain(&bytes[GUARD + len..]).all(|b| *b == FILL));
        }
        prop_assert!(!read_only || packet == before, "a read-only packet was written");
    }
}

#[test]
fn a_packet_moves_in_its_buffer_until_that_is_full() {
    let setup = Setup::tc(100, frame(0, 60));
    let original: Vec<u8> = (0..60).collect();
    // 20 bytes before, where there is no headroom; then 20 behind; then there is no byte left.
    let before = (43, args(&[Ctx, Number(20)]));
    let left = setup.run(&NullHost, &[before]).expect("no trap");
    assert_eq!((left.r0, &left.packet[..20], &left.packet[20..]), (0, &[0; 20][..], &original[..]));
    let behind = (38, args(&[Ctx, Number(100)]));
    let left = setup.run(&NullHost, &[before, behind]).expect("no trap");
    assert_eq!((left.r0, &left.packet[20..80], &left.packet[80..]), (0, &original[..], &[0; 20][..]));
    let more = (43, args(&[Ctx, Number(1)]));
    let left = setup.run(&NullHost, &[before, behind, more]).expect("no trap");
    assert_eq!((left.r0, left.packet.len()), (error(Errno::ENOMEM), 100));
}

#[test]
fn a_tag_goes_into_a_packet_shorter_than_its_addresses() {
    let push = |tci| (18, args(&[Ctx, Number(0x81), Number(tci)]));
    let run = |buffer, at| {
        // The first tag stands beside the packet; the second one moves it in.
        let left = Setup::tc(buffer, frame(at, 0)).run(&NullHost, &[push(1), push(2)]).expect("no trap");
        (left.r0, left.packet.len())
    };
    // The buffer ends before the tag's place, in it, right behind it, and has no room for four bytes at all.
    for buffer in 4..=17 {
        assert_eq!(run(buffer, 3), (0, 4), "{buffer} bytes");
    }
    assert_eq!(run(3, 3), (error(Errno::ENOMEM), 0));
    // There is no tag to be found in what came of it.
    let pop = Setup::tc(8, frame(3, 0)).run(&NullHost, &[push(1), push(2), (19, args(&[Ctx]))]);
    assert_eq!(pop.map(|left| (left.r0, left.packet.len())).expect("no trap"), (error(Errno::ENOMEM), 4));
}

#[test]
fn packets_shorter_than_their_headers_change_inside_the_buffer() {
    let proto = |to| (31, args(&[Ctx, Number(to)]));
    let room = |by: i64, mode| (50, args(&[Ctx, Number(by as u64), Number(mode)]));
    // With the protocol that the packet has, and the bytes that a call adds.
    let growing = [
        (0x0800, proto(0xdd86), 20),
        (0x0800, room(8, 0), 8),
        (0x0800, room(8, 1), 8),
        (0x0800, (43, args(&[Ctx, Number(20)])), 20),
    ];
    let shrinking = [(0x86dd, proto(8), 0), (0x0800, room(-8, 0), 0), (0x8100, (19, args(&[Ctx])), 0)];
    for (buffer, len) in (0..48).flat_map(|buffer| (0..=buffer.min(15)).map(move |len| (buffer, len))) {
        let at = 3.min(buffer - len);
        for (protocol, call, more) in growing.into_iter().chain(shrinking) {
            let setup = Setup { protocol, ..Setup::tc(buffer, frame(at, len)) };
            let left = setup.run(&NullHost, &[call]).expect("no trap");
            let fits = more > 0 && len + more <= buffer;
            let packet = if fits { len + more } else { len };
            let what = (buffer, len, call.0);
            assert_eq!((left.r0 == 0, left.packet.len()), (fits, packet), "{what:?}: {}", left.r0);
        }
    }
}

#[test]
fn copies_are_recorded_up_to_a_limit() {
    let setup = Setup::tc(200, frame(20, 60));
    let copy = (13, args(&[Ctx, Number(1), Number(1)]));
    let shorter = (38, args(&[Ctx, Number(40)]));
    let sent = (13, args(&[Ctx, Number(1)]));
    let left = setup.run(&NullHost, &[copy, shorter, sent]).expect("no trap");
    let clone = |ingress, len| CloneRedirect { ifindex: 1, ingress, len };
    assert_eq!((left.r0, left.clones), (0, vec![clone(true, 60), clone(false, 40)]));
    assert_eq!(left.redirect, None);
    let left = setup.run(&NullHost, &[copy; CLONES + 1]).expect("no trap");
    assert_eq!((left.r0, left.clones.len()), (error(Errno::ENOMEM), CLONES));
    let unknown = setup.run(&NullHost, &[(13, args(&[Ctx, Number(2)]))]).expect("no trap");
    assert_eq!((unknown.r0, unknown.clones.len()), (error(Errno::EINVAL), 0));
}

#[test]
fn the_last_redirect_that_succeeded_counts() {
    let setup = Setup::tc(100, frame(20, 60));
    let redirect = |a: &[Arg]| (23, args(a));
    let run = |list: &[_]| setup.run(&NullHost, list).map(|l| (l.r0, l.redirect)).expect("no trap");
    let recorded = |ifindex, to| Some(Redirect::new(ifindex, to));
    let ingress = redirect(&[Number(3), Number(1)]);
    assert_eq!(run(&[ingress]), (7, recorded(3, RedirectTo::Ingress)));
    assert_eq!(run(&[ingress, redirect(&[Number(4)])]), (7, recorded(4, RedirectTo::Egress)));
    assert_eq!(run(&[ingress, redirect(&[Number(4), Number(2)])]), (2, recorded(3, RedirectTo::Ingress)));
    assert_eq!(run(&[(155, args(&[Number(5)]))]), (7, recorded(5, RedirectTo::Peer)));
    assert_eq!(run(&[(155, args(&[Number(5), Number(1)]))]), (2, None));
    assert_eq!(run(&[(152, args(&[Number(6)]))]), (7, recorded(6, RedirectTo::Neighbour)));
    let hop = NextHop { family: 0, addr: [0; 16] };
    let with = |plen| (152, args(&[Number(6), Arg::Stack(64), Number(plen)]));
    assert_eq!(run(&[with(20)]), (7, recorded(6, RedirectTo::NextHop(hop))));
    assert_eq!(run(&[with(19)]), (2, None));
    let xdp = Setup { prog_type: ProgramType::XDP, ..Setup::tc(100, frame(20, 60)) };
    let program: Program = typed(xdp.prog_type, calls(&[redirect(&[Number(9)])]));
    let (mut stack, mut ctx) = (Stack::new(), [0; 24]);
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx);
    assert_eq!(program.run(&mut run).expect("no trap").r0, 4);
    assert_eq!(run.redirect(), recorded(9, RedirectTo::Egress));
}

/// A host with a route to 10.0.0.0/8 through interface 7, and nothing else.
struct Router(RefCell<Vec<u32>>);

impl Host for Router {
    fn ktime_ns(&self) -> u64 {
        0
    }
    fn boot_ns(&self) -> u64 {
        0
    }
    fn prandom_u32(&self) -> u32 {
        0
    }
    fn processor_id(&self, vcpu: u32) -> u32 {
        vcpu
    }
    fn printk(&self, _: &[u8]) {}
    fn interface(&self, ifindex: u32) -> Option<Interface> {
        matches!(ifindex, 1 | 7).then_some(Interface { mtu: 50, header: 14 })
    }
    fn fib_lookup(&self, query: &mut FibLookup, flags: u32) -> i32 {
        self.0.borrow_mut().push(flags);
        if query.family() != 2 || query.addresses().1[0] != 10 {
            return FibLookup::NOT_FWDED;
        }
        query.set_ifindex(7);
        query.set_ethernet([2; 6], [3; 6]);
        FibLookup::SUCCESS
    }
}

/// A query at the foot of the stack, built by the program itself.
fn route(len: usize, fields: &[(i16, Size, i32)], plen: u64, flags: u64) -> (i64, Vec<u8>, Vec<u32>) {
    let mut ops = vec![mov(6, Operand::Reg(r(1)))];
    for &(off, size, v) in fields {
        ops.push(Op::Store { size, dst: r(10), off: off - 64, src: Operand::Imm(v) });
    }
    ops.push(mov(2, Operand::Reg(r(10))));
    ops.push(Op::Alu { width: Width::W64, op: AluOp::Sub, dst: r(2), src: Operand::Imm(64) });
    ops.extend([set(3, plen), set(4, flags), Op::Call(CallTarget::Helper(69))]);
    // What the query has become goes into the packet.
    ops.extend([
        mov(7, Operand::Reg(r(0))),
        mov(1, Operand::Reg(r(6))),
        set(2, 0),
        mov(3, Operand::Reg(r(10))),
    ]);
    ops.push(Op::Alu { width: Width::W64, op: AluOp::Sub, dst: r(3), src: Operand::Imm(64) });
    ops.extend([set(4, 64), set(5, 0), Op::Call(CallTarget::Helper(9))]);
    ops.extend([mov(0, Operand::Reg(r(7))), Op::Exit]);
    let program: Program = typed(ProgramType::SCHED_CLS, slots(&ops));
    let (mut stack, mut image, mut buffer) = (Stack::new(), [0; SK_BUFF], vec![0; len]);
    let host = Router(RefCell::default());
    let mut run = Run::new(&mut stack, &host).with_ctx(&mut image).with_packet(&mut buffer, frame(0, len));
    let r0 = program.run(&mut run).expect("no trap").r0 as i64;
    (r0, buffer[..64].to_vec(), host.0.into_inner())
}

#[test]
fn routes_are_the_hosts() {
    let ipv4 = |ifindex, to: u8| [(0, Size::B, 2), (8, Size::W, ifindex), (32, Size::B, to.into())];
    let (found, query, flags) = route(64, &ipv4(1, 10), 64, 3);
    assert_eq!(
        (found, &query[8..12], &query[52..64]),
        (0, &7u32.to_ne_bytes()[..], &[2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3][..])
    );
    assert_eq!(
        (&query[6..8], flags),
        (&50u16.to_ne_bytes()[..], vec![3]),
        "the interface's limit comes back"
    );
    assert_eq!(route(64, &ipv4(1, 11), 64, 0).0, 4);
    assert_eq!(
        route(69, &ipv4(1, 10), 64, 0).0,
        i64::from(FibLookup::FRAG_NEEDED),
        "longer than 50 + 14 + 4"
    );
    let told = [&ipv4(1, 10)[..], &[(6, Size::H, 40)]].concat();
    assert_eq!(route(69, &told, 64, 0).0, 0, "a length that is given is for the host to judge");
    assert_eq!(route(64, &ipv4(2, 10), 64, 0).0, error(Errno::ENODEV));
    assert_eq!(route(64, &[(0, Size::B, 3)], 64, 0).0, error(Errno::EAFNOSUPPORT));
    assert_eq!(route(64, &ipv4(1, 10), 63, 0).0, error(Errno::EINVAL));
    assert_eq!(route(64, &ipv4(1, 10), 64, 64).0, error(Errno::EINVAL));
}

#[test]
fn a_sum_of_the_device_does_not_exist_and_levels_count() {
    let setup = Setup::tc(100, frame(20, 60));
    let run = |list: &[_]| setup.run(&NullHost, list).map(|l| (l.r0, l.skb.csum_level)).expect("no trap");
    let level = |n| (135, args(&[Ctx, Number(n)]));
    assert_eq!(run(&[(40, args(&[Ctx, Number(5)]))]), (error(Errno::ENOTSUPP), None));
    assert_eq!(run(&[level(0)]), (error(Errno::EACCES), None));
    assert_eq!(run(&[level(1), level(0)]), (0, Some(0)));
    assert_eq!(run(&[level(1), level(1), level(0)]), (1, Some(1)));
    assert_eq!(run(&[&[level(1); 9][..], &[level(0)]].concat()), (3, Some(3)));
    assert_eq!(run(&[level(1), level(2)]), (0, None));
    assert_eq!(run(&[level(1), level(1), level(3)]), (0, None));
    // Room around the packet forgets it, unless the flags say otherwise.
    let room = |flags| (50, args(&[Ctx, Number(4), Number(1), Number(flags)]));
    assert_eq!(run(&[level(1), room(0)]), (0, None));
    assert_eq!(run(&[level(1), room(1 << 5)]), (0, Some(0)));
}

#[test]
fn helpers_of_socket_buffers_want_one() {
    let trap = |prog_type, ctx: &mut [u8]| {
        let program: Program = typed(prog_type, calls(&[(19, args(&[Ctx]))]));
        let (mut stack, mut buffer) = (Stack::new(), [0; 100]);
        let mut run = Run::new(&mut stack, &NullHost).with_ctx(ctx).with_packet(&mut buffer, frame(20, 60));
        program.run(&mut run).expect_err("a trap").kind
    };
    assert_eq!(trap(ProgramType::XDP, &mut [0; 24]), TrapKind::NotAnSkb("xdp_md"));
    assert_eq!(trap(ProgramType::UNSPEC, &mut [0; SK_BUFF]), TrapKind::NotAnSkb("memory"));
}
