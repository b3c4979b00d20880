//! Programs that are members of a structure of functions (`check_struct_ops_btf_id` in kernel/bpf/verifier.c, the
//! `struct bpf_struct_ops` of each structure, Linux 6.18).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;

use skep_abi::{ReturnRange, Stored, StructOps};
use skep_btf::{Btf, Kind, Param, Type, TypeId};
use skep_spec::ProgramSpec;

use super::args::{Attached, NULLABLE, Point};
use super::walk;
use crate::Code;
use crate::violation::{Check, Explain, refuse, unsupported};

/// End of the names of parameters that the program has to release.
const OWNED: &str = "__ref";

/// What makes a structure's programs different from others.
pub(crate) struct Member<'a> {
    pub(super) ops: &'static StructOps,
    /// The parameters of the function that stands in for the member.
    stub: &'a [Param],
    btf: &'a Btf,
    object: Option<TypeId>,
    stands_for_object: Option<TypeId>,
    /// Offset and bytes of the members that programs store to at any place, when it was asked for.
    areas: OnceCell<Vec<(u32, u32)>>,
}

impl<'a> Attached<'a> {
    pub(super) fn member(
        btf: &'a Btf,
        spec: &ProgramSpec,
        id: u32,
        ty: &'a Type,
        structure: &'a str,
    ) -> Check<Self> {
        if !spec.gpl_compatible() {
            return refuse(Code::GplOnly, "struct ops programs must have a GPL compatible license");
        }
        let Some(ops) = skep_abi::struct_ops(structure).filter(|_| matches!(ty, Type::Struct { .. })) else {
            let value = format!("bpf_struct_ops_{structure}");
            if btf.find_by_name(Some(Kind::Struct), &value).is_some() {
                return unsupported(format!("programs of struct {structure}"));
            }
            return refuse(Code::BadAttachType, format!("attach_btf_id {id} is not a supported struct"));
        };
        let index = spec.attach_type.0;
        let Some(member) = ty.members().get(index as usize) else {
            let words = format!("attach to invalid member idx {index} of struct {structure}");
            return refuse(Code::BadAttachType, words);
        };
        let name = btf.str(member.name);
        let Some((ret, params)) = function(btf, member.ty) else {
            let words = format!("attach to invalid member {name}(@idx {index}) of struct {structure}");
            return refuse(Code::BadAttachType, words);
        };
        let sleepable = spec.flags & ProgramSpec::SLEEPABLE != 0;
        let stub = ops.stub(name).filter(|_| !sleepable || ops.sleeps(name));
        let Some(stub) = stub else {
            let words = format!("attach to unsupported member {name} of struct {structure}");
            return refuse(Code::BadAttachType, words).explain(
                "a member that programs may be",
                match sleepable {
                    true => format!("{name} is none, or none for programs that sleep"),
                    false => format!("{name} is none"),
                },
                "leave the member out, or declare the program in SEC(\"struct_ops\")",
            );
        };
        let Some(stub) = btf
            .find_by_name(Some(Kind::Func), stub)
            .and_then(|id| function(btf, id))
            .map(|(_, params)| params)
            .filter(|stub| stub.len() == params.len())
        else {
            return unsupported(format!(
                "member {name} of struct {structure}: function {stub}, which says what it is given, is not in the \
                 kernel's types"
            ));
        };
        if stub.iter().any(|param| btf.str(param.name).ends_with(OWNED)) {
            return unsupported(format!(
                "member {name} of struct {structure}, whose arguments are to be released"
            ));
        }
        let returns = match btf.resolved(ret) {
            Type::Void => Some(ReturnRange::Nothing),
            // None, that is: what a program may hand over, no structure known here asks for.
            Type::Ptr { .. } => Some(ReturnRange::Within(0, 0)),
            _ => None,
        };
        let named = |name: &str| btf.find_by_name(Some(Kind::Struct), name);
        let point = Point::Member(Member {
            ops,
            stub,
            btf,
            object: named(ops.object),
            stands_for_object: ops.stands_for_object.and_then(named),
            areas: OnceCell::new(),
        });
        Ok(Self { btf, name, params, point, trusted: true, result: None, returns })
    }
}

/// What a function, or a pointer to one, returns and takes.
fn function(btf: &Btf, id: TypeId) -> Option<(TypeId, &[Param])> {
    let proto = match btf.resolved(id) {
        Type::Func { proto, .. } => *proto,
        Type::Ptr { target } => *target,
        _ => return None,
    };
    match btf.resolved(proto) {
        Type::FuncProto { ret, params } => Some((*ret, params)),
        _ => None,
    }
}

impl Member<'_> {
    /// Whether an argument may be NULL (`prepare_arg_info`).
    pub(super) fn may_be_null(&self, n: usize) -> bool {
        self.stub.get(n).is_some_and(|param| self.btf.str(param.name).ends_with(NULLABLE))
    }

    /// What an argument that points to the type points to for the program (`bpf_tcp_ca_is_valid_access`).
    pub(super) fn seen_as(&self, to: TypeId) -> TypeId {
        match self.stands_for_object {
            Some(id) if id == to => self.object.unwrap_or(to),
            _ => to,
        }
    }

    /// Whether programs store `size` bytes at `off` in an object of the type (`btf_struct_access` of the structure's
    /// `bpf_verifier_ops`).
    pub(crate) fn stores(&self, id: TypeId, off: u32, size: u32) -> Result<(), String> {
        let object = self.ops.object;
        if self.object != Some(id) {
            return Err(match self.ops.stored {
                Stored::Whole => format!("only access to {object} is supported"),
                Stored::Members(_) => "only read is supported".into(),
            });
        }
        let end = u64::from(off) + u64::from(size);
        let beyond = |limit: u32| {
            format!(
                "write access at off {off} with size {size} beyond the member of {object} ended at {limit}"
            )
        };
        let members = match self.ops.stored {
            Stored::Whole => {
                let limit = self.btf.size_of(id).unwrap_or(0);
                return if end <= limit.into() { Ok(()) } else { Err(beyond(limit)) };
            }
            Stored::Members(members) => members,
        };
        let named = |structure: &str| self.btf.find_by_name(Some(Kind::Struct), structure);
        let place = |(structure, path): &(&str, &str)| walk::place(self.btf, named(structure)?, path);
        let areas = self.areas.get_or_init(|| self.ops.areas.iter().filter_map(place).collect());
        let covers = |(start, bytes): &(u32, u32)| off >= *start && off - *start < *bytes;
        let at = |(structure, path): &(&str, &str)| walk::place_at(self.btf, named(structure)?, path, off);
        let found = areas.iter().copied().find(covers).or_else(|| members.iter().find_map(at));
        match found {
            Some((start, bytes)) if end <= u64::from(start) + u64::from(bytes) => Ok(()),
            Some((start, bytes)) => Err(beyond(start.saturating_add(bytes))),
            None => Err(format!("no write support to {object} at off {off}")),
        }
    }
}
