//! The classic first sample of eBPF, through the Rust API: a program of hand-written instructions counts the
//! packets on the loopback interface by IP protocol, and we read the counters ten times, once a second.
//!
//! ```text
//! cargo run --release -p skep --example sock_example            in this process
//! cargo run --release -p skep --example sock_example -- --linux in the kernel
//! ```
//!
//! A raw socket needs root or CAP_NET_RAW.

use std::io::{Write, stdout};
use std::time::Duration;

use skep::Backend;
use skep::abi::{MapType, ProgramType};
use skep::isa::{
    AluOp, AtomicOp, CallTarget, Imm64, Insn, JumpOp, Op, Operand, PacketMode, Reg, Size, Width,
};
use skep::spec::MapDef;

const ETH_P_IP: i32 = 0x0800;
const ETH_P_IPV6: i32 = 0x86dd;
/// Where the EtherType stands in a frame, and behind it the protocol in an IPv4 or IPv6 header.
const ETHERTYPE: i32 = 12;
const IP_PROTOCOL: i32 = 14 + 9;
const IPV6_NEXT_HEADER: i32 = 14 + 6;
const BPF_MAP_LOOKUP_ELEM: u32 = 1;
const PROTOCOLS: [(&str, u32); 3] = [("TCP", 6), ("UDP", 17), ("ICMP", 1)];

const CONTEXT: Reg = Reg(6);
/// The key's place on the stack.
const KEY: i16 = -4;

fn mov(dst: Reg, src: Operand) -> Op {
    Op::Alu { width: Width::W64, op: AluOp::Mov, dst, src }
}

fn jump_if(dst: Reg, op: JumpOp, imm: i32, off: i16) -> Op {
    Op::JumpIf { width: Width::W64, op, dst, src: Operand::Imm(imm), off }
}

fn load_packet(size: Size, offset: i32) -> Op {
    Op::LoadPacket { size, mode: PacketMode::Abs, imm: offset }
}

/// `count[protocol] += 1` for IPv4 and IPv6, with the map under index 0.
pub fn program() -> Vec<Insn> {
    let ops = [
        // Packet loads take the context from r6 and leave their value in r0.
        mov(CONTEXT, Operand::Reg(Reg::R1)),
        load_packet(Size::H, ETHERTYPE),
        jump_if(Reg::R0, JumpOp::Eq, ETH_P_IPV6, 3),
        jump_if(Reg::R0, JumpOp::Ne, ETH_P_IP, 12),
        load_packet(Size::B, IP_PROTOCOL),
        Op::Jump { off: 1, long: false },
        load_packet(Size::B, IPV6_NEXT_HEADER),
        Op::Store { size: Size::W, dst: Reg::FP, off: KEY, src: Operand::Reg(Reg::R0) },
        // bpf_map_lookup_elem(&counts, &key)
        mov(Reg::R2, Operand::Reg(Reg::FP)),
        Op::Alu { width: Width::W64, op: AluOp::Add, dst: Reg::R2, src: Operand::Imm(KEY.into()) },
        Op::LoadImm64 { dst: Reg::R1, value: Imm64::MapIdx(0) },
        Op::Call(CallTarget::Helper(BPF_MAP_LOOKUP_ELEM)),
        jump_if(Reg::R0, JumpOp::Eq, 0, 2),
        mov(Reg::R1, Operand::Imm(1)),
        Op::Atomic { size: Size::DW, op: AtomicOp::Add { fetch: false }, dst: Reg::R0, src: Reg::R1, off: 0 },
        // Keep nothing: the socket is only there to be watched.
        mov(Reg::R0, Operand::Imm(0)),
        Op::Exit,
    ];
    ops.iter().map(Op::encode).flat_map(|(first, second)| [Some(first), second]).flatten().collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let linux = std::env::args().any(|a| a == "--linux");
    let backend = if linux { Backend::linux()? } else { Backend::user() };
    let counts = backend.create_map(MapDef::new(MapType::ARRAY, 4, 8, 256).named("counts"))?;
    let program = backend.load_insns(
        "sock_example",
        ProgramType::SOCKET_FILTER,
        &program(),
        std::slice::from_ref(&counts),
    )?;
    let _link = program.attach_socket("lo")?;
    for _ in 0..10 {
        std::thread::sleep(Duration::from_secs(1));
        let mut line = Vec::new();
        for (name, number) in PROTOCOLS {
            let packets: u64 = counts.get(&number)?.unwrap_or(0);
            line.push(format!("{name} {packets}"));
        }
        writeln!(stdout(), "{} packets", line.join(" "))?;
    }
    Ok(())
}
