//! Arguments of helpers, as their prototypes say.

use alloc::format;

use skep_abi::{Arg, ArgKind, DynptrUse, HelperFlags, MapFlags, MapType, MemAccess};
use skep_isa::Reg;
use skep_spec::FieldKind;

use super::super::given::Used;
use super::super::memory::{aligned, unmodified};
use super::super::sized::{self, Pair};
use super::super::{allocated, dynptr, kptr, leak, leaks, lock, object, readable, reference, strings, timer};
use super::Args;
use crate::Code;
use crate::contract::{self, DynptrChange, Held, arg_reg};
use crate::state::{self, Byte, DynptrType, Kind, LockKind, Marks, Sock, place, type_name};
use crate::violation::{Check, Explain, refuse, unsupported};

impl Args<'_, '_> {
    pub(super) fn arg(&mut self, i: usize, arg: Arg) -> Check<()> {
        let arg = self.of_map(arg);
        let reg = arg_reg(i);
        readable(self.s, reg)?;
        let value = self.s.reg(reg);
        if arg.kind == ArgKind::Anything {
            if leaks(self.p, self.s, reg) {
                return leak(self.s, reg, format!("R{} leaks addr into helper function", reg.0));
            }
            return Ok(());
        }
        if value.kind.is_packet() && !self.p.row.packet.passes(self.proto.flags.has(HelperFlags::PACKET_ARGS))
        {
            return refuse(Code::BadArgument, "helper access to the packet is not allowed");
        }
        if value.is_null() && (arg.nullable || arg.kind == ArgKind::StackOrNull) {
            // Another number would be an address that nobody has looked at. Linux forgets that.
            self.facts.precise = self.facts.precise.with(reg);
            return Ok(());
        }
        self.type_fits(reg, arg)?;
        if arg.kind != ArgKind::KptrField {
            self.ref_id = reference::given(self.s, reg, self.ref_id)?;
        }
        if self.proto.id == contract::DYNPTR_FROM_MEM
            && reg == Reg(1)
            && !matches!(value.kind, Kind::MapValue(_))
        {
            let words = format!("Unsupported reg type {} for bpf_dynptr_from_mem data", type_name(value));
            return refuse(Code::BadArgument, words).explain(
                "memory in a map's value",
                format!("r1 is {}", state::register(self.p, self.s.depth(), value)),
                "look an element up and make the dynptr to a part of its value",
            );
        }
        match arg.kind {
            ArgKind::Anything => Ok(()),
            ArgKind::Ctx => unmodified(self.s, reg),
            ArgKind::Map => self.map_arg(value),
            ArgKind::MapKey => {
                let size = self.map_def(reg)?.key_size;
                self.memory(reg, size.into(), MemAccess::Read, false, true)?;
                self.constant_key(reg, size);
                Ok(())
            }
            ArgKind::MapValue(access) => {
                let size = self.map_def(reg)?.value_size;
                self.memory(reg, size.into(), access, false, true)
            }
            // Checked with its size, the next argument.
            ArgKind::Mem(_) => Ok(()),
            ArgKind::FixedMem(access, size) => self.memory(reg, size.into(), access, false, true),
            ArgKind::AlignedMem(access, size) => {
                self.memory(reg, size.into(), access, false, true)?;
                aligned(self.p, value, 0, size as usize, true)
            }
            ArgKind::Size => self.size(i, false),
            ArgKind::SizeOrZero => self.size(i, true),
            ArgKind::AllocSize => self.alloc_size(reg),
            ArgKind::RingbufRecord => {
                reference::unmoved(self.s, reg)?;
                self.referenced(reg)
            }
            // Sockets never move.
            ArgKind::SockCommon | ArgKind::Socket => self.referenced(reg),
            ArgKind::AnySock => {
                object::is_a(self.p, self.s, reg, "sock_common")?;
                self.referenced(reg)
            }
            ArgKind::Btf(name) => object::is_a(self.p, self.s, reg, name),
            ArgKind::ConstStr => {
                self.text = Some(strings::constant(self.p, self.s, reg)?);
                Ok(())
            }
            ArgKind::Func => {
                if let Kind::Func(subprog) = value.kind {
                    unmodified(self.s, reg)?;
                    self.func = Some(subprog);
                }
                Ok(())
            }
            // Given to the callback as it is: what that reads is seen there.
            ArgKind::StackOrNull => {
                if let Kind::Stack { frame } = value.kind {
                    let off = i64::from(value.off).saturating_add(value.val.smin());
                    self.facts.stack_reads.push((frame.into(), off as i32, 0));
                }
                Ok(())
            }
            ArgKind::SpinLock => {
                if allocated::is_sorting(self.p, self.s) {
                    return refuse(Code::Lock, "can't spin_{lock,unlock} in rbtree cb");
                }
                let takes = self.proto.id == contract::SPIN_LOCK;
                self.out.lock = Some(lock::change(self.p, self.s, self.pc, reg, LockKind::Plain, takes)?);
                Ok(())
            }
            ArgKind::Timer => {
                self.map = Some(timer::field(self.p, self.s, reg, FieldKind::Timer)?);
                Ok(())
            }
            ArgKind::KptrField => {
                self.place = Some((reg, kptr::place(self.p, self.s, reg)?));
                Ok(())
            }
            ArgKind::Kptr => self.given_away(reg),
            // What each CPU has of it.
            ArgKind::PerCpuVariable => unmodified(self.s, reg),
            ArgKind::Dynptr(usage) => self.dynptr_arg(reg, usage),
        }
    }

    /// The object that an exchange puts in.
    fn given_away(&mut self, reg: Reg) -> Check<()> {
        let value = self.s.reg(reg);
        if value.nullable {
            return refuse(Code::NullPointer, format!("Possibly NULL pointer passed to helper arg{}", reg.0));
        }
        if let Some((base, field)) = self.place {
            kptr::fits(self.p, self.s, base, &field, reg)?;
        }
        reference::unmoved(self.s, reg)?;
        reference::held(self.p, self.s, reg)?;
        self.out.releases = Some(value.ref_id);
        self.out.per_cpu_stays = self.p.in_rcu(self.s);
        Ok(())
    }

    /// What is released must be a reference.
    fn referenced(&self, reg: Reg) -> Check<()> {
        match self.proto.flags.has(HelperFlags::RELEASES) {
            true => reference::held(self.p, self.s, reg),
            false => Ok(()),
        }
    }

    fn type_fits(&self, reg: Reg, arg: Arg) -> Check<()> {
        let value = self.s.reg(reg);
        let memory = matches!(
            value.kind,
            Kind::Stack { .. }
                | Kind::Packet { .. }
                | Kind::PacketMeta { .. }
                | Kind::MapValue(_)
                | Kind::MapKey(_)
                | Kind::Mem { .. }
                | Kind::Slice { .. }
                | Kind::Buffer { .. }
                | Kind::Btf { marks: Marks::TRUSTED, .. }
        );
        // Who only reads says so; keys and values of maps do not (`check_reg_type`, Linux 6.18).
        let reads = matches!(
            arg.kind,
            ArgKind::Mem(MemAccess::Read)
                | ArgKind::FixedMem(MemAccess::Read, _)
                | ArgKind::AlignedMem(MemAccess::Read, _)
        );
        let fixed = matches!(
            value.kind,
            Kind::Mem { writable: false, .. }
                | Kind::Slice { writable: false, .. }
                | Kind::Buffer { writable: false }
        );
        let memory = memory && (reads || !fixed);
        let (fits, expected) = match arg.kind {
            ArgKind::Anything => (true, ""),
            ArgKind::Ctx => (value.kind == Kind::Ctx, "ctx"),
            ArgKind::Map => (matches!(value.kind, Kind::Map(_)), "map_ptr"),
            ArgKind::MapKey
            | ArgKind::MapValue(_)
            | ArgKind::Mem(_)
            | ArgKind::FixedMem(..)
            | ArgKind::AlignedMem(..) => {
                (memory, "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
            }
            ArgKind::Size | ArgKind::SizeOrZero | ArgKind::AllocSize => (value.is_scalar(), "scalar"),
            ArgKind::RingbufRecord => (matches!(value.kind, Kind::Mem { ringbuf: true, .. }), "ringbuf_mem"),
            ArgKind::ConstStr => (matches!(value.kind, Kind::MapValue(_)), "map_value"),
            ArgKind::Func => (matches!(value.kind, Kind::Func(_)), "func"),
            ArgKind::StackOrNull => (value.is_null() || matches!(value.kind, Kind::Stack { .. }), "fp"),
            ArgKind::SpinLock | ArgKind::KptrField => (
                matches!(value.kind, Kind::MapValue(_) | Kind::Local { marks: Marks::ALLOC, .. }),
                "map_value, ptr_",
            ),
            ArgKind::SockCommon => {
                (matches!(value.kind, Kind::Sock(_)), "sock_common, sock, tcp_sock, xdp_sock")
            }
            ArgKind::AnySock => (
                matches!(value.kind, Kind::Sock(_)) || object::is_given_as_socket(value.kind),
                "sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_",
            ),
            ArgKind::Socket => (value.kind == Kind::Sock(Sock::Full), "sock"),
            ArgKind::Btf(_) => (object::is_given(value.kind), "ptr_, trusted_ptr_, rcu_ptr_"),
            ArgKind::Kptr => {
                let own = matches!(value.kind, Kind::Local { marks, .. } if marks.is_given_away());
                (own || object::is_given(value.kind), "ptr_, trusted_ptr_, rcu_ptr_")
            }
            ArgKind::PerCpuVariable => {
                let seen = Marks::PER_CPU | Marks::RCU;
                let own = matches!(value.kind, Kind::Local { marks, .. } if marks == seen);
                let of_each = [Marks::PER_CPU, seen, Marks::PER_CPU | Marks::TRUSTED];
                let kernels = matches!(value.kind, Kind::Btf { marks, .. } if of_each.contains(&marks));
                (own || kernels, "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_")
            }
            ArgKind::Timer => (matches!(value.kind, Kind::MapValue(_)), "map_value"),
            ArgKind::Dynptr(_) => {
                (matches!(value.kind, Kind::Stack { .. } | Kind::Dynptr(_)), "fp, dynptr_ptr")
            }
        };
        if fits && (!value.nullable || arg.nullable) {
            return Ok(());
        }
        let code = if value.nullable { Code::NullPointer } else { Code::BadArgument };
        refuse(code, format!("R{} type={} expected={expected}", reg.0, type_name(value))).explain(
            format!("argument {} of {}: {expected}", reg.0, self.proto.name),
            format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), value)),
            if value.nullable {
                "compare the pointer with 0 first"
            } else {
                "pass what the helper's prototype asks for"
            },
        )
    }

    fn dynptr_arg(&mut self, reg: Reg, usage: DynptrUse) -> Check<()> {
        let change = match usage {
            DynptrUse::Made => {
                let at = dynptr::made(self.p, self.s, reg)?;
                DynptrChange::Made { at, kind: DynptrType::Local, reference: Held::None }
            }
            DynptrUse::MadeRecord => {
                let at = dynptr::made(self.p, self.s, reg)?;
                DynptrChange::Made { at, kind: DynptrType::Ringbuf, reference: Held::New }
            }
            DynptrUse::EndsRecord => DynptrChange::Ended { ref_id: dynptr::ended(self.s, reg)? },
            DynptrUse::Used => {
                let given = dynptr::used(self.s, reg)?;
                self.out.changes_packet |=
                    self.proto.id == contract::DYNPTR_WRITE && given.kind.write_changes_packet();
                self.dynptr = Some(given);
                return Ok(());
            }
        };
        if let DynptrChange::Made { at, .. } = change {
            self.facts.touched.push((at.frame, at.off()));
        }
        self.out.dynptr = Some(change);
        Ok(())
    }

    fn map_arg(&mut self, value: &state::Reg) -> Check<()> {
        let Kind::Map(idx) = value.kind else { return Ok(()) };
        self.out.map = Some(idx);
        let def = self.p.map(idx);
        let name = self.proto.name;
        let row = self.p.env.map_type(def.kind);
        if let Some(map) = self.map.filter(|_| self.proto.id == contract::TIMER_INIT) {
            return timer::same_map(self.s, map, arg_reg(1), "timer");
        }
        let walks = self.proto.id == contract::FOR_EACH_MAP_ELEM;
        let fits = row.is_some_and(|row| contract::map_fits(row, self.proto));
        if !(walks || fits && contract::may_change_sockets(self.p, def.kind, self.proto)) {
            let words = format!("cannot pass map_type {} into func {name}#{}", def.kind.0, self.proto.id);
            return refuse(Code::BadMapForHelper, words).explain(
                format!("a map that {name} takes"),
                format!("map {} is a {}", def.name, def.kind.name().unwrap_or("map of unknown type")),
                "use the helper of this map type, or another map",
            );
        }
        if def.flags.has(MapFlags::RDONLY_PROG) && contract::changes_map(self.proto) {
            return refuse(Code::ForbiddenAccess, "write into map forbidden");
        }
        self.map = Some(idx);
        Ok(())
    }

    /// What an argument must be, where that depends on the map (`resolve_map_arg_type`).
    fn of_map(&self, arg: Arg) -> Arg {
        let kind = match (arg.kind, self.map.map(|map| self.p.map(map).kind)) {
            (ArgKind::MapValue(_), Some(map)) if map.holds_sockets() => ArgKind::AnySock,
            // Looked for, not found.
            (ArgKind::MapValue(_), Some(MapType::BLOOM_FILTER)) => ArgKind::MapValue(MemAccess::Read),
            (kind, _) => kind,
        };
        Arg { kind, ..arg }
    }

    fn map_def(&self, reg: Reg) -> Check<&skep_spec::MapDef> {
        match self.map {
            Some(idx) => Ok(self.p.map(idx)),
            None => refuse(Code::BadArgument, format!("R{}: no map argument before it", reg.0)),
        }
    }

    /// `size` bytes that the helper uses. `exact`: it uses all of them.
    fn memory(&mut self, reg: Reg, size: i64, access: MemAccess, zero_ok: bool, exact: bool) -> Check<()> {
        let used = Used { reg, size, access, zero_ok, exact };
        used.check(self.p, self.s, &mut self.facts, &mut self.out)
    }

    /// The size of the memory before it.
    fn size(&mut self, i: usize, zero_ok: bool) -> Check<()> {
        let before = self.proto.args.get(i.wrapping_sub(1)).copied().flatten().map(|a| a.kind);
        let Some(ArgKind::Mem(access)) = before else {
            return unsupported(format!("helper {}: a size without memory before it", self.proto.name));
        };
        let pair = Pair { memory: arg_reg(i.saturating_sub(1)), size: arg_reg(i), zero_ok };
        self.size_max = pair.check(self.p, self.s, &[access], &mut self.facts, &mut self.out)?;
        Ok(())
    }

    fn alloc_size(&mut self, reg: Reg) -> Check<()> {
        let size = sized::constant(self.p, self.s, reg, &mut self.facts)?;
        // Like the kernel's field: 32 bits. Above that the reservation itself fails, and there is no record.
        self.alloc_size = Some(size as u32);
        Ok(())
    }

    /// A helper that cannot fail takes no flags.
    pub(super) fn no_flags(&mut self, reg: Reg) -> Check<()> {
        if !self.s.reg(reg).is_null() {
            let words = "get_local_storage() doesn't support non-zero flags";
            return refuse(Code::BadArgument, words).explain(
                "flags that are known to be 0",
                format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), self.s.reg(reg))),
                "pass 0",
            );
        }
        self.facts.precise = self.facts.precise.with(reg);
        Ok(())
    }

    /// The constant format of `bpf_snprintf` fits the number of arguments.
    pub(super) fn format(&self) -> Check<()> {
        let bytes = self.s.reg(arg_reg(4)).val.tnum().value();
        let text = self.text.as_deref().unwrap_or(&[]);
        strings::format(text, bytes)
    }

    /// Remembers a key that is known, for arrays, where a lookup inside the bounds cannot fail.
    fn constant_key(&mut self, reg: Reg, size: u32) {
        let Some(idx) = self.map else { return };
        let array = matches!(self.p.map(idx).kind, MapType::ARRAY | MapType::PERCPU_ARRAY);
        let value = self.s.reg(reg);
        let Kind::Stack { frame } = value.kind else { return };
        let (true, Some(var)) =
            (array && self.proto.id == contract::LOOKUP && size == 4, value.val.as_const())
        else {
            return;
        };
        let off = value.off.wrapping_add(var as i32);
        let stack = &self.s.frames[usize::from(frame)].stack;
        let (slot, byte) = place(off);
        if (off..off + 4).all(|at| stack.byte(at) == Byte::Zero) {
            self.const_key = Some(0);
            return;
        }
        let spill = stack.slot(off).and_then(state::Slot::spill);
        // In the upper half of a spill Linux takes the whole number for the key, which is too large unless that half is 0.
        if let (Some((reg, size @ 4)), 0) | (Some((reg, size @ 8)), 4) = (spill, byte)
            && let Some(key) = reg.as_const()
        {
            self.const_key = Some(if size == 4 { u64::from(key as u32) } else { key });
            self.facts.precise_slots.push((frame.into(), slot));
        }
    }
}
