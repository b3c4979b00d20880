//! The running kernel as oracle: how its log spells instructions, which fields it insists on.
//!
//! Skipped, with the reason printed, where `bpf(2)` is missing or not permitted.

mod common;

use common::{random, slots};
use skep_isa::table::{self, Role, Row};
use skep_isa::text::{Dialect, assemble};
use skep_isa::{CallTarget, Endian, Insn, Op, Reg, decode};

/// Rows that Linux 6.18 does not know.
const UNKNOWN_TO_KERNEL: [&str; 2] = ["gotox", "callx"];

const BPF_MAP_CREATE: u32 = 0;
const BPF_PROG_LOAD: u32 = 5;

fn bpf(cmd: u32, attr: &[u64; 18]) -> Result<i32, i32> {
    // SAFETY: `attr` is 144 bytes that outlive the call; the pointers in it are to memory that the callers
    // keep alive, with the sizes that stand beside them.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, cmd, attr.as_ptr(), size_of_val(attr)) };
    if fd >= 0 { Ok(fd as i32) } else { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) }
}

fn close(fd: i32) {
    // SAFETY: the descriptor came from bpf() above and is used nowhere else.
    unsafe { libc::close(fd) };
}

/// Loads a socket filter; its verdict and log.
fn load(insns: &[Insn], log_level: u32) -> (Result<(), i32>, String) {
    const SOCKET_FILTER: u64 = 1;
    let code: Vec<u8> = insns.iter().flat_map(|i| i.to_bytes(Endian::NATIVE)).collect();
    let mut log = vec![0u8; 1 << 18];
    let mut attr = [0u64; 18];
    attr[0] = SOCKET_FILTER | (insns.len() as u64) << 32;
    attr[1] = code.as_ptr() as u64;
    attr[2] = c"GPL".as_ptr() as u64;
    attr[3] = u64::from(log_level) | (log.len() as u64) << 32;
    attr[4] = log.as_mut_ptr() as u64;
    let verdict = bpf(BPF_PROG_LOAD, &attr).map(close);
    let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
    (verdict, String::from_utf8_lossy(&log[..end]).into_owned())
}

fn array_map() -> Option<i32> {
    const ARRAY: u64 = 2;
    let mut attr = [0u64; 18];
    attr[0] = ARRAY | 4 << 32;
    attr[1] = 64 | 1 << 32;
    bpf(BPF_MAP_CREATE, &attr).ok()
}

/// Whether there is a kernel to ask that speaks the whole table (load-acquire came with 6.15).
fn kernel_answers() -> bool {
    if cfg!(target_endian = "big") {
        println!("skipped: the programs here are written for little endian");
        return false;
    }
    let (verdict, log) = load(&assemble("r0 = 0; exit").unwrap(), 1);
    if let Err(errno) = verdict {
        println!("skipped: bpf(2) is not usable here: errno {errno} {log}");
        return false;
    }
    let newest = "*(u64 *)(r10 -8) = 0; r0 = load_acquire((u64 *)(r10 -8)); exit";
    if load(&assemble(newest).unwrap(), 1).0.is_err() {
        println!("skipped: this kernel is older than Linux 6.15");
        return false;
    }
    true
}

fn names(target: CallTarget) -> Option<&'static str> {
    (target == CallTarget::Helper(1)).then_some("bpf_map_lookup_elem")
}

/// An instruction of the row that gets past the checks before the log begins: jumps stay inside.
fn printable(row: &Row, rng: &mut impl FnMut() -> u64) -> Op {
    let mut pick = |from: &[i32]| from[(rng() % from.len() as u64) as usize];
    let reg = |n: i32| Reg(n as u8);
    let regs: Vec<i32> = (0..=10).collect();
    let off = match row.off {
        Role::Jump => pick(if row.name == "ja" { &[0] } else { &[0, 1, 3, -2] }),
        _ => pick(&[0, 4, -8, 255, -32768, 32767]),
    };
    let imm = match (row.imm, row.name) {
        (Role::Jump, "call_local") => 1,
        (Role::Jump, _) => 0,
        (Role::Id, _) => 1,
        _ => pick(&[0, 1, -1, 5, 16, i32::MIN, i32::MAX, 0x1_0000]),
    };
    // The kernel checks neither frame pointer nor registers before it prints.
    row.op(reg(pick(&regs)), reg(pick(&regs)), off as i16, imm)
}

#[test]
fn text_is_what_the_kernels_log_prints() {
    if !kernel_answers() {
        return;
    }
    let prelude: String = (0..10).map(|r| format!("r{r} = 1\n")).collect();
    let epilogue = "r0 = 0\nr0 = 0\nr0 = 0\nexit";
    let mut rng = random(21);
    let mut compared = 0;
    for row in table::rows() {
        // References to maps, functions and BTF are resolved, and refused, before the log begins.
        let unprinted = (row.opcode == 0x18 && row.name != "lddw") || row.name == "call_kfunc";
        if unprinted || UNKNOWN_TO_KERNEL.contains(&row.name) {
            continue;
        }
        for _ in 0..6 {
            let op = printable(row, &mut rng);
            let mut program = assemble(&prelude).unwrap();
            let pc = program.len();
            program.extend(slots(&op));
            let rest = match row.name {
                "call_local" => "exit\nr0 = 0\nexit",
                "exit" => "",
                _ => epilogue,
            };
            program.extend(assemble(rest).unwrap());
            let (_, log) = load(&program, 2);
            let start = format!("{pc}: (");
            let line = log.lines().find(|l| l.starts_with(&start)).unwrap_or_else(|| panic!("{op}: {log}"));
            let printed = line[start.len() - 1..].split(';').next().unwrap().trim_end();
            assert_eq!(op.text(Dialect::Kernel).with_names(&names).to_string(), printed, "{}", row.name);
            // And the line of the log, as it is, assembles to the instruction.
            if row.name != "call_helper" {
                assert_eq!(assemble(line).unwrap(), slots(&op), "{line}");
            }
            compared += 1;
        }
    }
    println!("{compared} lines compared");
    assert!(compared > 900);
}

/// An instruction of the row that the verifier accepts after [`before`]: operands r2, r3 and the stack.
fn harmless(row: &Row, map: i32) -> Op {
    let (dst, src) = match (row.dst.writes(), row.off) {
        (true, Role::Mem) => (Reg(2), Reg::FP),
        (_, Role::Mem) => (Reg::FP, Reg(3)),
        _ => (Reg(2), Reg(3)),
    };
    let off = if row.off == Role::Mem { -8 } else { 0 };
    let imm = match (row.name, row.imm) {
        ("call_helper", _) => 7,
        (_, Role::Id) => map,
        (_, Role::Const) => 1,
        _ => 0,
    };
    row.op(dst, src, off, imm)
}

/// Sets all registers but one; the context is in r6.
fn before(unset: Option<Reg>) -> Vec<Insn> {
    let mut text = String::new();
    for r in (0..10).map(Reg).filter(|&r| Some(r) != unset) {
        match r.0 {
            1 => {}
            6 => text += "r6 = r1\n",
            _ => text += &format!("{r} = 1\n"),
        }
    }
    if unset != Some(Reg::R1) {
        text += "r1 = 1\n";
    } else {
        // Calls forget r1.
        text = format!("r6 = r1\ncall 7\n{}", text.replace("r6 = r1\n", ""));
    }
    assemble(&(text + "*(u64 *)(r10 -8) = 0")).unwrap()
}

/// `before`, the instruction, `after`. Gives the instruction's slot too.
fn around(row: &Row, unset: Option<Reg>, map: i32, after: &str) -> (Vec<Insn>, usize) {
    let mut program = before(unset);
    let pc = program.len();
    program.extend(slots(&harmless(row, map)));
    if row.name != "exit" {
        let after = assemble(after).unwrap();
        if row.name == "call_local" {
            program[pc].imm = after.len() as i32;
        }
        program.extend(after);
    }
    if row.name == "call_local" {
        program.extend(assemble("r0 = 1; exit").unwrap());
    }
    (program, pc)
}

/// A program that the kernel accepts, with the row's instruction in it, and the instruction's slot.
fn accepted(row: &Row, map: i32) -> Option<(Vec<Insn>, usize)> {
    let (program, pc) = around(row, None, map, "r0 = 0; exit");
    (load(&program, 1).0.is_ok()).then_some((program, pc))
}

#[test]
fn uses_and_defs_are_what_the_kernel_reads_and_writes() {
    if !kernel_answers() {
        return;
    }
    let map = array_map().expect("an array map of 64 bytes");
    let mut asked = 0;
    for row in table::rows().iter().filter(|row| accepted(row, map).is_some()) {
        let op = harmless(row, map);
        let call = matches!(op, Op::Call(_));
        for r in (0..10).map(Reg) {
            let unread = format!("R{} !read_ok", r.0);
            let fails = |unset, after: &str| {
                let (verdict, log) = load(&around(row, unset, map, after).0, 1);
                assert!(verdict.is_ok() || log.contains(&unread), "{} {r}: {log}", row.name);
                verdict.is_err()
            };
            // How many arguments a call reads depends on the callee: the row says all.
            if !call {
                assert_eq!(op.uses().contains(r), fails(Some(r), "r0 = 0; exit"), "{} reads {r}?", row.name);
            }
            if row.name != "exit" {
                let read = format!("r0 = {r}; r0 = 0; exit");
                let lost = (1..=5).contains(&r.0) && row.implicit_defs.contains(r);
                assert_eq!(lost, fails(None, &read), "{} loses {r}?", row.name);
                if call || !op.uses().contains(r) {
                    let set = op.defs().contains(r) && !lost;
                    assert_eq!(set, !fails(Some(r), &read), "{} writes {r}?", row.name);
                }
            }
            asked += 1;
        }
    }
    close(map);
    assert!(asked > 1_700, "{asked}");
}

#[test]
fn reserved_fields_are_refused_as_the_kernel_does() {
    if !kernel_answers() {
        return;
    }
    let map = array_map().expect("an array map of 64 bytes");
    let mut tolerated = Vec::new();
    let mut unaccepted = Vec::new();
    let mut refused = 0;
    for row in table::rows() {
        let Some((program, pc)) = accepted(row, map) else {
            unaccepted.push(row.name);
            continue;
        };
        for (field, role) in [("dst", row.dst), ("src", row.src), ("off", row.off), ("imm", row.imm)] {
            let value = match (role.fixed(), role.reads() || role.writes()) {
                // The kernel calls 13 no selector either, and 9 is an operation of nothing.
                (Some(_), _) => 9,
                (None, true) => 11,
                (None, false) => continue,
            };
            let mut bad = program.clone();
            match field {
                "dst" => bad[pc].dst = Reg(value as u8),
                "src" => bad[pc].src = Reg(value as u8),
                "off" => bad[pc].off = value,
                _ => bad[pc].imm = value.into(),
            }
            assert!(decode(&bad, pc).is_err(), "{} {field}", row.name);
            if load(&bad, 1).0.is_err() {
                refused += 1;
            } else {
                tolerated.push(format!("{} {field}", row.name));
            }
        }
    }
    close(map);
    println!("{refused} refused by both; tolerated by the kernel: {tolerated:?}; not asked: {unaccepted:?}");
    assert!(refused > 300);
    // RFC 9669 §3.1 wants unused fields cleared; Linux forgot this one.
    assert_eq!(tolerated, ["exit off"]);
    // These need arenas, BTF or a map list.
    let special = ["addr_space_cast", "gotox", "call_kfunc", "callx"];
    let lddw = ["lddw_variable", "lddw_code", "lddw_map_idx", "lddw_map_value_idx"];
    assert_eq!(unaccepted, [&special[..], &lddw[..]].concat());
}

#[test]
fn the_second_slot_of_lddw_is_checked_as_the_kernel_does() {
    if !kernel_answers() {
        return;
    }
    let map = array_map().expect("an array map of 64 bytes");
    let constant = assemble("r2 = 7 ll; r0 = 0; exit").unwrap();
    let by_fd = assemble(&format!("r2 = map[fd:{map}] ll; r0 = 0; exit")).unwrap();
    let breaks: [fn(&mut Insn); 4] =
        [|i| i.opcode = 0xb7, |i| i.dst = Reg(1), |i| i.src = Reg(1), |i| i.off = 1];
    for program in [&constant, &by_fd] {
        assert_eq!(load(program, 1).0, Ok(()));
        for break_it in breaks {
            let mut bad = program.clone();
            break_it(&mut bad[1]);
            assert!(decode(&bad, 0).is_err());
            assert!(load(&bad, 1).0.is_err(), "{bad:?}");
        }
    }
    let mut bad = by_fd.clone();
    bad[1].imm = 1;
    assert!(decode(&bad, 0).is_err() && load(&bad, 1).0.is_err());
    assert!(decode(&constant[..1], 0).unwrap_err().is_truncated() && load(&constant[..1], 1).0.is_err());
    close(map);
}
