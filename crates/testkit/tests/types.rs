//! What the rows of program types promise beside their contexts, against the running kernel: return values, legacy
//! packet loads, packet pointers, the stack over a call chain, and which helpers a type offers.

use std::sync::Arc;

use skep_abi::{
    AttachType, Capability, CtxShape, CtxValue, HELPERS, MapFlags, MapType, PROGRAM_TYPES, ProgramType,
    ProgramTypeRow,
};
use skep_isa::text::assemble;
use skep_isa::{Endian, Insn, Reg};
use skep_linux::LinuxBackend;
use skep_spec::{Backend, Environment, LoadOptions, MapDef, ProgramSpec};
use skep_testkit::oracle::kernel::Kernel;
use skep_testkit::oracle::{Oracle, Privilege, Verdict};
use skep_verifier::{Code, Options, verify};

/// The kernel to ask; says why not.
fn kernel() -> Option<LinuxBackend> {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
        return None;
    }
    Some(LinuxBackend::new())
}

/// A program of a type under the first expected attach type that it has.
fn spec(row: &ProgramTypeRow, insns: Vec<Insn>) -> ProgramSpec {
    let attach_type = row.attach_types.first().copied().unwrap_or_default();
    ProgramSpec { name: "type".into(), attach_type, ..ProgramSpec::new(row.id, insns) }
}

/// Types that the kernel at hand may not have compiled in: their rows rest on its source alone.
const ABSENT: &[ProgramType] = &[ProgramType::LIRC_MODE2];

fn rows() -> impl Iterator<Item = &'static ProgramTypeRow> {
    PROGRAM_TYPES.iter().filter(|row| !ABSENT.contains(&row.id))
}

/// The size and offset of a field by what a load of it gives.
fn field(row: &ProgramTypeRow, value: CtxValue) -> Option<String> {
    let CtxShape::Fields(fields) = row.ctx.shape else { return None };
    let field = fields.iter().find(|f| f.value == value)?;
    Some(format!("*(u{} *)(r1 + {})", 8 * field.size, field.off))
}

/// Programs whose verdict depends on the row, by what they try.
fn programs(row: &ProgramTypeRow) -> Vec<(String, String)> {
    let mut programs = Vec::new();
    for value in ["-1", "0", "1", "2", "3", "4", "7", "16", "2147483647", "-2147483648"] {
        programs.push((format!("return {value}"), format!("r0 = {value}\nexit")));
    }
    let random = "call 7\nexit".to_owned();
    programs.push(("return any number".into(), random));
    programs.push(("return the context".into(), "r0 = r1\nexit".into()));
    let load = "r6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 0\nexit".to_owned();
    programs.push(("legacy load".into(), load));
    for bytes in [256, 264, 400, 512] {
        let text = format!(
            "r1 = 0\n*(u64 *)(r10 - {bytes}) = r1\ncall deeper\nr0 = 0\nexit\n\
             deeper:\nr1 = 0\n*(u64 *)(r10 - {bytes}) = r1\nr0 = 0\nexit"
        );
        programs.push((format!("twice {bytes} bytes of stack"), text));
    }
    let (data, end) = (field(row, CtxValue::PacketData), field(row, CtxValue::PacketEnd));
    if let (Some(data), Some(end)) = (data, end) {
        let access = |what: &str| {
            format!(
                "r2 = {data}\nr3 = {end}\nr4 = r2\nr4 += 8\nif r4 > r3 goto out\nr5 = 0\n{what}\nout:\nr0 = 0\nexit"
            )
        };
        programs.push(("packet load".into(), access("r5 = *(u64 *)(r2 + 0)")));
        programs.push(("packet store".into(), access("*(u64 *)(r2 + 0) = r5")));
        programs.push(("packet atomic".into(), access("lock *(u64 *)(r2 + 0) += r5")));
        programs.push(("packet load outside".into(), access("r5 = *(u64 *)(r2 + 1)")));
        let text = "*(u64 *)(r10 - 8) = r5\nr1 = r2\nr2 = 4\nr3 = 0\nr4 = r10\nr4 += -8\ncall 105";
        programs.push(("packet as memory of a helper that takes none".into(), access(text)));
        let text = "*(u64 *)(r10 - 8) = r5\nr1 = r10\nr1 += -8\nr3 = r2\nr2 = 4\nr4 = r3\ncall 105";
        programs.push(("packet as memory that a helper writes".into(), access(text)));
    }
    programs
}

#[test]
fn kernel_gives_programs_of_each_type_the_same_verdict() {
    let Some(kernel) = kernel() else { return };
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for row in rows() {
        for (what, text) in programs(row) {
            let spec = spec(row, assemble(&text).expect("well formed"));
            let ours = verify(&spec, &Environment::default(), &Options::default());
            let theirs = kernel.load_program(&spec, &[], LoadOptions { log_level: 1 });
            asked += 1;
            if ours.is_ok() != theirs.is_ok() {
                let name = row.id.name().unwrap_or("?");
                let why = ours.map_or_else(
                    |r| r.message().to_owned(),
                    |_| theirs.map_or_else(|e| e.log, |_| String::new()),
                );
                wrong.push(format!("{name}: {what}: {why}"));
            }
        }
    }
    assert!(asked > 15 * PROGRAM_TYPES.len(), "{asked}");
    assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Numbers up to past the last attach type of 6.18.
const ATTACH_TYPES: std::ops::RangeInclusive<u32> = 0..=60;

#[test]
fn kernel_takes_the_same_attach_types_and_return_values() {
    let Some(kernel) = kernel() else { return };
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for row in rows() {
        for attach in ATTACH_TYPES.map(AttachType) {
            // Those that loading does not look at are told apart at the edges of the ranges only.
            let more = row.attach_types.contains(&attach).then_some((-1..=16).chain([i32::MAX, i32::MIN]));
            for value in (0..=4).chain(more.into_iter().flatten()) {
                let text = format!("r0 = {value}\nexit");
                let insns = assemble(&text).expect("well formed");
                let spec = ProgramSpec { attach_type: attach, ..spec(row, insns) };
                let ours = verify(&spec, &Environment::default(), &Options::default());
                let theirs = kernel.load_program(&spec, &[], LoadOptions { log_level: 1 });
                refused += u32::from(ours.is_err());
                if ours.is_ok() != theirs.is_ok() {
                    wrong.push(format!("{:?} under {attach:?}: {text}: ours {:?}", row.id, ours.err()));
                }
            }
        }
    }
    assert!(refused > 300, "{refused}");
    assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
}
/// Words of a refusal for what the helper is, not for its arguments.
const NOT_OFFERED: &[&str] =
    &["cannot use helper", "unknown func", "might sleep", "GPL-restricted", "not allowed in probe"];

#[test]
fn kernel_offers_the_same_helpers() {
    kernel_offers_the_same("GPL", Privilege::Privileged);
}

#[test]
fn kernel_offers_the_same_helpers_to_programs_that_are_not_free() {
    kernel_offers_the_same("Proprietary", Privilege::Privileged);
}

#[test]
fn kernel_offers_the_same_helpers_to_the_unprivileged() {
    kernel_offers_the_same("GPL", Privilege::Unprivileged);
}

/// Expected attach types of a type: all that have helpers of their own, and one more.
fn helper_sets(row: &ProgramTypeRow) -> Vec<AttachType> {
    let own = row.attach_rules.iter().filter(|r| !r.helpers.is_empty());
    let mut types: Vec<_> = own.flat_map(|r| r.attach_types).copied().collect();
    types.extend(row.attach_types.iter().find(|t| !types.contains(t)));
    types.sort_unstable();
    types.dedup();
    if types.is_empty() { vec![AttachType::UNSPEC] } else { types }
}

fn kernel_offers_the_same(license: &str, privilege: Privilege) {
    if kernel().is_none() {
        return;
    }
    let privileged = privilege == Privilege::Privileged;
    let env = if privileged { Environment::default() } else { Environment::unprivileged() };
    let mut wrong = Vec::new();
    let asked = rows().filter(|row| privileged || row.needs == Capability::None);
    for (row, attach_type) in asked.flat_map(|row| helper_sets(row).into_iter().map(move |a| (row, a))) {
        for helper in HELPERS {
            // The kernel's `syscall` programs have another function of this number, on BTF pointers.
            if row.id == ProgramType::SYSCALL && helper.name == "bpf_xdp_get_buff_len" {
                continue;
            }
            // Both look whether a helper is offered before they look at its arguments, of which there are none.
            let insns = assemble(&format!("call {}\nr0 = 0\nexit", helper.id)).expect("well formed");
            let spec = ProgramSpec { license: license.into(), attach_type, ..spec(row, insns) };
            let ours = match verify(&spec, &env, &Options::default()) {
                Ok(_) => true,
                Err(rejection) => !matches!(rejection.code(), Code::UnknownHelper | Code::GplOnly),
            };
            let theirs = match Kernel.verdict(&spec, privilege) {
                Verdict::Rejected { log } => !NOT_OFFERED.iter().any(|w| log.contains(w)),
                Verdict::Skipped(why) => return println!("skipped: {why}"),
                Verdict::Accepted | Verdict::Unsupported(_) => true,
            };
            if ours != theirs {
                let name = row.id.name().unwrap_or("?");
                let words = format!("{}: ours {ours}, the kernel's {theirs}", helper.name);
                wrong.push(format!("{name} under {attach_type:?}: {words}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} offers differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Kinds whose maps the kernel makes from sizes alone, with those sizes, entries and flags.
const KINDS: &[(MapType, [u32; 3], u32)] = &[
    (MapType::HASH, [4, 8, 4], 0),
    (MapType::ARRAY, [4, 8, 4], 0),
    (MapType::PROG_ARRAY, [4, 4, 4], 0),
    (MapType::PERF_EVENT_ARRAY, [4, 4, 4], 0),
    (MapType::PERCPU_HASH, [4, 8, 4], 0),
    (MapType::PERCPU_ARRAY, [4, 8, 4], 0),
    (MapType::STACK_TRACE, [4, 8, 4], 0),
    (MapType::CGROUP_ARRAY, [4, 4, 4], 0),
    (MapType::LRU_HASH, [4, 8, 4], 0),
    (MapType::LRU_PERCPU_HASH, [4, 8, 4], 0),
    (MapType::LPM_TRIE, [8, 8, 4], MapFlags::NO_PREALLOC),
    (MapType::DEVMAP, [4, 4, 4], 0),
    (MapType::SOCKMAP, [4, 4, 4], 0),
    (MapType::CPUMAP, [4, 4, 4], 0),
    (MapType::XSKMAP, [4, 4, 4], 0),
    (MapType::SOCKHASH, [4, 4, 4], 0),
    (MapType::REUSEPORT_SOCKARRAY, [4, 8, 4], 0),
    (MapType::QUEUE, [0, 8, 4], 0),
    (MapType::STACK, [0, 8, 4], 0),
    (MapType::DEVMAP_HASH, [4, 4, 4], 0),
    (MapType::RINGBUF, [0, 0, 4096], 0),
    (MapType::BLOOM_FILTER, [0, 8, 4], 0),
    (MapType::USER_RINGBUF, [0, 0, 4096], 0),
];

#[test]
fn kernel_lets_sleepable_programs_have_the_same_maps() {
    let Some(kernel) = kernel() else { return };
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for &(kind, [key, value, entries], flags) in KINDS {
        let mut def = MapDef::new(kind, key, value, entries);
        def.flags = MapFlags(flags);
        let Ok(map) = kernel.create_map(&def) else { continue };
        asked += 1;
        // r1 = map[0] ll; r0 = 0; exit
        let lddw = [Insn::new(0x18, Reg(1), Reg(5), 0, 0), Insn::from_bytes([0; 8], Endian::Little)];
        let insns = [lddw.to_vec(), assemble("r0 = 0\nexit").expect("well formed")].concat();
        let mut spec = spec(Environment::default().program_type(ProgramType::SYSCALL).expect("a row"), insns);
        spec.maps = vec![Arc::new(def)];
        let theirs = kernel.load(&spec, &[map], LoadOptions { log_level: 1 });
        let sleeps = match &theirs {
            Ok(_) => true,
            Err(e) => !e.log.contains("Sleepable programs can only use"),
        };
        if sleeps != kind.sleepable() {
            wrong.push(format!("{kind:?}: the kernel says {sleeps}"));
        }
    }
    assert!(asked >= 15, "only {asked} kinds could be made");
    assert_eq!(wrong, [""; 0]);
}
