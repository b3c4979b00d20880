//! Types for assembled programs that take the address of a function, or make tail calls beside functions: the kernel
//! asks for them.

use std::sync::Arc;

use skep_abi::Capability;
use skep_btf::{Builder, FuncLinkage, IntEncoding, Type, TypeId};
use skep_isa::{CallTarget, Imm64, Op, decode_all};
use skep_spec::{Environment, FuncInfo, ProgramSpec};

/// Whether a helper that a program calls calls functions of the program: `bpf_for_each_map_elem`, `bpf_loop`,
/// `bpf_user_ringbuf_drain`.
pub fn calls_back(spec: &ProgramSpec) -> bool {
    let helper = |op: Op| matches!(op, Op::Call(CallTarget::Helper(164 | 181 | 209)));
    decode_all(&spec.insns).flatten().any(|(_, op)| helper(op))
}

/// Whether a program makes tail calls.
fn calls_tails(spec: &ProgramSpec) -> bool {
    let helper = |op: Op| op == Op::Call(CallTarget::Helper(12));
    decode_all(&spec.insns).flatten().any(|(_, op)| helper(op))
}

/// Whether a program has legacy loads.
fn loads_packets(spec: &ProgramSpec) -> bool {
    decode_all(&spec.insns).flatten().any(|(_, op)| matches!(op, Op::LoadPacket { .. }))
}

/// Whether the kernel wants to know the types of the functions that a program may have.
pub fn want_types(spec: &ProgramSpec) -> bool {
    calls_back(spec) || calls_tails(spec) || loads_packets(spec)
}

/// Says that the main function is global and the others static, and that all return `int` and take nothing:
/// only for programs that take the address of a function and have no types yet.
pub fn describe(spec: &mut ProgramSpec) {
    give_types(spec, false);
}

/// As [`describe`], also for programs that have functions and make tail calls or legacy loads.
pub fn describe_callers(spec: &mut ProgramSpec) {
    give_types(spec, calls_tails(spec) || loads_packets(spec));
}

fn give_types(spec: &mut ProgramSpec, wanted: bool) {
    if spec.btf.is_some() {
        return;
    }
    let (starts, addresses) = starts(spec);
    if !addresses && (starts.len() == 1 || !wanted) {
        return;
    }
    describe_in(spec, Builder::new());
}

/// Says so in types that there are already.
pub fn describe_in(spec: &mut ProgramSpec, mut b: Builder) {
    let (starts, _) = starts(spec);
    let int = b.int("int", 4, IntEncoding::Signed);
    let proto = b.func_proto(int, &[]);
    let func_info = starts.iter().map(|&insn_off| {
        let (name, linkage) = match insn_off {
            0 => ("main".to_owned(), FuncLinkage::Global),
            n => (format!("at_{n}"), FuncLinkage::Static),
        };
        FuncInfo { insn_off, type_id: b.func(&name, proto, linkage).0 }
    });
    spec.func_info = func_info.collect();
    spec.btf = Some(Arc::new(b.finish().expect("an int and functions")));
}

/// Where the functions of a program start, the main function first; and whether the address of one is taken.
fn starts(spec: &ProgramSpec) -> (Vec<u32>, bool) {
    let mut starts = vec![0];
    let mut addresses = false;
    for (pc, op) in decode_all(&spec.insns).flatten() {
        let off = match op {
            Op::Call(CallTarget::Subprog(off)) => off,
            Op::LoadImm64 { value: Imm64::Code(off), .. } => {
                addresses = true;
                off
            }
            _ => continue,
        };
        let to = pc as i64 + 1 + i64::from(off);
        starts.extend(u32::try_from(to).ok().filter(|to| (*to as usize) < spec.insns.len()));
    }
    starts.sort_unstable();
    starts.dedup();
    (starts, addresses)
}

/// Gives the functions behind the main one the types that a text says, in their order, separated by `;`:
///
/// ```text
/// global int (ctx *, nonnull pair *); static void ()
/// ```
///
/// Types: `void`, `char`, `int`, `long`, `wide` (16 bytes), `real` (8 bytes), `color` (an enum), `pair` (a struct of two
/// `long`), `empty` and `hidden` (structs of no bytes, and only declared), `ctx` (the program's context), and pointers.
/// Structures of the kernel by name: `sk_buff`, `xdp_buff`, `bpf_user_pt_regs_t`, `bpf_raw_tracepoint_args`,
/// `bpf_iter__task`, `bpf_dynptr`, `task_struct`, `nf_conn`; and `arguments`, which is none of its. Words before a type are tags `arg:…` of the argument.
///
/// `main global int (ctx *, int)`: of the main function, if it is not `global int (ctx *)`.
///
/// `thrown 7 int (long)`: a global function that starts at slot 7 and is called when the program throws.
///
/// # Errors
/// Words that are no type, or another number of functions than the program has.
pub fn declare(spec: &mut ProgramSpec, text: &str) -> Result<(), String> {
    let (mut starts, _) = starts(spec);
    let mut signatures: Vec<_> = text.split(';').map(str::trim).filter(|s| !s.is_empty()).collect();
    let main = signatures.iter().position(|s| s.starts_with("main ")).map(|at| signatures.remove(at));
    let main = main.and_then(|s| s.strip_prefix("main ")).unwrap_or("global int (ctx *)");
    let thrown: Vec<u32> = signatures.iter().filter_map(|s| thrown(s)).map(|(start, _)| start).collect();
    starts.extend(&thrown);
    starts.sort_unstable();
    starts.dedup();
    if signatures.len() + 1 != starts.len() {
        return Err(format!("{} types for {} functions", signatures.len(), starts.len() - 1));
    }
    let env = Environment::default();
    let row = env.program_type(spec.prog_type).ok_or("no such program type")?;
    let mut types = Types { b: Builder::new(), ctx: row.ctx_for(Capability::Perfmon, spec.attach_type).name };
    let mut func_info = vec![types.func("main", main, 0)?];
    for (signature, &start) in signatures.iter().zip(&starts[1..]) {
        let signature = thrown_signature(signature);
        func_info.push(types.func(&format!("at_{start}"), &signature, start)?);
    }
    for start in thrown {
        let name = types.b.name(&format!("exception_callback:at_{start}"));
        let target = TypeId(func_info[0].type_id);
        types.b.add(Type::DeclTag { name, target, component: None, attribute: false });
    }
    spec.func_info = func_info;
    spec.btf = Some(Arc::new(types.b.finish().map_err(|e| e.to_string())?));
    Ok(())
}

/// Where the function of a signature `thrown …` starts, and the rest of it.
fn thrown(signature: &str) -> Option<(u32, &str)> {
    let (start, rest) = signature.strip_prefix("thrown ")?.split_once(' ')?;
    Some((start.parse().ok()?, rest))
}

fn thrown_signature(signature: &str) -> String {
    thrown(signature).map_or_else(|| signature.to_owned(), |(_, rest)| format!("global {rest}"))
}

struct Types {
    b: Builder,
    ctx: &'static str,
}

impl Types {
    fn func(&mut self, name: &str, signature: &str, insn_off: u32) -> Result<FuncInfo, String> {
        let (head, params) = signature.split_once('(').ok_or(format!("no arguments in '{signature}'"))?;
        let (linkage, ret) = match head.trim().split_once(' ') {
            Some(("global", ret)) => (FuncLinkage::Global, ret),
            Some(("static", ret)) => (FuncLinkage::Static, ret),
            _ => return Err(format!("'{head}' is not global or static and a type")),
        };
        let (ret, _) = self.ty(ret)?;
        let params = params.trim_end_matches(')').split(',').map(str::trim).filter(|p| !p.is_empty());
        let params = params.map(|p| self.ty(p)).collect::<Result<Vec<_>, _>>()?;
        let named: Vec<_> = params.iter().map(|(ty, _)| ("arg", *ty)).collect();
        let proto = self.b.func_proto(ret, &named);
        let target = self.b.func(name, proto, linkage);
        for (i, (_, tags)) in params.into_iter().enumerate() {
            for tag in tags {
                let name = self.b.name(&format!("arg:{tag}"));
                let component = Some(i as u32);
                self.b.add(Type::DeclTag { name, target, component, attribute: false });
            }
        }
        Ok(FuncInfo { insn_off, type_id: target.0 })
    }

    /// A type, and the words before it.
    fn ty<'t>(&mut self, text: &'t str) -> Result<(TypeId, Vec<&'t str>), String> {
        let inner = text.trim_end_matches([' ', '*']);
        let mut words: Vec<_> = inner.split_whitespace().collect();
        let b = &mut self.b;
        let mut ty = match words.pop() {
            Some("void") => TypeId(0),
            Some("char") => b.int("char", 1, IntEncoding::Signed),
            Some("int") => b.int("int", 4, IntEncoding::Signed),
            Some("long") => b.int("long", 8, IntEncoding::Signed),
            Some("wide") => b.int("__int128", 16, IntEncoding::Signed),
            Some("real") => {
                let name = b.name("double");
                b.add(Type::Float { name, size: 8 })
            }
            Some("color") => b.enumeration("color", false, &[("RED", 0)]),
            Some("pair") => {
                let long = b.int("long", 8, IntEncoding::Signed);
                b.structure("pair", 16, &[("a", long, 0), ("b", long, 64)])
            }
            Some("empty") => b.structure("empty", 0, &[]),
            Some("hidden") => {
                let name = b.name("hidden");
                b.add(Type::Fwd { name, is_union: false })
            }
            Some("ctx") => b.structure(self.ctx, 4, &[]),
            Some(
                name @ ("sk_buff"
                | "xdp_buff"
                | "bpf_user_pt_regs_t"
                | "bpf_raw_tracepoint_args"
                | "bpf_iter__task"
                | "bpf_dynptr"
                | "task_struct"
                | "nf_conn"
                | "arguments"),
            ) => b.structure(name, 4, &[]),
            other => return Err(format!("no type {other:?}")),
        };
        for _ in text[inner.len()..].matches('*') {
            ty = self.b.ptr(ty);
        }
        Ok((ty, words))
    }
}
