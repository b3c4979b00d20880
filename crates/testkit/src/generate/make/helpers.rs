//! Helpers by their prototypes: arguments as the row in `abi` wants them, results compared where they depend on
//! nothing but the program's input.

use std::sync::Arc;

use skep_abi::{ArgKind, HelperFlags, MapFlags, MapType, MemAccess, Ret, helper_by_name};
use skep_isa::{AtomicOp, Imm64, JumpOp, Op, Operand, Reg, Size};
use skep_spec::MapDef;

use super::{FP, Gen, KEY, R0, R1, R2, VALUE, VALUE_BYTES};

/// What a call gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gives {
    /// The same everywhere.
    Same,
    /// What the machine is or does: it is called, and what it gave is forgotten.
    Machine,
}

/// A helper as the generator calls it.
struct Call {
    name: &'static str,
    /// What its plain numbers are taken from, in order; an empty list is any number.
    numbers: &'static [&'static [i32]],
    /// Sizes of its memory, bytes; an empty list is anything up to what there is.
    sizes: &'static [i32],
    gives: Gives,
}

const fn same(name: &'static str, numbers: &'static [&'static [i32]]) -> Call {
    Call { name, numbers, sizes: &[], gives: Gives::Same }
}

const fn machine(name: &'static str, numbers: &'static [&'static [i32]]) -> Call {
    Call { name, numbers, sizes: &[], gives: Gives::Machine }
}

/// Reads from nowhere, or from the 16 bytes of a key.
const fn probe(name: &'static str) -> Call {
    Call { name, numbers: &[&[0, 8]], sizes: &[0, 1, 7, 8, 13, 16], gives: Gives::Same }
}

const ANY: &[i32] = &[];
/// Places in a packet: headers, fields, and outside.
const PLACES: &[i32] = &[0, 1, 2, 6, 10, 12, 14, 16, 20, 24, 30, 34, 36, 40, 50, 60, 90, 0xffff, -1];
const LENGTHS: &[i32] = &[0, 1, 13, 14, 15, 20, 33, 34, 40, 60, 100, 1500, 70000];
const SHIFTS: &[i32] = &[-64, -40, -20, -14, -8, -1, 0, 1, 4, 8, 14, 20, 28];
const HEADS: &[i32] = &[0, 1, 8, 14, 5000];
const NO_INTERFACE: &[i32] = &[0x7fff_fff0];

/// Helpers that are called as their prototypes say. Others have blocks of their own, or are left out with the
/// reason in `coverage`.
const CALLS: &[Call] = &[
    machine("bpf_ktime_get_ns", &[]),
    machine("bpf_ktime_get_boot_ns", &[]),
    machine("bpf_ktime_get_coarse_ns", &[]),
    machine("bpf_ktime_get_tai_ns", &[]),
    machine("bpf_jiffies64", &[]),
    machine("bpf_get_prandom_u32", &[]),
    machine("bpf_get_smp_processor_id", &[]),
    machine("bpf_get_numa_node_id", &[]),
    machine("bpf_get_current_pid_tgid", &[]),
    machine("bpf_get_current_uid_gid", &[]),
    machine("bpf_get_current_comm", &[]),
    machine("bpf_get_current_task", &[]),
    machine("bpf_get_current_cgroup_id", &[]),
    machine("bpf_get_current_ancestor_cgroup_id", &[&[0, 1, 5]]),
    machine("bpf_get_hash_recalc", &[]),
    machine("bpf_skb_cgroup_id", &[]),
    machine("bpf_skb_ancestor_cgroup_id", &[&[0, 1, 5]]),
    machine("bpf_skb_cgroup_classid", &[]),
    Call { name: "bpf_perf_event_output", numbers: &[&[-1, 0, 1, 7]], sizes: &[], gives: Gives::Same },
    probe("bpf_probe_read"),
    probe("bpf_probe_read_str"),
    probe("bpf_probe_read_kernel"),
    probe("bpf_probe_read_kernel_str"),
    probe("bpf_probe_read_user"),
    probe("bpf_probe_read_user_str"),
    probe("bpf_copy_from_user"),
    same("bpf_strtol", &[&[0, 0, 8, 10, 16, 7]]),
    same("bpf_strtoul", &[&[0, 0, 8, 10, 16, 7]]),
    same("bpf_strncmp", &[]),
    Call { name: "bpf_snprintf", numbers: &[], sizes: &[16], gives: Gives::Same },
    Call { name: "bpf_csum_diff", numbers: &[ANY], sizes: &[4, 8, 12, 16, 20], gives: Gives::Same },
    same("bpf_skb_load_bytes", &[PLACES]),
    same("bpf_skb_load_bytes_relative", &[PLACES, &[0, 1, 2]]),
    same("bpf_skb_store_bytes", &[PLACES, &[0, 0, 1, 2, 3, 4]]),
    same("bpf_l3_csum_replace", &[PLACES, ANY, ANY, &[0, 2, 4, 2, 4, 3]]),
    same("bpf_l4_csum_replace", &[PLACES, ANY, ANY, &[0, 2, 4, 0x12, 0x14, 0x22, 0x34, 0x40, 3]]),
    same("bpf_csum_update", &[ANY]),
    same("bpf_csum_level", &[&[0, 1, 2, 3, 4]]),
    same("bpf_set_hash", &[ANY]),
    same("bpf_set_hash_invalid", &[]),
    same("bpf_skb_vlan_push", &[&[0x0081, 0xa888, 0x81, 0], ANY]),
    same("bpf_skb_vlan_pop", &[]),
    same("bpf_skb_change_proto", &[&[0xdd86, 0x0008, 0], &[0, 0, 0, 1]]),
    same("bpf_skb_change_type", &[&[0, 1, 2, 3, 4, 7]]),
    same("bpf_skb_change_tail", &[LENGTHS, &[0, 0, 0, 1]]),
    same("bpf_skb_change_head", &[HEADS, &[0, 0, 0, 1]]),
    same("bpf_skb_pull_data", &[LENGTHS]),
    same("bpf_skb_adjust_room", &[SHIFTS, &[0, 1, 0, 1, 2], &[0, 0, 1, 2, 6, 0x20]]),
    same("bpf_redirect", &[&[0, 1, 5], &[0, 0, 1, 2]]),
    same("bpf_get_route_realm", &[]),
    same("bpf_xdp_adjust_head", &[SHIFTS]),
    same("bpf_xdp_adjust_tail", &[SHIFTS]),
    same("bpf_xdp_adjust_meta", &[&[-32, -16, -8, -4, -3, 0, 4, 8]]),
    same("bpf_xdp_load_bytes", &[PLACES]),
    same("bpf_xdp_store_bytes", &[PLACES]),
    same("bpf_xdp_get_buff_len", &[]),
    same("bpf_clone_redirect", &[NO_INTERFACE, &[0, 1]]),
];

/// Helpers that may need a larger buffer for the packet, and how many such calls a run makes.
///
/// Linux rounds each new buffer up to what its allocator has and adds to the whole of it the next time
/// (`pskb_expand_head`), so the size doubles each time 64 bytes more are needed before the packet: the fifteenth buffer
/// would be larger than 4 MiB and the helper, or the test run, fails with ENOMEM; one of some hundred KiB may, when the
/// machine's memory is in pieces. That is the host's allocator, which is not compared.
const GROWING: [&str; 5] = [
    "bpf_skb_change_head",
    "bpf_skb_change_tail",
    "bpf_skb_change_proto",
    "bpf_skb_adjust_room",
    "bpf_skb_vlan_push",
];
const GROWTHS: i32 = 6;
/// The map that counts them.
const GROWTH: &str = "growth";

/// What `ConstStr` arguments point to, each at its own 16 bytes: formats of two arguments, then others.
const TEXTS: [&[u8]; 4] = [b"%d of %x\0", b"%u,%lld\0", b"%05d %lx\0", b"0x1f \0"];
const TEXT_BYTES: usize = 16;
/// What is on the stack to be read as text.
const DIGITS: [&[u8; 8]; 4] = [b"-0x1f2e ", b"0123456\0", b"  98765\n", b"0x1f \0\0\0"];

impl Gen {
    /// Calls one of the helpers of the program's type.
    pub(super) fn helper_call(&mut self) {
        let usable = |c: &&Call| {
            let row = helper_by_name(c.name).filter(|h| self.kind.has(h.id));
            let has_ctx = self.frame.ctx.is_some();
            row.is_some_and(|h| {
                // Programs that sleep have no perf event arrays.
                if self.kind.sleeps() && h.args.iter().flatten().any(|a| a.kind == ArgKind::Map) {
                    return false;
                }
                let takes_ctx = h.args.iter().flatten().any(|a| a.kind == ArgKind::Ctx);
                (has_ctx || !takes_ctx) && (self.kind.sleeps() || !h.flags.has(HelperFlags::MIGHT_SLEEP))
            })
        };
        let calls: Vec<&Call> = CALLS.iter().filter(usable).collect();
        if !calls.is_empty() {
            let call = *self.rng.pick(&calls);
            match GROWING.contains(&call.name) {
                true => self.call_growing(call),
                false => self.call_as_said(call),
            }
        }
    }

    /// Lets a run begin with a packet that has not grown, for types whose packets can.
    pub(super) fn no_growth(&mut self) {
        let grows = |name: &&str| helper_by_name(name).is_some_and(|h| self.kind.has(h.id));
        if self.number != 0 || !GROWING.iter().any(grows) {
            return;
        }
        self.growth();
        self.store(Size::DW, R1, 0, Operand::Imm(0));
        self.set_known(R1, false);
    }

    /// The address of the count, in `r1`.
    fn growth(&mut self) {
        let index = self.maps.iter().position(|m| m.name == GROWTH).unwrap_or_else(|| {
            self.maps.push(Arc::new(MapDef::new(MapType::ARRAY, 4, 8, 1).named(GROWTH)));
            self.maps.len() - 1
        });
        let value = Imm64::MapValueIdx { idx: index as i32, off_bytes: 0 };
        self.op(Op::LoadImm64 { dst: R1, value });
    }

    /// Calls a helper of [`GROWING`] unless the run has made so many such calls.
    fn call_growing(&mut self, call: &Call) {
        self.growth();
        self.mov(R2, 1);
        let add = AtomicOp::Add { fetch: true };
        self.op(Op::Atomic { size: Size::DW, op: add, dst: R1, src: R2, off: 0 });
        self.mov_reg(R0, R2);
        self.clobber();
        self.set_known(R0, true);
        let skip = self.jump_if(JumpOp::Ge, R0, Operand::Imm(GROWTHS));
        let before = self.known();
        self.call_as_said(call);
        self.land(skip);
        self.frame.known.meet(before);
    }

    fn call_as_said(&mut self, call: &Call) {
        let Some(row) = helper_by_name(call.name) else { return };
        let texts = ["bpf_strtol", "bpf_strtoul", "bpf_strncmp"].contains(&call.name);
        self.on_stack(VALUE, VALUE_BYTES);
        self.on_stack(KEY, 16);
        if texts {
            let digits = u64::from_le_bytes(**self.rng.pick(&DIGITS));
            self.op(Op::LoadImm64 { dst: R1, value: Imm64::Const(digits) });
            self.store(Size::DW, FP, VALUE, Operand::Reg(R1));
        }
        // Numbers that are known now; arguments take their registers one by one.
        let number = self.number();
        let mut choices = call.numbers.iter();
        let mut null = false;
        for (n, arg) in row.args.iter().flatten().enumerate() {
            let reg = Reg(n as u8 + 1);
            let busy = number.0 >= 1 && number.0 <= 5;
            match arg.kind {
                ArgKind::Ctx => {
                    if let Some(ctx) = self.frame.ctx {
                        self.mov_reg(reg, ctx);
                    }
                }
                ArgKind::Anything => match choices.next() {
                    Some(of) if !of.is_empty() => {
                        let value = *self.rng.pick(of);
                        // An address where a probe read finds what this function has written, or nothing.
                        if call.name.contains("probe_read") && !call.name.contains("user") && value == 8 {
                            self.stack_address(reg, KEY);
                        } else {
                            self.mov(reg, value);
                        }
                    }
                    _ if busy => {
                        let imm = self.rng.immediate();
                        self.mov(reg, imm);
                    }
                    _ => self.mov_reg(reg, number),
                },
                ArgKind::Mem(_) | ArgKind::FixedMem(..) => {
                    null = arg.nullable && call.name == "bpf_csum_diff" && self.rng.chance(20);
                    match null {
                        true => self.mov(reg, 0),
                        false => self.stack_address(reg, VALUE),
                    }
                }
                ArgKind::AlignedMem(..) => self.stack_address(reg, KEY),
                ArgKind::Size | ArgKind::SizeOrZero => {
                    let least = i32::from(arg.kind == ArgKind::Size);
                    let size = match call.sizes {
                        _ if null => 0,
                        [] => least + self.rng.below((VALUE_BYTES as i32 + 1 - least) as usize) as i32,
                        sizes => *self.rng.pick(sizes),
                    };
                    self.mov(reg, size);
                }
                // A format's arguments are 16 bytes.
                ArgKind::ConstStr if call.name == "bpf_snprintf" => self.text(reg, TEXTS.len() - 1),
                ArgKind::ConstStr => self.text(reg, TEXTS.len()),
                ArgKind::Map => {
                    let events = self.events();
                    self.map(reg, events);
                }
                ArgKind::MapKey
                | ArgKind::MapValue(_)
                | ArgKind::AllocSize
                | ArgKind::RingbufRecord
                | ArgKind::Func
                | ArgKind::StackOrNull
                | ArgKind::SpinLock
                | ArgKind::SockCommon
                | ArgKind::AnySock
                | ArgKind::Socket
                | ArgKind::Btf(_)
                | ArgKind::PerCpuVariable
                | ArgKind::Timer
                | ArgKind::KptrField
                | ArgKind::Kptr
                | ArgKind::Dynptr(_) => self.mov(reg, 0),
            }
        }
        self.call(call.name);
        if row.ret == Ret::Void || call.gives == Gives::Machine {
            self.set_known(R0, false);
            self.fresh(R0);
            return;
        }
        let writes =
            |kind| matches!(kind, ArgKind::Mem(a) | ArgKind::AlignedMem(a, _) if a != MemAccess::Read);
        if row.args.iter().flatten().any(|a| writes(a.kind)) {
            let dst = self.kept_target().unwrap_or(R1);
            self.plain_load(Size::DW, dst, FP, VALUE);
            self.set_known(dst, true);
            self.plain_load(Size::DW, R2, FP, KEY);
            self.set_known(R2, true);
        }
    }

    /// A perf event array whose slots are empty.
    fn events(&mut self) -> i32 {
        let kind = MapType::PERF_EVENT_ARRAY;
        let index = self.maps.iter().position(|m| m.kind == kind).unwrap_or_else(|| {
            self.maps.push(Arc::new(MapDef::new(kind, 4, 4, 2).named("events")));
            self.maps.len() - 1
        });
        index as i32
    }

    /// The address of one of the first `most` texts, which cannot change.
    fn text(&mut self, dst: Reg, most: usize) {
        let name = "texts";
        let index = self.maps.iter().position(|m| m.name == name).unwrap_or_else(|| {
            let mut bytes = vec![0; TEXT_BYTES * TEXTS.len()];
            for (room, text) in bytes.chunks_mut(TEXT_BYTES).zip(TEXTS) {
                room[..text.len()].copy_from_slice(text);
            }
            let mut def = MapDef::new(MapType::ARRAY, 4, bytes.len() as u32, 1).named(name);
            def.flags.0 = MapFlags::RDONLY_PROG;
            def.initial = Some(bytes);
            def.frozen = true;
            self.maps.push(Arc::new(def));
            self.maps.len() - 1
        });
        let off = TEXT_BYTES * self.rng.below(most);
        let value = Imm64::MapValueIdx { idx: index as i32, off_bytes: off as u32 };
        self.op(Op::LoadImm64 { dst, value });
    }
}
