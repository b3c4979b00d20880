//! What helpers call back and return.

use alloc::format;

use skep_abi::Ret;
use skep_isa::Reg;

use super::super::{dynptr, kptr};
use super::{Args, room_for_frame};
use crate::contract::{self, Callback, CallbackArgs, Later, Returned};
use crate::state::{Kind, Marks, Sock};
use crate::violation::{Check, Explain, refuse, unsupported};
use crate::{Code, kernel};

impl Args<'_, '_> {
    /// What the helper calls back, if it does.
    pub(super) fn callback(&mut self) -> Check<()> {
        let args = match (self.proto.id, self.map) {
            (contract::LOOP, _) => {
                // How often the callback is explored rests on it.
                self.facts.precise = self.facts.precise.with(Reg(1));
                // Whether Linux puts the loop into the program rests on the flags.
                if self.s.reg(Reg(4)).is_null() {
                    self.facts.precise = self.facts.precise.with(Reg(4));
                }
                CallbackArgs::Loop { most: self.s.reg(Reg(1)).val.umax() }
            }
            (contract::FOR_EACH_MAP_ELEM, Some(map)) => {
                let def = self.p.map(map);
                if !contract::walks(def.kind) {
                    return refuse(Code::BadMapForHelper, "callback function not allowed for map").explain(
                        "a hash or array map, or a per-CPU or LRU one",
                        format!("map {} is a {}", def.name, def.kind.name().unwrap_or("map of unknown type")),
                        "walk another map, or look keys up one by one",
                    );
                }
                CallbackArgs::MapElem { map }
            }
            (contract::FIND_VMA, _) => {
                if self.s.reg(Reg(4)).is_null() {
                    self.facts.precise = self.facts.precise.with(Reg(4));
                }
                CallbackArgs::Vma { id: kernel::of(self.p)?.structure("vm_area_struct")? }
            }
            (contract::TIMER_SET_CALLBACK, Some(map)) => {
                CallbackArgs::Later(Later { map, sleeps: false, any_result: false })
            }
            (contract::USER_RINGBUF_DRAIN, _) => CallbackArgs::Sample,
            _ if self.func.is_some() => {
                return unsupported(format!("what helper {} calls back", self.proto.name));
            }
            _ => return Ok(()),
        };
        let Some(subprog) = self.func else { return Ok(()) };
        if !matches!(args, CallbackArgs::Later(_)) {
            room_for_frame(self.s)?;
        }
        self.out.callback = Some(Callback { subprog, args });
        Ok(())
    }

    pub(super) fn returned(&self) -> Check<Returned> {
        Ok(match self.proto.ret {
            Ret::Integer => Returned::Integer,
            Ret::LengthOrError => Returned::Within(-contract::MAX_ERRNO, self.size_max as i64),
            Ret::Cpu => Returned::Within(0, i64::from(self.p.env.cpus.max(1)) - 1),
            Ret::Void => Returned::Void,
            Ret::MapValueOrNull => match self.map {
                Some(map) if self.p.map(map).kind.holds_maps() && self.p.inner(map).is_none() => {
                    let words =
                        format!("map '{}' does not say what its maps look like", self.p.map(map).name);
                    return refuse(Code::BadMapReference, words).explain(
                        "the definition of the maps inside",
                        "there is none",
                        "write __array(values, struct INNER) into the map's definition",
                    );
                }
                Some(map) => {
                    let sure = self.const_key.is_some_and(|k| k < self.p.surely_has(map).into());
                    Returned::MapValue { map, nullable: !sure }
                }
                None => return refuse(Code::BadArgument, "the helper returns a map value but takes no map"),
            },
            Ret::SocketOrNull => Returned::Sock(Sock::Full),
            Ret::SockCommonOrNull => Returned::Sock(Sock::Common),
            Ret::TcpSockOrNull => Returned::Sock(Sock::Tcp),
            Ret::RingbufRecordOrNull => match self.alloc_size {
                Some(size) => Returned::Record { size },
                None => return refuse(Code::BadArgument, "the helper returns memory but takes no size"),
            },
            Ret::MapValue => match self.map {
                Some(map) => Returned::MapValue { map, nullable: false },
                None => return refuse(Code::BadArgument, "the helper returns a map value but takes no map"),
            },
            Ret::Btf(name) => {
                let trusted = self.proto.id == contract::GET_CURRENT_TASK_BTF;
                let marks = if trusted { Marks::TRUSTED } else { Marks::NONE };
                Returned::Object { id: kernel::of(self.p)?.structure(name)?, marks, nullable: false }
            }
            Ret::BtfOrNull(name) => {
                let id = kernel::of(self.p)?.structure(name)?;
                Returned::Object { id, marks: Marks::NONE, nullable: true }
            }
            Ret::KptrOrNull => match &self.place {
                Some((reg, field)) => kptr::exchanged(self.p, self.s, *reg, field)?,
                None => return refuse(Code::BadArgument, "the helper returns an object but takes no place"),
            },
            Ret::DynptrMemOrNull => match (self.dynptr, self.alloc_size) {
                (Some(dynptr::Given { id, ref_id, .. }), Some(size)) => {
                    // Of packets the helper gives NULL.
                    Returned::Slice { size, dynptr: id, ref_id, writable: true, packet: false, stays: false }
                }
                _ => {
                    return refuse(
                        Code::BadArgument,
                        "the helper returns memory but takes no dynptr or size",
                    );
                }
            },
            // A CPU that is not there has none. (Linux 6.18 forgets that.)
            Ret::Variable | Ret::VariableOrNull if let Kind::Local { id, .. } = self.s.reg(Reg(1)).kind => {
                let nullable = self.proto.ret == Ret::VariableOrNull;
                Returned::Local { id, marks: Marks::ALLOC | Marks::RCU, off: 0, nullable }
            }
            Ret::Variable | Ret::VariableOrNull => match self.s.reg(Reg(1)).kind {
                Kind::Btf { id, .. } => {
                    kernel::of(self.p)?.of_a_cpu(id, self.proto.ret == Ret::VariableOrNull)?
                }
                _ => return refuse(Code::BadArgument, "the helper returns a variable but takes none"),
            },
        })
    }
}
