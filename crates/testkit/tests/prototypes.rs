//! The prototypes of helpers against the running kernel: each helper is called with right arguments, and with wrong ones
//! in each place in turn; its result is read, as a number and as an address. Both must give the same verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_abi::{
    ArgKind, AttachType, CtxShape, CtxValue, HELPERS, HelperProto, MapFlags, MapType, PROGRAM_TYPES,
    ProgramType, ProgramTypeRow,
};
use skep_isa::text::assemble;
use skep_isa::{Endian, Insn, Reg};
use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendMap, Environment, LoadOptions, MapDef, ProgramSpec};
use skep_verifier::{Options, verifies_helper, verify};

/// Calls that cannot be made from right arguments alone: other tests make them.
fn has_a_test_of_its_own(kind: ArgKind) -> bool {
    matches!(
        kind,
        ArgKind::RingbufRecord
            | ArgKind::Func
            | ArgKind::StackOrNull
            | ArgKind::SpinLock
            | ArgKind::Socket
            | ArgKind::Dynptr(_)
    )
}

/// Where programs keep things, below the frame pointer.
const CTX: i32 = 8;
const ANY_NUMBER: i32 = 16;
const SMALL_NUMBER: i32 = 24;
const SOCKET: i32 = 32;
const PACKET: i32 = 40;
const BUFFER: i32 = 128;

/// Maps: an array, a constant text, and one of each kind that can be made from sizes alone.
const KINDS: &[(MapType, [u32; 3], u32)] = &[
    (MapType::ARRAY, [4, 48, 1], 0),
    (MapType::ARRAY, [4, 8, 1], MapFlags::RDONLY_PROG),
    (MapType::HASH, [8, 8, 4], 0),
    (MapType::PROG_ARRAY, [4, 4, 4], 0),
    (MapType::PERF_EVENT_ARRAY, [4, 4, 4], 0),
    (MapType::PERCPU_HASH, [4, 8, 4], 0),
    (MapType::PERCPU_ARRAY, [4, 8, 4], 0),
    (MapType::STACK_TRACE, [4, 8, 4], 0),
    (MapType::LRU_HASH, [4, 8, 4], 0),
    (MapType::LPM_TRIE, [8, 8, 4], MapFlags::NO_PREALLOC),
    (MapType::QUEUE, [0, 8, 4], 0),
    (MapType::STACK, [0, 8, 4], 0),
    (MapType::RINGBUF, [0, 0, 4096], 0),
];
const VALUES: usize = 0;
const TEXT: usize = 1;

struct Maps {
    defs: Vec<Arc<MapDef>>,
    made: Vec<Arc<dyn BackendMap>>,
}

fn maps(kernel: &LinuxBackend) -> Maps {
    let def = |(i, &(kind, [key, value, entries], flags)): (usize, &(MapType, [u32; 3], u32))| {
        let mut def = MapDef::new(kind, key, value, entries);
        def.flags = MapFlags(flags);
        if i == TEXT {
            def.initial = Some(b"%d text\0".to_vec());
            def.frozen = true;
        }
        Arc::new(def)
    };
    let defs: Vec<_> = KINDS.iter().enumerate().map(def).collect();
    let made = defs.iter().map(|def| kernel.create_map(def).expect("the kernel makes it")).collect();
    Maps { defs, made }
}

/// `rN = map`, or `rN = value of map + off`.
fn map_address(reg: usize, map: usize, value: Option<u32>) -> Vec<Insn> {
    let (src, off) = value.map_or((5, 0), |off| (6, off));
    let mut second = Insn::from_bytes([0; 8], Endian::NATIVE);
    second.imm = off as i32;
    vec![Insn::new(0x18, Reg(reg as u8), Reg(src), 0, map as i32), second]
}

fn text(text: &str) -> Vec<Insn> {
    assemble(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Loads of a context's field, by what they give.
fn field(row: &ProgramTypeRow, attach: AttachType, value: CtxValue) -> Option<String> {
    let ctx = row.ctx_for(skep_abi::Capability::Perfmon, attach);
    let CtxShape::Fields(fields) = ctx.shape else { return None };
    let field = fields.iter().find(|f| f.value == value)?;
    Some(format!("*(u{} *)(r1 + {})", 8 * field.size, field.off))
}

/// What programs begin with: the context, numbers, and where the type has them a socket and a packet, on the stack.
fn prelude(row: &ProgramTypeRow, attach: AttachType) -> (Vec<Insn>, bool, bool) {
    let mut out = format!("*(u64 *)(r10 - {CTX}) = r1\nr6 = r1\ncall 7\n*(u64 *)(r10 - {ANY_NUMBER}) = r0\n");
    out += &format!("r0 &= 7\nr0 += 1\n*(u64 *)(r10 - {SMALL_NUMBER}) = r0\nr1 = r6\n");
    let or_none = "if r2 != 0 goto +2\nr0 = 1\nexit\n";
    let socket = [CtxValue::Socket, CtxValue::SocketOrNull, CtxValue::SockCommonOrNull]
        .into_iter()
        .find_map(|v| Some((v, field(row, attach, v)?)));
    if let Some((value, load)) = &socket {
        let check = if *value == CtxValue::Socket { "" } else { or_none };
        out += &format!("r2 = {load}\n{check}*(u64 *)(r10 - {SOCKET}) = r2\n");
    }
    let data = field(row, attach, CtxValue::PacketData);
    if let (Some(data), Some(end)) = (&data, field(row, attach, CtxValue::PacketEnd)) {
        out += &format!("r2 = {data}\nr3 = {end}\nr4 = r2\nr4 += 64\nif r4 <= r3 goto +2\nr0 = 1\nexit\n");
        out += &format!("*(u64 *)(r10 - {PACKET}) = r2\n");
    }
    (text(&out), socket.is_some(), data.is_some())
}

/// The right argument.
fn right(reg: usize, kind: ArgKind, map: usize, socket: bool) -> Option<Vec<Insn>> {
    Some(match kind {
        ArgKind::Anything => text(&format!("r{reg} = 0")),
        ArgKind::Ctx => text(&format!("r{reg} = *(u64 *)(r10 - {CTX})")),
        ArgKind::Map => map_address(reg, map, None),
        ArgKind::MapKey
        | ArgKind::MapValue(_)
        | ArgKind::Mem(_)
        | ArgKind::FixedMem(..)
        | ArgKind::AlignedMem(..) => text(&format!("r{reg} = r10\nr{reg} += -{BUFFER}")),
        ArgKind::Size | ArgKind::SizeOrZero | ArgKind::AllocSize => text(&format!("r{reg} = 8")),
        ArgKind::ConstStr => map_address(reg, TEXT, Some(0)),
        ArgKind::SockCommon | ArgKind::AnySock if socket => {
            text(&format!("r{reg} = *(u64 *)(r10 - {SOCKET})"))
        }
        _ => return None,
    })
}

/// Arguments of all sorts, by their words.
fn candidates(reg: usize, socket: bool, packet: bool) -> Vec<(String, Vec<Insn>)> {
    let load = |at: i32| format!("r{reg} = *(u64 *)(r10 - {at})");
    let moved = |at: i32| format!("r{reg} = r10\nr{reg} += -{at}");
    let mut all = vec![
        ("nothing", String::new()),
        ("0", format!("r{reg} = 0")),
        ("1", format!("r{reg} = 1")),
        ("64", format!("r{reg} = 64")),
        ("-1", format!("r{reg} = -1")),
        ("any number", load(ANY_NUMBER)),
        ("1 to 8", load(SMALL_NUMBER)),
        ("the context", load(CTX)),
        ("the context moved", format!("{}\nr{reg} += 8", load(CTX))),
        ("a buffer", moved(BUFFER)),
        ("an odd buffer", moved(BUFFER - 1)),
        ("the last 4 bytes of the stack", moved(4)),
        ("behind the stack", moved(0)),
    ];
    if socket {
        all.push(("a socket", load(SOCKET)));
    }
    if packet {
        all.push(("a packet", load(PACKET)));
        all.push(("near the packet's end", format!("{}\nr{reg} += 60", load(PACKET))));
    }
    let mut all: Vec<_> = all.into_iter().map(|(what, t)| (what.to_owned(), text(&t))).collect();
    for (what, off) in [("a map value", 0), ("an odd map value", 1), ("a map value's last 4 bytes", 44)] {
        all.push((what.into(), map_address(reg, VALUES, Some(off))));
    }
    all.push(("a constant text".into(), map_address(reg, TEXT, Some(0))));
    for (map, (kind, ..)) in KINDS.iter().enumerate() {
        all.push((format!("map {map}, of type {}", kind.name().unwrap_or("?")), map_address(reg, map, None)));
    }
    all
}

struct Asked<'a> {
    kernel: &'a LinuxBackend,
    maps: &'a Maps,
    env: Environment,
    programs: usize,
    accepted: usize,
    unsupported: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Asked<'_> {
    fn ask(&mut self, row: &ProgramTypeRow, attach_type: AttachType, what: &str, mut insns: Vec<Insn>) {
        // Programs name the maps that they use, and no others.
        let mut used: Vec<i32> = Vec::new();
        for insn in insns.iter_mut().filter(|i| i.opcode == 0x18 && matches!(i.src.0, 5 | 6)) {
            let at = used.iter().position(|m| *m == insn.imm).unwrap_or_else(|| {
                used.push(insn.imm);
                used.len() - 1
            });
            insn.imm = at as i32;
        }
        let (defs, made): (Vec<_>, Vec<_>) = used
            .into_iter()
            .map(|m| (Arc::clone(&self.maps.defs[m as usize]), Arc::clone(&self.maps.made[m as usize])))
            .unzip();
        let spec = ProgramSpec {
            name: "prototype".into(),
            attach_type,
            maps: defs,
            ..ProgramSpec::new(row.id, insns)
        };
        let ours = verify(&spec, &self.env, &Options::default());
        if let Err(e) = &ours
            && e.is_unsupported()
        {
            *self.unsupported.entry(e.message().to_owned()).or_default() += 1;
            return;
        }
        let theirs = self.kernel.load(&spec, &made, LoadOptions { log_level: 1 });
        self.programs += 1;
        self.accepted += usize::from(ours.is_ok());
        if ours.is_ok() != theirs.is_ok() {
            let why = match (&ours, &theirs) {
                (Err(e), _) => format!("we refuse: {}", e.message()),
                (_, Err(e)) => {
                    let mut lines: Vec<_> = e.log.lines().filter(|l| !l.starts_with("processed")).collect();
                    format!("Linux refuses: {}", lines.pop().unwrap_or(&e.error.message))
                }
                _ => String::new(),
            };
            let kind = row.id.name().unwrap_or("?");
            self.wrong.push(format!("{kind} under {attach_type:?}: {what}: {why}"));
        }
    }

    /// All calls of a helper in programs of a type; `false` if none can be made.
    fn calls(&mut self, row: &ProgramTypeRow, attach: AttachType, proto: &HelperProto) -> bool {
        let kinds: Vec<ArgKind> = proto.args.iter().flatten().map(|a| a.kind).collect();
        let fits = |i: &usize| {
            let kind = self.env.map_type(KINDS[*i].0);
            *i != TEXT && kind.is_some_and(|k| k.helpers.contains(&proto.id))
        };
        let map = (0..KINDS.len()).find(fits).unwrap_or(VALUES);
        let (prelude, socket, packet) = prelude(row, attach);
        let rights: Option<Vec<_>> =
            kinds.iter().enumerate().map(|(i, k)| right(i + 1, *k, map, socket)).collect();
        let Some(rights) = rights else { return false };
        let call = |args: &[Vec<Insn>], then: &str| {
            let mut insns = prelude.clone();
            insns.extend(args.iter().flatten());
            insns.push(Insn::new(0x85, Reg(0), Reg(0), 0, proto.id as i32));
            insns.extend(text(&format!("{then}r0 = 1\nexit")));
            insns
        };
        let name = proto.name;
        for (what, then) in [
            ("all right", ""),
            ("result read", "r1 = r0\n"),
            ("result as an address", "r1 = *(u8 *)(r0 + 0)\n"),
            ("result as an address, checked", "if r0 == 0 goto +1\nr1 = *(u8 *)(r0 + 0)\n"),
            (
                "the packet afterwards",
                if packet { "r1 = *(u64 *)(r10 - 40)\nr1 = *(u8 *)(r1 + 0)\n" } else { "" },
            ),
        ] {
            self.ask(row, attach, &format!("{name}, {what}"), call(&rights, then));
        }
        for place in 0..kinds.len() {
            for (what, insns) in candidates(place + 1, socket, packet) {
                // A program array belongs to the type whose program was loaded with it first.
                if kinds[place] != ArgKind::Map && what.contains("prog_array") {
                    continue;
                }
                let mut args = rights.clone();
                args[place] = insns;
                self.ask(
                    row,
                    attach,
                    &format!("{name} with {what} as argument {}", place + 1),
                    call(&args, ""),
                );
            }
        }
        true
    }
}

/// Program types that offer a helper, one for each of its prototypes, those with packets and sockets first.
fn offering(env: &Environment, id: u32) -> Vec<(&'static ProgramTypeRow, AttachType, HelperProto)> {
    let mut found: Vec<(&ProgramTypeRow, AttachType, HelperProto)> = Vec::new();
    let mut rows: Vec<_> = PROGRAM_TYPES.iter().filter(|r| r.id != ProgramType::LIRC_MODE2).collect();
    rows.sort_by_key(|r| {
        let attach = r.attach_types.first().copied().unwrap_or_default();
        let has = |v| field(r, attach, v).is_some();
        let socket = has(CtxValue::Socket) || has(CtxValue::SocketOrNull) || has(CtxValue::SockCommonOrNull);
        (!socket, !has(CtxValue::PacketData))
    });
    for row in rows {
        let all = [AttachType::UNSPEC];
        let attach_types = if row.attach_types.is_empty() { &all[..] } else { row.attach_types };
        let offers = |a: &&AttachType| row.helper_capability(id, **a).is_some();
        let Some(&attach) = attach_types.iter().find(offers) else { continue };
        let Some(&proto) = env.helper_of(row, id) else { continue };
        if !found.iter().any(|(.., p)| *p == proto) {
            found.push((row, attach, proto));
        }
    }
    found
}

#[test]
fn kernel_takes_the_same_arguments() {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        return println!("skipped: no kernel to ask: {probe:?}");
    }
    let kernel = LinuxBackend::new();
    let maps = maps(&kernel);
    let env = Environment::default();
    let mut asked = Asked {
        kernel: &kernel,
        maps: &maps,
        env: env.clone(),
        programs: 0,
        accepted: 0,
        unsupported: BTreeMap::new(),
        wrong: Vec::new(),
    };
    let (mut helpers, mut left_out) = (0, Vec::new());
    for helper in HELPERS {
        for (row, attach, proto) in offering(&env, helper.id) {
            let own = proto.args.iter().flatten().any(|a| has_a_test_of_its_own(a.kind));
            if !verifies_helper(&proto) || own || !asked.calls(row, attach, &proto) {
                left_out.push(proto.name);
                continue;
            }
            helpers += 1;
        }
    }
    let Asked { programs, accepted, unsupported, wrong, .. } = asked;
    println!(
        "{helpers} prototypes, {programs} programs, {accepted} accepted; left out: {left_out:?}; {unsupported:?}"
    );
    assert!(helpers > 100 && programs > 5000 && accepted > 500, "{helpers}, {programs}, {accepted}");
    assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
}
