//! `docs/parity.md`, written from what the oracles answer.

use std::collections::BTreeMap;
use std::fmt::Write;

use skep_abi::{AttachType, HELPER_NAMES, MAP_TYPES, MapType, PROGRAM_TYPES, ProgramType, ProgramTypeRow};
use skep_isa::table;
use skep_linux::{LinuxBackend, RawLoad};
use skep_spec::{Backend, Errno, FieldKind, MapDef, ProgramSpec};
use skep_user::UserBackend;
use skep_verifier::verifies_helper;
use skep_vm::has_body;

use crate::build::Code;
use crate::generate::coverage::LEFT_OUT;
use crate::map_states::{FIELDS, STATES};
use crate::oracle::{self, Answer, Oracle, Privilege, Verdict, interpreter::Interpreter, kernel::Kernel};
use crate::rows;
use skep_isa::Reg;

/// The page, for the running kernel.
pub fn page(release: &str) -> String {
    let mut out = format!(
        "# Parity with Linux\n\n\
         Written by `BLESS=1 cargo test -p skep-testkit --test parity` from answers of Linux {release} and of \
         skep; do not edit. *yes*: the same in both. *no*: Linux has it, skep refuses it with words. *differs*: \
         see the note. –: neither has it.\n\n"
    );
    out += DELIBERATE;
    out += WITHOUT_VERDICT;
    out += &generated_programs();
    out += &instructions();
    out += &program_types();
    out += &map_types();
    out += &helpers();
    out
}

const DELIBERATE: &str = "\
## Deliberate differences

### Of verdicts

By their cause: a row may have several cases, each with its test. Where Linux accepts what harms, skep does not.

| what | Linux | skep | shown by |
|---|---|---|---|
| reserved fields of instructions that no path reaches | not looked at | refused, as in reached ones | `deliberate` in `crates/testkit/src/generate/known.rs`, `differential.rs` |
| numbers taken from a spill: (a) what an atomic fetch takes from a spilled number; (b) a sign-extending load of a spilled number | (a) not marked as needed (`backtrack_insn`), so that a path may be cut that goes on differently and its branch becomes a jump: an error of Linux; (b) taken for the number itself once that is compared (`coerce_reg_to_size_sx` leaves the id): branches become jumps, accesses out of bounds pass: an error of Linux | (a) the number that is there; (b) another number | `tests/cases/atomic/fetch-from-a-spill.s`, `fetch-from-a-spill-in-linux.s`, `tests/cases/stack/sign-extended-spill.s`, `sign-extended-spill-in-linux.s`, `tests/verdicts/stack.txt` |
| an address behind the packet's end that moves back by a known number, or by one that is not negative | still taken for one behind the end (`adjust_ptr_min_max_vals` keeps the range): a comparison with the end is decided that is not: an error of Linux | compared again | `tests/cases/packet/moved-back-from-behind-the-end.s`, `moved-back-from-behind-the-end-in-linux.s`, `tests/verdicts/packet_end.txt` |
| numbers of which more is known: (a) paths that no run takes; (b) numbers of which more is known | (a) a program is refused for what happens on one, where Linux does not see that: `if r2 & r2` of a number that is not 0; a signed bound that an unsigned comparison follows (`if r3 s> 40`, then `if r3 > 50`: at most 40); bits that a sign extension keeps; some other bounds; (b) a program is refused for a bound that Linux does not see: a sign extension of a number that is negative or small enough already (`coerce_reg_to_size_sx`), bits of an `|` or `^` beside its bounds, a difference of packet pointers in 32 bits | (a) accepted: its numbers are known at least as well; a campaign lists such programs, after following Linux's own path up to the branch that goes the other way; (b) accepted; a campaign of changed objects lists such programs, after following Linux's own path to the refused instruction, which is safe there for numbers that are known better | `only_dead_paths` in `crates/testkit/src/generate/dead_path.rs`, `follow.rs` and `embedding.rs` in `crates/verifier`, `number_known_better` in `crates/testkit/src/generate/dead_path.rs`, `smt_domain` in `crates/verifier` |
| loads from before a tracepoint's record | accepted: the offset is compared without its sign (`tp_prog_is_valid_access`): an error of Linux | refused | `tests/verdicts/tracing.txt`, `before_the_record` in `crates/testkit/src/generate/known.rs` |
| a load-acquire from the context into the register that holds its address | accepted, since the register is looked at after the load; it reads the kernel's own structure | refused | `tests/verdicts/atomics.txt`, `over_its_address` in `crates/testkit/src/generate/known.rs` |
| `if w3 == 0` of an address | decided, as if it were 64 bits wide (`is_branch_taken`) | either side: the low half of an address may be 0 | `tests/verdicts/branches.txt`, `low_half_of_an_address` in `crates/testkit/src/generate/known.rs` |
| an iterator or the flags of `bpf_local_irq_restore` at the end of the frame (`r1 = r10`) | taken for the frame's last slot (`__get_spi` rounds -1/8 to 0); the function then works on memory behind the stack: an error of Linux | refused | `tests/verdicts/iterators.txt`, `interrupts.txt`, `behind_the_frame` in `crates/testkit/src/generate/known.rs` |
| programs at which Linux itself fails: (a) `bpf_loop` of rounds that are known to be none; (b) `may_goto` in a function that `bpf_loop` calls, in a program with several `bpf_loop`s; (c) `bpf_task_work_schedule_…` of a function where a map should be | (a) its function is dead code, which is taken away and then called: \"verifier bug: No program to jit\"; (b) 6.18.44 fell over at such a program (a NULL pointer in `__mark_chain_precision`, called by `propagate_precision`) and killed the thread that loaded it; of several thousand such programs it takes nearly all, and what it needs beyond that is not known; (c) 6.18.44 fell over (a NULL pointer in `check_kfunc_call`) | (a) accepted; (b) a verdict, as for others; generated programs are kept from it; (c) refused; changed programs are kept from it | `deliberate` in `crates/testkit/src/generate/known.rs`, `spare_linux` in `crates/testkit/src/generate/make/callbacks.rs`, `campaign.rs`, `bases` in `crates/testkit/src/generate/cases.rs` |
| programs with very many paths | refused beyond 1,000,000 instructions or 8,192 waiting branches | the same limits, but paths that are alike are seen sooner, so a few more programs pass: of the kernel's own tests `verifier_search_pruning`'s `short_loop1`, where Linux gives up and skep needs 258 | `deliberate` in `crates/testkit/src/generate/known.rs`, `docs/selftests.md` |
| NULL that Linux forgets: (a) a pointer that may be NULL where a helper takes NULL with a size of 0 (`bpf_csum_diff`); (b) a number that reaches an argument for which NULL was given on another path; (c) `bpf_per_cpu_ptr` of an object that each CPU has | (a) any size; the helper then reads from NULL; (b) passes for NULL (`check_func_arg` and `btf_check_func_arg_match` do not mark the register): the helper or function reads from the number: an error of Linux; (c) is there, whatever the CPU's number: an error of Linux | (a) refused unless the size is 0; (b) refused; (c) may be NULL | `tests/verdicts/packet_helpers.txt`, `tests/verdicts/sockets.txt`, `strings.txt`, `global_functions.txt`, `callbacks.txt`, `tests/verdicts/map_pointers.txt` |
| states that are compared where a call calls back: (a) a `bpf_loop` whose iterations go on where another with fewer was explored; (b) states of a callback behind which its loop was ended, since it comes back to where it was; (c) a loop around a call that calls back, while a register holds the NULL that `bpf_dynptr_data`, or a lookup in a map of maps, gave | (a) the number is forgotten inside the callback: 20 iterations pass where only 5 were looked at, and write out of bounds; (b) complete at once: a path is cut at one although another has yet to show what the loop rests on, and an access out of bounds passes: an error of Linux; (c) ends at the call: the bytes that are compared (`states_maybe_looping`) still have the number of what it would have been a part of, so that the loop seems to come on: an error of Linux | (a) the number counts: refused; (b) a path that ends at one is looked at again when all that began at the call is explored, and goes on if it is not covered then; (c) refused as a loop that makes no progress | `tests/verdicts/callbacks.txt`, `left_in_a_register` in `crates/testkit/src/generate/known.rs` |
| memory and objects that go while their address stays: (a) a packet given as memory to a global function that changes the packet; (b) what functions write through a dynptr of a packet (`bpf_dynptr_copy`, `bpf_dynptr_memset`, `bpf_probe_read_…_dynptr`, a global function that is given one); (c) slice of a ring buffer record (`bpf_dynptr_slice`) behind the record's end; (d) objects of the kernel seen under a spin lock, behind it, in a program that may sleep | (a) to the function it is memory that stays, so it reads what is gone: an error of Linux; (b) packet pointers and slices stay good, though the packet may move: an error of Linux; (c) good, though the record is another's: an error of Linux; (d) are still there: an error of Linux | (a) refused; (b) void, as after `bpf_dynptr_write`; (c) void; (d) may be gone | `tests/verdicts/merged_paths.txt`, `tests/verdicts/dynptr_functions.txt`, `crates/testkit/tests/kernel_types/sections.rs` |
| pointers to memory of which nothing is known (`rdonly_untrusted_mem`) | what equals one is not NULL; an instruction that loads from other memory on another path, or a load-acquire, may not look first: errors of Linux | no proof; refused | `crates/testkit/tests/kernel_types/objects.rs` |
| the error that `bpf_res_spin_lock` returns | negative in 64 bits (`__mark_reg_s32_range`), though the function returns 32 and x86 leaves zeros above: an error of Linux | negative in 32 bits | `tests/verdicts/res_locks.txt` |
| maps in maps of maps, taken for one another: (a) a timer's function, of a map in a map of maps, that walks another such map and makes the timers there ready for its own; (b) per-CPU array in a map of maps, looked up at a constant index | (a) neither map is told from others of its kind in a callback: an error of Linux; (b) is long enough, though a shorter one may be put there: an error of Linux | (a) refused; (b) may be shorter | `tests/verdicts/later.txt`, `tests/verdicts/inner_maps.txt` |
| global functions, which are looked at alone: (a) memory that is given to a global function; (b) global functions that throw (`bpf_throw`) | (a) NULL is taken where the tag says `nonnull`, and a packet that may only be read, which the function then writes: errors of Linux; (b) what is held at the call is not looked at, and what they throw may be outside the range of what the program returns: references are never released, sections never end: errors of Linux | (a) refused; (b) refused as in other functions | `tests/verdicts/global_functions.txt`, `tests/verdicts/exceptions.txt` |
| `LDDW` with `src` 1 or 2 (a map by descriptor) | a descriptor of the loading process | refused: specifications name maps by index (`src` 5, 6) | `tests/cases/insn/lddw_map_fd.s`, `lddw_map_value_fd.s` |

### Of results

| what | Linux | skep | shown by |
|---|---|---|---|
| high half of `r0` after a `cmpxchg32` that succeeds | kept, if its verifier saw no 64-bit use of `r0` on that path, as where another path joined first | zeros, as RFC 9669 says | `tests/cases/atomic/cmpxchg32-clears-the-high-half.s`, `cmpxchg32-in-linux.s` |
| tail calls out of functions | up to 33, each leaving up to seven functions waiting | the same while 41 functions or fewer wait in all, then a trap | `tail_calls_out_of_functions_nest_to_their_limit` in `crates/vm/tests/basic.rs` |
| `bpf_skb_change_tail` after helpers have added more to the packet's front than fits before it | does not cut short of where the larger buffer happens to put a transport header that nobody has set | cuts to the network header | `HEADROOM` in `crates/testkit/src/generate/packets.rs` |
| a packet that helpers make longer again and again | the buffer doubles each time 64 bytes more are needed before the packet; the fifteenth time, or when the machine's memory is in pieces, ENOMEM (`pskb_expand_head`) | any number of times, as long as the packet fits | `GROWING` in `crates/testkit/src/generate/make/helpers.rs` |
| values of a per-CPU hash with `BPF_F_NO_PREALLOC` that a program deleted and has the address of | used again at once, or after a grace period when more than three are free | used again at once | `outlives` in `crates/testkit/src/generate/make/maps.rs` |
| bytes behind the end of a packet that a program has cut, where `bpf_skb_adjust_room` opens room there | whatever stood in the larger buffer | what the packet had there, or zeros | `HEADERS` in `crates/testkit/src/generate/packets.rs` |
| `bpf_get_hash_recalc` | keyed at boot | the same everywhere | `packet_helpers.rs` in `crates/testkit` |
| narrow load from `__sk_buff` behind the first byte of `pkt_type`, `queue_mapping`, `protocol`, `vlan_*`, `tc_index`, `tc_classid` | gives what the field's first byte or two give, if the load is as wide as the kernel's own field | gives the bytes that stand there | `SHORT` in `crates/testkit/src/generate/make/kinds.rs` |
| packet of a socket filter's test run | its first 14 bytes come back as zeros | comes back unchanged | `oracle/drive.rs` in `crates/testkit` |

";

const WITHOUT_VERDICT: &str = "\
## Without a verdict of the kernel

The kernel that skep was compared with answers EPERM to programs for its functions, hooks and to extensions before it looks at \
them. What skep says of these rests on Linux 6.18's source and on the expectations of its own tests; where a later version \
took something back as unsafe, skep does not have it either.

| programs | what rests on that | shown by |
|---|---|---|
| `fentry`, `fexit`, `fmod_ret` | arguments and results, helpers; of the functions whose programs may sleep or change the result only system calls, `security_*` and those that the kernel lists itself are known, others are *not supported yet* | `kernel_functions.rs` in `crates/testkit` |
| `lsm`, `lsm_cgroup` | hooks that are disabled (also `xfrm_decode_session`, since a later version), that sleep (without `bpf_prog_free`, `inet_conn_established`, `current_getsecid_subj`, `task_to_inode`, which later versions took back), whose arguments are not trusted (also `bdev_*_security`) or may be NULL (the file of `mmap_file`); return values; helpers by hook | `kernel_hooks.rs` in `crates/testkit` |
| `freplace` | which functions may be replaced, and by what; programs of types that are attached by the kernel's types or that may sleep are *not supported yet* | `extensions.rs` in `crates/testkit` |

";

/// The figures of the last campaign, as it wrote them.
fn generated_programs() -> String {
    let campaign = include_str!("../../../tests/campaign.txt");
    let (command, figures) = campaign.split_once('\n').unwrap_or((campaign, ""));
    let mut out = format!(
        "## Generated programs\n\nPrograms at random, run by the interpreter and by Linux: verdict, result, packet, \
         context, maps and ring buffer records were compared; of every tenth, which is made of the verdict files, the verdict \
         alone. A program that kills or holds the process that \
         loads it counts as one that Linux fell over at. `{command}` wrote these figures; \
         `cargo test -p skep-testkit --test differential` runs 20,000 of them and plants one bug after another, \
         each of which is found.\n\n"
    );
    for line in figures.lines() {
        let _ = writeln!(out, "- {line}");
    }
    out += "\nNot reached, and why:\n\n";
    for (name, why) in LEFT_OUT {
        let _ = writeln!(out, "- `{name}`: {why}");
    }
    out + "\n"
}

/// Each row over its edge operands: who accepts it, and whether the results agree.
fn instructions() -> String {
    let mut rows: BTreeMap<&str, Vec<(Answer, Answer)>> = BTreeMap::new();
    for case in rows::cases() {
        let ask = |o: &dyn Oracle| o.run(&case.spec, Privilege::Privileged, &case.inputs);
        rows.entry(case.row).or_default().push((ask(&Interpreter), ask(&Kernel)));
    }
    let mut out = String::from(
        "## Instructions\n\nEach row of the table as a program over edge operands \
         (`crates/testkit/tests/rows.rs`, files in `tests/cases/insn`).\n\n\
         | row | group | skep | runs compared |\n|---|---|---|---|\n",
    );
    for row in table::rows() {
        let answers = &rows[row.name];
        let differs =
            answers.iter().any(|(i, k)| oracle::disagreement(("interpreter", i), ("kernel", k)).is_some());
        let kernel = answers.iter().any(|(_, k)| k.is_ok());
        let skep = answers.iter().any(|(i, _)| matches!(i, Ok(o) if !o.unverified));
        let runs: usize = answers
            .iter()
            .filter_map(|(i, k)| i.as_ref().ok().zip(k.as_ref().ok()))
            .map(|(i, _)| i.runs.len())
            .sum();
        let word = match (kernel, skep) {
            _ if differs => "differs",
            (true, true) => "yes",
            (true, false) => "no: the verifier does not support it yet; it runs unverified",
            (false, true) => "differs",
            (false, false) => "–",
        };
        let _ = writeln!(out, "| `{}` | {} | {word} | {runs} |", row.name, row.group);
    }
    out + "\n"
}

/// The last expected attach type of 6.18.
const ATTACH_TYPES: u32 = 58;

/// The smallest legal program: `r0 = 0; exit`, or 1 where 0 is no legal value.
fn program_types() -> String {
    let mut out = String::from(
        "## Program types\n\nWhether `r0 = 0; exit` (or `r0 = 1; exit`) loads under some expected attach type, without \
         an attach target.\n\n| type | Linux | skep |\n|---|---|---|\n",
    );
    for id in 1..=32 {
        let prog_type = ProgramType(id);
        let Some(name) = prog_type.name() else { continue };
        let (mut linux, mut skep) = ("needs an attach target, or is not compiled in", "no");
        for attach_type in (0..=ATTACH_TYPES).map(AttachType) {
            for r0 in [0, 1] {
                let insns = Code::new().mov(Reg::R0, r0).exit().finish();
                // Programs of type `syscall` load only as sleepable.
                let flags = if prog_type == ProgramType::SYSCALL { 1 << 4 } else { 0 };
                let license = "GPL";
                let load =
                    RawLoad { prog_type, attach_type, license, insns: &insns, flags, ..RawLoad::default() };
                if load.load().is_ok() {
                    linux = "loads";
                }
                let spec = ProgramSpec { attach_type, ..ProgramSpec::new(prog_type, insns) };
                if Interpreter.verdict(&spec, Privilege::Privileged) == Verdict::Accepted {
                    skep = "yes";
                }
            }
        }
        let _ = writeln!(out, "| `{name}` | {linux} | {skep} |");
    }
    out + "\n"
}

fn map_types() -> String {
    let (linux, user) = (LinuxBackend::new(), UserBackend::new());
    let mut out = String::from(
        "## Map types\n\nWhether Linux creates a map of a plain geometry; whether the user backend has the kind, what of it \
         from the host's side, and what from programs'. Operations are compared with the kernel's one by one: \
         `kernel_*.rs` in `crates/maps`, `user_ringbuf.rs` and `objects_of_the_process.rs` in `crates/testkit`.\n\n\
         | type | Linux | skep | host | programs |\n|---|---|---|---|---|\n",
    );
    for id in 1..=34 {
        let kind = MapType(id);
        let Some(name) = kind.name() else { continue };
        // One of these fits every kind that can be made without other objects.
        let geometries = [(4, 8, 4), (4, 4, 4), (8, 8, 4), (0, 8, 4), (0, 0, 4096)];
        let mut answer = "not from geometry alone";
        let row = STATES.iter().find(|row| row.0 == kind);
        let &(_, host, programs) = row.expect("every kind that there is has a row");
        let has = MAP_TYPES.iter().any(|row| row.id == kind);
        let skep = if has { "yes" } else { "no" };
        for (key, value, entries) in geometries {
            for flags in [0, 1, 1 << 10 | 1] {
                let mut def = MapDef::new(kind, key, value, entries);
                def.flags.0 = flags;
                match linux.create_map(&def) {
                    Ok(_) => answer = "yes",
                    Err(e) if e.errno == Errno::ENOTSUPP && answer != "yes" => answer = "not supported",
                    Err(_) => {}
                }
                assert!(has || user.create_map(&def).is_err(), "{name} can be made, and has no row");
            }
        }
        let _ = writeln!(out, "| `{name}` | {answer} | {skep} | {host} | {programs} |");
    }
    out + "\n" + &fields()
}

fn fields() -> String {
    let mut out = String::from(
        "## Fields of values and objects\n\nThe verifier knows all of Linux 6.18; what the user backend has of them when \
         programs run. Functions of the kernel without a body here are refused by name when a program that reaches them is \
         loaded.\n\n| field | user backend |\n|---|---|\n",
    );
    for kind in FieldKind::ALL {
        let state = FIELDS.iter().find(|(k, _)| k == kind).map(|(_, state)| *state);
        let state = state.expect("each kind has a row");
        let untrusted = if *kind == FieldKind::KptrUntrusted { " (untrusted)" } else { "" };
        let _ = writeln!(out, "| `{}`{untrusted} | {state} |", kind.name());
    }
    out + "\n"
}

/// Whether the kernel offers a helper to a type: it looks the helper up before it looks at arguments.
fn kernel_offers(row: &ProgramTypeRow, attach_type: AttachType, helper: u32) -> bool {
    let prog_type = row.id;
    let mut code = Code::new();
    for r in 1..=5 {
        code.mov(Reg(r), 0);
    }
    let insns = code.call(helper).mov(Reg::R0, 0).exit().finish();
    let flags = if prog_type == ProgramType::SYSCALL { 1 << 4 } else { 0 };
    let load = RawLoad {
        prog_type,
        attach_type,
        license: "GPL",
        insns: &insns,
        flags,
        log_level: 1,
        ..RawLoad::default()
    };
    match load.load() {
        Ok(_) => true,
        Err(e) => {
            let unknown = ["cannot use helper", "unknown func", "invalid func"];
            !e.log.is_empty() && !unknown.iter().any(|u| e.log.contains(u))
        }
    }
}

fn helpers() -> String {
    let types: Vec<_> = PROGRAM_TYPES.iter().collect();
    let mut out = String::from(
        "## Helpers\n\nBy program type: whether a privileged program of the type is offered the helper. Helpers that \
         no type here is offered are left out. *not yet*: refused, since the verifier lacks what an argument or the \
         result is. Programs that call one without a body in the user backend are verified, and run in Linux only.\n\n| id | helper | body |",
    );
    for row in &types {
        let _ = write!(out, " {} |", row.id.name().unwrap_or("?"));
    }
    out += "\n|---|---|---|";
    out += &"---|".repeat(types.len());
    out += "\n";
    // How many of the kernel's helpers each type has here, and how many the kernel offers it.
    let mut counts = vec![(0, 0); types.len()];
    for &(id, name) in HELPER_NAMES {
        let offers: Vec<(bool, bool, bool)> = types
            .iter()
            .map(|row| {
                let attach = row.attach_types.first().copied().unwrap_or_default();
                let offered = row.helper_capability(id, attach).is_some();
                let proto = row.own_helper(id).or_else(|| skep_abi::helper(id));
                (kernel_offers(row, attach, id), offered, proto.is_some_and(verifies_helper))
            })
            .collect();
        for ((have, all), (linux, skep, verifies)) in counts.iter_mut().zip(&offers) {
            *have += u32::from(*linux && *skep && *verifies);
            *all += u32::from(*linux);
        }
        let word = |&offer: &(bool, bool, bool)| match offer {
            (true, true, true) => "yes",
            (true, true, false) => "not yet",
            (true, false, _) => "no",
            (false, true, _) => "differs",
            (false, false, _) => "–",
        };
        if offers.iter().any(|&(linux, skep, _)| linux || skep) {
            let body = if has_body(id) { "yes" } else { "no" };
            let words: Vec<&str> = offers.iter().map(word).collect();
            let _ = writeln!(out, "| {id} | `{name}` | {body} | {} |", words.join(" | "));
        }
    }
    let bodies = HELPER_NAMES.iter().filter(|(id, _)| has_body(*id)).count();
    let counts: Vec<String> = counts.iter().map(|(have, all)| format!("{have} of {all}")).collect();
    let _ = writeln!(out, "| | **helpers of Linux that skep has** | {bodies} | {} |", counts.join(" | "));
    out
}
