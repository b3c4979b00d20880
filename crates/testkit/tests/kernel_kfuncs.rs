//! Calls of the kernel's functions against the running kernel: who may call which, and which arguments each takes.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{AttachType, KfuncFlags, MapType, PROGRAM_TYPES, ProgramType, kfuncs};
use skep_btf::{Btf, Kind, Type, TypeId};
use skep_isa::text::assemble;
use skep_isa::{Imm64, Insn, Op, Reg};
use skep_linux::{LinuxBackend, LinuxMap};
use skep_spec::{Environment, LoadOptions, MapDef, ProgramSpec};
use skep_testkit::kernel;
use skep_verifier::{Options, verify};

struct Kernel {
    linux: LinuxBackend,
    env: Environment,
    btf: Arc<Btf>,
    /// The functions that programs may call, by name.
    ids: BTreeMap<String, TypeId>,
    maps: Vec<(Arc<MapDef>, LinuxMap)>,
    asked: usize,
    accepted: usize,
    unsupported: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// The kernel to ask, and its types; says why not.
fn ready() -> Option<Kernel> {
    let linux = kernel::asked()?;
    let (btf, env) = kernel::typed()?;
    let def = Arc::new(MapDef::new(MapType::ARRAY, 4, 64, 1));
    let map = linux.create(&def).expect("an array");
    let maps = vec![(def, map)];
    let tagged = |id: TypeId| btf.decl_tags(id, None).any(|tag| tag == "bpf_kfunc");
    let functions = btf.iter().filter(|(id, ty)| matches!(ty, Type::Func { .. }) && tagged(*id));
    let ids = functions.map(|(id, ty)| (btf.str(ty.name()).to_owned(), id)).collect();
    Some(Kernel {
        linux,
        env,
        btf,
        ids,
        maps,
        asked: 0,
        accepted: 0,
        unsupported: BTreeMap::new(),
        wrong: Vec::new(),
    })
}

/// What calls in a text are for: the helper of this number stands for the function.
const FIRST: i32 = 9000;

impl Kernel {
    /// A program from text: `call bpf_…` calls a function of the kernel, `rN = value` takes the address of a map's value,
    /// `rN = map` that of the map.
    fn insns(&self, text: &str) -> Vec<Insn> {
        let mut calls: Vec<&str> = Vec::new();
        let mut out = String::new();
        for line in text.lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("call ").filter(|n| n.parse::<i32>().is_err()) {
                out += &format!("call {}\n", FIRST + calls.len() as i32);
                calls.push(name);
            } else if let Some(reg) = line.strip_suffix(" = value") {
                out += &format!("{reg} = 6000 ll\n");
            } else if let Some(reg) = line.strip_suffix(" = map") {
                out += &format!("{reg} = 6001 ll\n");
            } else {
                out += line;
                out += "\n";
            }
        }
        let mut insns = assemble(&out).unwrap_or_else(|e| panic!("{e}:\n{out}"));
        for insn in &mut insns {
            let at = insn.imm.wrapping_sub(FIRST) as usize;
            if insn.opcode == 0x85 && at < calls.len() {
                let name = calls[at];
                let id = self.ids[name];
                *insn = Insn::new(0x85, Reg(0), Reg(2), 0, id.0 as i32);
            } else if insn.opcode == 0x18 && matches!(insn.imm, 6000 | 6001) {
                let value = match insn.imm {
                    6000 => Imm64::MapValueIdx { idx: 0, off_bytes: 0 },
                    _ => Imm64::MapIdx(0),
                };
                *insn = Op::LoadImm64 { dst: insn.dst, value }.try_encode().expect("an index").0;
            }
        }
        insns
    }

    fn spec(&self, (prog_type, attach_type): (ProgramType, AttachType), insns: Vec<Insn>) -> ProgramSpec {
        let target = match attach_type {
            AttachType::TRACE_RAW_TP => Some((Kind::Typedef, "btf_trace_sched_switch")),
            AttachType::TRACE_ITER => Some((Kind::Func, "bpf_iter_task")),
            _ => None,
        };
        let target = target.and_then(|(kind, name)| self.btf.find_by_name(Some(kind), name));
        let uses_map = insns.iter().any(|i| i.opcode == 0x18 && matches!(i.src.0, 5 | 6));
        ProgramSpec {
            name: "calls".into(),
            attach_type,
            attach_btf_id: target.map_or(0, |id| id.0),
            flags: if prog_type == ProgramType::SYSCALL { ProgramSpec::SLEEPABLE } else { 0 },
            maps: if uses_map { vec![self.maps[0].0.clone()] } else { Vec::new() },
            ..ProgramSpec::new(prog_type, insns)
        }
    }

    /// Compares verdicts; gives the kernel's, with the last line of its log.
    fn ask(&mut self, spec: &ProgramSpec, what: impl Fn() -> String) -> Result<(), String> {
        let ours = verify(spec, &self.env, &Options::default());
        let fds: Vec<_> = spec.maps.iter().map(|_| self.maps[0].1.as_fd()).collect();
        let theirs = self.linux.load_program(spec, &fds, LoadOptions { log_level: 1 });
        let theirs = theirs.map(drop).map_err(|e| {
            let line = e.log.lines().rev().find(|l| !l.starts_with("processed")).unwrap_or_default();
            line.to_owned()
        });
        match (&ours, &theirs) {
            (Err(e), _) if e.is_unsupported() => {
                *self.unsupported.entry(e.message().to_owned()).or_default() += 1;
                return theirs;
            }
            (Ok(_), Err(words)) => self.wrong.push(format!("{}: accepted; Linux: {words}", what())),
            // Linux 6.18 takes NULL for memory that functions then use.
            (Err(e), Ok(())) if e.message().contains("type=scalar expected=fp") => {}
            (Err(e), Ok(())) => self.wrong.push(format!("{}: refused: {}", what(), e.message())),
            (Err(e), Err(words)) => {
                let (a, b) = (e.message().contains("is not allowed"), words.contains("is not allowed"));
                if a != b && words.contains("kernel function") {
                    self.wrong.push(format!("{}: {}; Linux: {words}", what(), e.message()));
                }
            }
            (Ok(_), Ok(())) => self.accepted += 1,
        }
        self.asked += 1;
        theirs
    }

    fn done(self, least: usize) {
        let Self { asked, accepted, unsupported, wrong, .. } = self;
        println!("{asked} programs, {accepted} accepted; {unsupported:?}");
        assert!(wrong.is_empty(), "{} of {asked} differ:\n{}", wrong.len(), wrong.join("\n"));
        assert!(asked >= least, "{asked}");
    }
}

/// Program types with an attach type that such programs may be loaded with.
fn types() -> Vec<(ProgramType, AttachType)> {
    let rows = PROGRAM_TYPES.iter().filter(|r| r.id != ProgramType::LIRC_MODE2);
    let mut all: Vec<_> = rows.map(|r| (r.id, r.attach_types.first().copied().unwrap_or_default())).collect();
    all.push((ProgramType::TRACING, AttachType::TRACE_RAW_TP));
    all.push((ProgramType::TRACING, AttachType::TRACE_ITER));
    all.push((ProgramType::KPROBE, AttachType::TRACE_KPROBE_SESSION));
    all
}

#[test]
fn who_may_call_what() {
    let Some(mut kernel) = ready() else { return };
    for row in kfuncs() {
        if !kernel.ids.contains_key(row.name) {
            continue;
        }
        for ty in types() {
            let insns = kernel.insns(&format!("call {}\nr0 = 0\nexit", row.name));
            let spec = kernel.spec(ty, insns);
            let said =
                kernel.ask(&spec, || format!("{} in {} {:?}", row.name, ty.0.name().unwrap_or("?"), ty.1));
            let allowed = !said.is_err_and(|w| w.contains("is not allowed"));
            if row.may_be_called(ty.0, ty.1) != allowed {
                kernel.wrong.push(format!("{} in {ty:?}: allowed {allowed}", row.name));
            }
        }
    }
    kernel.done(3000);
}

#[test]
fn every_function_of_the_kernel_has_a_row() {
    let Some(kernel) = ready() else { return };
    let missing: Vec<_> = kernel.ids.keys().filter(|name| skep_abi::kfunc(name).is_none()).collect();
    assert_eq!(missing, [""; 0]);
}

/// What programs put into a register, by what it is called, and how they give it back.
const GIVEN: &[(&str, &str, &str)] = &[
    ("nothing", "", ""),
    ("0", "rN = 0", ""),
    ("1", "rN = 1", ""),
    ("-1", "rN = -1", ""),
    ("64", "rN = 64", ""),
    ("any number", "rN = *(u64 *)(r10 - 16)", ""),
    ("1 to 8", "rN = *(u64 *)(r10 - 24)", ""),
    ("the context", "rN = r9", ""),
    ("the context moved", "rN = r9\nrN += 8", ""),
    ("a buffer", "rN = r10\nrN += -128", ""),
    ("the last 4 bytes of the stack", "rN = r10\nrN += -4", ""),
    ("a map value", "rN = value", ""),
    ("a map value's last bytes", "rN = value\nrN += 62", ""),
    ("a map", "rN = map", ""),
    ("the running task", "rN = r8", ""),
    ("the running task moved", "rN = r8\nrN += 8", ""),
    ("the running task's parent", "rN = *(u64 *)(r8 + PARENT)", ""),
    ("the running task's last wakee", "rN = *(u64 *)(r8 + WAKEE)", ""),
    ("the running task's css_set", "rN = *(u64 *)(r8 + CGROUPS)", ""),
    ("the running task's control group", "rN = *(u64 *)(r8 + CGROUPS)\nrN = *(u64 *)(rN + DFL)", ""),
    ("the running task's set of CPUs", "rN = *(u64 *)(r8 + CPUS)", ""),
    ("a task", "rN = r7", "r1 = r7\ncall bpf_task_release"),
    ("a control group", "rN = r7", "r1 = r7\ncall bpf_cgroup_release"),
    ("a set of CPUs", "rN = r7", "r1 = r7\ncall bpf_cpumask_release"),
    ("a set of CPUs, moved", "rN = r7\nrN += 8", "r1 = r7\ncall bpf_cpumask_release"),
    ("a key", "rN = r7", "r1 = r7\ncall bpf_key_put"),
    ("a connection", "rN = r7", "r1 = r7\ncall bpf_ct_release"),
    ("a new connection", "rN = r7", "NONE"),
    ("a task or NULL", "rN = r7", "if r7 == 0 goto +2\nr1 = r7\ncall bpf_task_release"),
    ("anything", "rN = r6", ""),
];

/// What acquires what stands in `r7`.
fn acquired(what: &str, ty: ProgramType) -> Option<String> {
    let or_none = "if r0 != 0 goto +2\nr0 = 0\nexit\nr7 = r0";
    let ct = if ty == ProgramType::XDP { "bpf_xdp_ct" } else { "bpf_skb_ct" };
    let tuple = "r1 = r9\nr2 = r10\nr2 += -128\nr3 = 12\nr4 = r10\nr4 += -64\nr5 = 12";
    Some(match what {
        "a task" => format!("r1 = 1\ncall bpf_task_from_pid\n{or_none}"),
        "a task or NULL" => "r1 = 1\ncall bpf_task_from_pid\nr7 = r0".into(),
        "a control group" => format!("r1 = 1\ncall bpf_cgroup_from_id\n{or_none}"),
        "a set of CPUs" | "a set of CPUs, moved" => format!("call bpf_cpumask_create\n{or_none}"),
        "a key" => format!("r1 = 1\ncall bpf_lookup_system_key\n{or_none}"),
        "a connection" => format!("{tuple}\ncall {ct}_lookup\n{or_none}"),
        "a new connection" => format!("{tuple}\ncall {ct}_alloc\n{or_none}"),
        _ => return None,
    })
}

/// How a result is given back, by the structure that it is.
fn given_back(name: &str) -> Option<&'static str> {
    Some(match name {
        "task_struct" => "bpf_task_release",
        "cgroup" => "bpf_cgroup_release",
        "bpf_cpumask" => "bpf_cpumask_release",
        "bpf_key" => "bpf_key_put",
        "nf_conn" => "bpf_ct_release",
        "bpf_crypto_ctx" => "bpf_crypto_ctx_release",
        "xfrm_state" => "bpf_xdp_xfrm_state_release",
        _ => return None,
    })
}

/// The right argument, by what types say; by its name in [`GIVEN`].
fn right(btf: &Btf, name: &str, ty: TypeId, strict: bool) -> &'static str {
    let Type::Ptr { target } = btf.resolved(ty) else { return "64" };
    if name.ends_with("__ign") {
        return "nothing";
    }
    if name.ends_with("__map") {
        return "a map";
    }
    match btf.str(btf.resolved(*target).name()) {
        "task_struct" if strict => "a task",
        "task_struct" => "the running task",
        "cgroup" => "a control group",
        "cpumask" | "bpf_cpumask" => "a set of CPUs",
        "bpf_key" => "a key",
        "nf_conn" => "a connection",
        "nf_conn___init" => "a new connection",
        "bpf_map" => "a map",
        "__sk_buff" | "xdp_md" => "the context",
        _ => "a buffer",
    }
}

#[test]
fn arguments() {
    let Some(mut kernel) = ready() else { return };
    let offset = |of: &str, name: &str| {
        let id = kernel.btf.find_by_name(Some(Kind::Struct), of).expect(of);
        let members = kernel.btf.ty(id).expect("just found").members();
        (members.iter().find(|m| kernel.btf.str(m.name) == name).expect(name).off_bits / 8).to_string()
    };
    let places = [
        ("PARENT", offset("task_struct", "real_parent")),
        ("WAKEE", offset("task_struct", "last_wakee")),
        ("CGROUPS", offset("task_struct", "cgroups")),
        ("DFL", offset("css_set", "dfl_cgrp")),
        ("CPUS", offset("task_struct", "cpus_ptr")),
        ("STACK", offset("task_struct", "stack")),
    ];
    let users = [
        (ProgramType::SYSCALL, AttachType::UNSPEC),
        (ProgramType::TRACING, AttachType::TRACE_RAW_TP),
        (ProgramType::SCHED_CLS, AttachType::UNSPEC),
        (ProgramType::XDP, AttachType::UNSPEC),
        (ProgramType::CGROUP_SOCK, AttachType::CGROUP_INET_SOCK_CREATE),
        (ProgramType::TRACING, AttachType::TRACE_ITER),
    ];
    let begin = "r9 = r1\ncall 158\nr8 = r0\nr6 = *(u64 *)(r8 + STACK)\n*(u64 *)(r10 - 16) = r0\ncall 7\n*(u64 *)(r10 - 16) = r0\nr0 &= 7\nr0 += 1\n*(u64 *)(r10 - 24) = r0\n";
    for row in kfuncs() {
        let Some(&id) = kernel.ids.get(row.name) else { continue };
        let btf = kernel.btf.clone();
        let Some(Type::Func { proto, .. }) = btf.ty(id) else { continue };
        let Some(Type::FuncProto { ret, params }) = btf.ty(*proto) else { continue };
        let releases = row.flags.has(KfuncFlags::RELEASE);
        let rights: Vec<_> = params.iter().map(|p| right(&btf, btf.str(p.name), p.ty, releases)).collect();
        let result = match btf.resolved(*ret) {
            Type::Ptr { target } => given_back(btf.str(btf.resolved(*target).name())),
            _ => None,
        };
        let mut afters = vec![String::new()];
        if let Some(release) = result.filter(|_| row.flags.has(KfuncFlags::ACQUIRE)) {
            afters.push(format!("if r0 == 0 goto +2\nr1 = r0\ncall {release}\nr3 = 0\n"));
            afters.push(format!("r1 = r0\ncall {release}\n"));
        }
        afters.push("r2 = *(u8 *)(r0 + 0)\n".into());
        afters.push("if r0 == 0 goto +1\nr2 = *(u8 *)(r0 + 0)\nr3 = 0\n".into());
        for ty in users.iter().filter(|(t, a)| row.may_be_called(*t, *a)).take(1) {
            for place in 0..params.len().max(1) {
                for (what, ..) in GIVEN {
                    let mut args: Vec<&str> = rights.clone();
                    match args.get_mut(place) {
                        Some(arg) => *arg = what,
                        None if *what == "nothing" => {}
                        None => continue,
                    }
                    // One thing is acquired at most.
                    let held: Vec<_> = args.iter().filter(|a| acquired(a, ty.0).is_some()).collect();
                    if held.iter().any(|h| *h != held[0]) {
                        continue;
                    }
                    let entry = |what: &str| GIVEN.iter().find(|g| g.0 == what).expect("it is given");
                    let mut text = begin.to_owned();
                    if let Some(held) = held.first() {
                        // Only where the type has what acquires it.
                        text += &acquired(held, ty.0).expect("just seen");
                        text += "\n";
                    }
                    let missing = text.lines().filter_map(|l| l.strip_prefix("call bpf_"));
                    let callable = |n: &str| {
                        skep_abi::kfunc(&format!("bpf_{n}")).is_some_and(|k| k.may_be_called(ty.0, ty.1))
                    };
                    if !missing.clone().all(callable) {
                        continue;
                    }
                    for (i, arg) in args.iter().enumerate() {
                        text += &entry(arg).1.replace("rN", &format!("r{}", i + 1));
                        text += "\n";
                    }
                    text += &format!("call {}\n", row.name);
                    for (name, at) in &places {
                        text = text.replace(name, at);
                    }
                    let back = held.first().map_or("", |h| entry(h).2);
                    // What may be called when all is right is tried in all its ways.
                    let n = if args == rights { afters.len() } else { 1 };
                    for after in &afters[..n] {
                        for back in [back, ""].iter().take(if back.is_empty() { 1 } else { 2 }) {
                            if *back == "NONE" {
                                continue;
                            }
                            let insns = kernel.insns(&format!("{text}{after}{back}\nr0 = 0\nexit"));
                            let spec = kernel.spec(*ty, insns);
                            let _ = kernel.ask(&spec, || {
                                let ty = ty.0.name().unwrap_or("?");
                                format!("{} with {args:?} in {ty}, then {after:?} {back:?}", row.name)
                            });
                        }
                    }
                }
            }
        }
    }
    kernel.done(3000);
}

/// Calls with a map that an iterator gives in `r6`, or with the task of one over tasks.
const MAPS: &[&str] = &[
    "if r6 == 0 goto +6\nr1 = r6\nr2 = 0\nr3 = 1\nr4 = -1\nr5 = 0\ncall bpf_arena_alloc_pages",
    "r1 = r6\nr2 = 0\nr3 = 1\nr4 = -1\nr5 = 0\ncall bpf_arena_alloc_pages",
    "if r6 == 0 goto +7\nr1 = r6\nr1 += 8\nr2 = 0\nr3 = 1\nr4 = -1\nr5 = 0\ncall bpf_arena_alloc_pages\nr3 = 0",
    "if r6 == 0 goto +3\nr1 = r6\ncall bpf_map_sum_elem_count\nr3 = 0",
    "if r6 == 0 goto +3\nr1 = r6\ncall bpf_task_acquire\nr3 = 0",
];

#[test]
fn maps_of_iterators() {
    let Some(mut kernel) = ready() else { return };
    for target in ["bpf_iter_bpf_map", "bpf_iter_task"] {
        let id = kernel.btf.find_by_name(Some(Kind::Func), target).expect("it has such an iterator");
        for body in MAPS {
            let insns = kernel.insns(&format!("r6 = *(u64 *)(r1 + 8)\n{body}\nr0 = 0\nexit"));
            let spec = ProgramSpec {
                attach_btf_id: id.0,
                flags: ProgramSpec::SLEEPABLE,
                ..kernel.spec((ProgramType::TRACING, AttachType::TRACE_ITER), insns)
            };
            let _ = kernel.ask(&spec, || format!("{target}: {body}"));
        }
    }
    assert!(kernel.accepted >= 2, "{}", kernel.accepted);
    kernel.done(10);
}

/// Stores to a connection in `r6`: only its mark may be stored to, which is at `MARK`.
const STORES: &[&str] = &[
    "*(u32 *)(r6 + MARK) = 1",
    "*(u16 *)(r6 + MARK) = 1",
    "*(u8 *)(r6 + MARK) = 1",
    "*(u64 *)(r6 + MARK) = 1",
    "*(u32 *)(r6 + 0) = 1",
    "r6 += MARK\n*(u32 *)(r6 + 0) = 1\nr6 -= MARK",
    "r1 = r6\ncall bpf_ct_release\n*(u32 *)(r6 + MARK) = 1\nr0 = 0\nexit",
];

#[test]
fn stores_to_connections() {
    let Some(mut kernel) = ready() else { return };
    let id = kernel.btf.find_by_name(Some(Kind::Struct), "nf_conn").expect("it has connections");
    let members = kernel.btf.ty(id).expect("just found").members();
    let mark = members.iter().find(|m| kernel.btf.str(m.name) == "mark").expect("a mark").off_bits / 8;
    for ty in [ProgramType::XDP, ProgramType::SCHED_CLS] {
        for what in ["a connection", "a new connection"] {
            for store in STORES {
                let get = acquired(what, ty).expect("it is acquired");
                let text = format!(
                    "r9 = r1\n{get}\nr6 = r7\n{store}\nr1 = r6\ncall bpf_ct_insert_entry\nif r0 == 0 goto +2\nr1 = r0\ncall bpf_ct_release\nr0 = 0\nexit"
                );
                let text = match what {
                    "a connection" => {
                        text.replace("call bpf_ct_insert_entry\nif r0 == 0 goto +2\nr1 = r0\n", "")
                    }
                    _ => text,
                };
                let insns = kernel.insns(&text.replace("MARK", &mark.to_string()));
                let spec = kernel.spec((ty, AttachType::UNSPEC), insns);
                let _ = kernel.ask(&spec, || format!("{what}: {store}"));
            }
        }
    }
    assert!(kernel.accepted >= 8, "{}", kernel.accepted);
    kernel.done(28);
}

/// Functions of the kernel whose call, in code that no path reaches, the kernel takes: it need not be one for programs.
fn dead_call(id: TypeId) -> Insn {
    Insn::new(0x85, Reg(0), Reg(2), 0, id.0 as i32)
}

#[test]
fn programs_call_256_functions_at_most() {
    let Some(mut k) = ready() else { return };
    let kind = (ProgramType::SCHED_CLS, AttachType::default());
    let with = |calls: &[Insn]| {
        let mut insns = assemble("r0 = 0\nif r0 == 0 goto +0").expect("well formed");
        insns[1].off = calls.len() as i16;
        insns.extend(calls);
        insns.extend(assemble("r0 = 0\nexit").expect("well formed"));
        insns
    };
    let functions: Vec<TypeId> =
        k.btf.iter().filter(|(_, ty)| matches!(ty, Type::Func { .. })).map(|f| f.0).collect();
    let mut calls = Vec::new();
    for id in functions {
        let spec = k.spec(kind, with(&[dead_call(id)]));
        if k.linux.load_program(&spec, &[], LoadOptions::default()).is_ok() {
            calls.push(dead_call(id));
        }
        if calls.len() == 257 {
            break;
        }
    }
    assert_eq!(calls.len(), 257, "the kernel has so many functions");
    let most = k.spec(kind, with(&calls[..256]));
    assert_eq!(k.ask(&most, || "256 functions".into()), Ok(()));
    // The same one again is no other.
    let again: Vec<Insn> = calls[..256].iter().chain(&calls[..1]).copied().collect();
    let again = k.spec(kind, with(&again));
    assert_eq!(k.ask(&again, || "256 functions, one twice".into()), Ok(()));
    let more = k.spec(kind, with(&calls));
    assert_eq!(
        k.ask(&more, || "257 functions".into()),
        Err("too many different kernel function calls".into())
    );
    assert_eq!(k.wrong, [""; 0]);
}
