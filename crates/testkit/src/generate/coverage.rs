//! What generated programs reached.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use skep_abi::{HELPERS, MAP_TYPES, MapType};
use skep_isa::table::{self, Row};
use skep_isa::{CallTarget, Op, Reg, decode_all};
use skep_vm::has_body;

use super::program::Generated;
use crate::oracle::{Answer, Native, Outcome, Verdict};

/// The name of a row, a type, a kind of map: from a table, or from another process that has the same tables.
type Name = Cow<'static, str>;

/// Counts over many programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Programs.
    pub programs: usize,
    /// Programs that the first oracle with a verdict accepted.
    pub accepted: usize,
    /// Programs altered at random.
    pub altered: usize,
    /// Programs that all oracles ran and agreed on.
    pub compared: usize,
    /// Programs of which the verdict alone was compared.
    pub judged: usize,
    /// Programs of which native code ran.
    pub native: usize,
    /// Why there was none of others, where it was asked for.
    pub interpreted: BTreeMap<String, usize>,
    /// Programs that an oracle could not or would not judge.
    pub skipped: usize,
    /// Why the reference refuses programs that were not altered.
    pub refusals: BTreeMap<String, usize>,
    /// Seeds of programs that Linux refuses on a path that no run takes, which skep sees and so accepts them.
    pub dead_paths: BTreeSet<u64>,
    /// Seeds of programs that Linux refuses for a number of which more is known here.
    pub known_better: BTreeSet<u64>,
    /// Accepted programs that hold an instruction of the row.
    pub rows: BTreeMap<Name, usize>,
    /// Conditional jumps whose side `(row, taken)` a run reached.
    pub sides: BTreeSet<(Name, bool)>,
    /// Accepted programs that call the helper.
    pub helpers: BTreeMap<u32, usize>,
    /// Accepted programs whose map of the kind held something in the end, or that has one of a kind that
    /// cannot be read back.
    pub maps: BTreeMap<Name, usize>,
    /// Accepted programs by type.
    pub types: BTreeMap<Name, usize>,
}

/// What programs do not reach, and why: the rest they do, which `tests/differential.rs` sees to.
pub const LEFT_OUT: &[(&str, &str)] = &[
    // Instruction rows.
    ("addr_space_cast", "needs an arena"),
    ("gotox", "unknown to Linux 6.18"),
    ("callx", "unknown to Linux 6.18"),
    ("call_kfunc", "no kfuncs yet"),
    ("lddw_map_fd", "specifications name maps by index"),
    ("lddw_map_value_fd", "specifications name maps by index"),
    ("lddw_variable", "needs the kernel's own types"),
    // Helpers.
    ("bpf_trace_printk", "writes into the machine's trace"),
    ("bpf_trace_vprintk", "writes into the machine's trace"),
    ("bpf_fib_lookup", "asks the machine's routes"),
    ("bpf_check_mtu", "asks the machine's interfaces"),
    ("bpf_redirect_neigh", "asks the machine's neighbours"),
    ("bpf_redirect_peer", "needs a pair of interfaces"),
    ("bpf_get_stack", "walks the machine's frames"),
    ("bpf_get_stackid", "walks the machine's frames"),
    ("map bloom_filter", "has no elements to read back; files and operations compare it"),
    ("map user_ringbuf", "is filled from outside, by a test of its own"),
    ("bpf_user_ringbuf_drain", "is filled from outside, by a test of its own"),
    ("map devmap", "holds what the process has; tests of its own compare it"),
    ("map devmap_hash", "holds what the process has; tests of its own compare it"),
    ("map cpumap", "holds what the process has; tests of its own compare it"),
    ("map sockmap", "holds what the process has; tests of its own compare it"),
    ("map sockhash", "holds what the process has; tests of its own compare it"),
    ("map sk_storage", "holds what the process has; tests of its own compare it"),
    ("map struct_ops", "is for the kernel to call: no program looks into it"),
    ("map inode_storage", "holds what the process has; tests of its own compare it"),
    ("map task_storage", "holds what the process has; tests of its own compare it"),
    ("map cgrp_storage", "holds what the process has; tests of its own compare it"),
    ("bpf_redirect_map", "needs a map of what the process has; tests of its own compare it"),
    ("bpf_sk_storage_get", "needs a map of what the process has; tests of its own compare it"),
    ("bpf_sk_storage_delete", "needs a map of what the process has; tests of its own compare it"),
    ("bpf_inode_storage_get", "needs a map of what the process has; tests of its own compare it"),
    ("bpf_inode_storage_delete", "needs a map of what the process has; tests of its own compare it"),
    ("bpf_task_storage_get", "needs a map of what the process has; tests of its own compare it"),
    ("bpf_task_storage_delete", "needs a map of what the process has; tests of its own compare it"),
    ("bpf_get_current_task_btf", "needs a map of what the process has; tests of its own compare it"),
    ("bpf_per_cpu_ptr", "needs an object that each CPU has; file tests compare it"),
    ("bpf_cgrp_storage_get", "needs a map of what the process has; tests of its own compare it"),
    ("bpf_cgrp_storage_delete", "needs a map of what the process has; tests of its own compare it"),
    ("map stack_trace", "holds the machine's frames"),
    ("bpf_get_ns_current_pid_tgid", "needs the machine's name spaces"),
];

impl Coverage {
    /// Counts a program and the answers to it.
    pub fn add(&mut self, generated: &Generated, answers: &[Answer]) {
        self.programs += 1;
        self.altered += usize::from(generated.altered);
        self.judged += usize::from(generated.judged);
        // The last oracle is the kernel, where there is one: its verdict is the reference.
        let outcome = match answers.last() {
            Some(Ok(outcome)) => outcome,
            Some(Err(Verdict::Skipped(_))) => {
                self.skipped += 1;
                return;
            }
            Some(Err(verdict)) if !generated.altered => {
                // Numbers aside, so that reasons meet.
                let words = verdict.last_words();
                let words = words.rsplit_once("refuses it: ").map_or(&words[..], |(_, why)| why);
                let class = words.split(|c: char| c.is_ascii_digit()).collect::<Vec<_>>().join("#");
                *self.refusals.entry(class).or_default() += 1;
                return;
            }
            Some(Err(_)) | None => return,
        };
        self.accepted += 1;
        for answer in answers.iter().flatten().filter(|a| !a.runs.is_empty()) {
            match &answer.native {
                Native::NotAsked => {}
                Native::Ran => self.native += 1,
                Native::No(why) => *self.interpreted.entry(why.clone()).or_default() += 1,
            }
        }
        if answers.len() > 1 && answers.iter().all(Result::is_ok) && !generated.altered {
            self.compared += 1;
        }
        let name = |n: Option<&'static str>| Name::from(n.unwrap_or("unknown"));
        *self.types.entry(name(generated.spec.prog_type.name())).or_default() += 1;
        // These hold nothing that could be read back.
        let unread = [
            MapType::PROG_ARRAY,
            MapType::PERF_EVENT_ARRAY,
            MapType::ARRAY_OF_MAPS,
            MapType::HASH_OF_MAPS,
            MapType::ARENA,
        ];
        for map in generated.spec.maps.iter().filter(|m| unread.contains(&m.kind)) {
            *self.maps.entry(name(map.kind.name())).or_default() += 1;
        }
        let (mut rows, mut helpers) = (BTreeSet::new(), BTreeSet::new());
        for (_, op) in generated.programs().flat_map(|p| decode_all(&p.insns).map_while(Result::ok)) {
            rows.extend(op.row().map(|r| r.name));
            if let Op::Call(CallTarget::Helper(id)) = op {
                helpers.insert(id);
            }
        }
        for row in rows {
            *self.rows.entry(Name::from(row)).or_default() += 1;
        }
        for id in helpers {
            *self.helpers.entry(id).or_default() += 1;
        }
        if !generated.altered {
            self.add_outcome(generated, outcome);
        }
    }

    /// Adds the counts of other programs.
    pub fn merge(&mut self, other: Self) {
        fn sum<K: Ord>(into: &mut BTreeMap<K, usize>, from: BTreeMap<K, usize>) {
            for (key, n) in from {
                *into.entry(key).or_default() += n;
            }
        }
        self.programs += other.programs;
        self.accepted += other.accepted;
        self.altered += other.altered;
        self.judged += other.judged;
        self.compared += other.compared;
        self.native += other.native;
        sum(&mut self.interpreted, other.interpreted);
        self.skipped += other.skipped;
        sum(&mut self.refusals, other.refusals);
        self.dead_paths.extend(other.dead_paths);
        self.known_better.extend(other.known_better);
        self.sides.extend(other.sides);
        sum(&mut self.rows, other.rows);
        sum(&mut self.helpers, other.helpers);
        sum(&mut self.maps, other.maps);
        sum(&mut self.types, other.types);
    }

    fn add_outcome(&mut self, generated: &Generated, outcome: &Outcome) {
        for (def, contents) in generated.spec.maps.iter().zip(&outcome.maps) {
            if contents.iter().any(|(_, value)| value.iter().any(|&b| b != 0)) {
                *self.maps.entry(Name::from(def.kind.name().unwrap_or("unspec"))).or_default() += 1;
            }
        }
        if let Some((_, out)) = outcome.maps.first().and_then(|m| m.first()) {
            self.sides.extend(generated.sides(out).map(|(row, taken)| (Name::from(row), taken)));
        }
    }

    /// Everything that could be reached and was not: rows, sides of conditional jumps, helpers, kinds of maps, in
    /// words.
    pub fn missing(&self) -> Vec<String> {
        let rows = table::rows().iter().map(|r| r.name).filter(|n| !self.rows.contains_key(*n));
        let mut missing: Vec<String> = rows.map(str::to_string).collect();
        for row in branch_rows() {
            for (taken, word) in [(false, "not taken"), (true, "taken")] {
                if !self.sides.contains(&(Name::from(row), taken)) {
                    missing.push(format!("{row} {word}"));
                }
            }
        }
        let run = HELPERS.iter().filter(|h| has_body(h.id));
        let helpers = run.filter(|h| !self.helpers.contains_key(&h.id));
        missing.extend(helpers.map(|h| h.name.to_string()));
        let maps = MAP_TYPES.iter().filter_map(|m| m.id.name()).filter(|n| !self.maps.contains_key(*n));
        missing.extend(maps.map(|n| format!("map {n}")));
        missing.retain(|m| !LEFT_OUT.iter().any(|(name, _)| m == name));
        missing
    }
}

/// The rows of conditional jumps.
fn branch_rows() -> impl Iterator<Item = &'static str> {
    let branches = |r: &&Row| matches!(r.op(Reg::R1, Reg::R2, 0, 1), Op::JumpIf { .. });
    table::rows().iter().filter(branches).map(|r| r.name)
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "programs {}, accepted {}, refused {}, altered {}, judged {}, compared {}, skipped {}",
            self.programs,
            self.accepted,
            self.programs - self.accepted - self.skipped,
            self.altered,
            self.judged,
            self.compared,
            self.skipped
        )?;
        if self.native > 0 || !self.interpreted.is_empty() {
            writeln!(f, "run as native code {}", self.native)?;
        }
        for (why, n) in &self.interpreted {
            writeln!(f, "no native code {n}: {why}")?;
        }
        for (why, n) in &self.refusals {
            writeln!(f, "refused though not altered {n}: {why}")?;
        }
        if !self.dead_paths.is_empty() {
            let seeds: Vec<_> = self.dead_paths.iter().map(u64::to_string).collect();
            writeln!(
                f,
                "refused by Linux on a path that no run takes {}: seeds {}",
                seeds.len(),
                seeds.join(", ")
            )?;
        }
        if !self.known_better.is_empty() {
            let seeds: Vec<_> = self.known_better.iter().map(u64::to_string).collect();
            writeln!(
                f,
                "refused by Linux for a number that is known better {}: seeds {}",
                seeds.len(),
                seeds.join(", ")
            )?;
        }
        let list = |of: &mut dyn Iterator<Item = (String, usize)>| {
            of.map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
        };
        let named = |of: &BTreeMap<Name, usize>| list(&mut of.iter().map(|(k, n)| (k.to_string(), *n)));
        writeln!(f, "types: {}", named(&self.types))?;
        writeln!(
            f,
            "instruction rows {} of {}: {}",
            self.rows.len(),
            table::rows().len(),
            named(&self.rows)
        )?;
        writeln!(f, "branch sides {} of {}", self.sides.len(), 2 * branch_rows().count())?;
        let name = |id: u32| skep_abi::helper_name(id).unwrap_or("unknown").to_string();
        let helpers = list(&mut self.helpers.iter().map(|(id, n)| (name(*id), *n)));
        writeln!(f, "helpers {}: {helpers}", self.helpers.len())?;
        writeln!(f, "maps {}: {}", self.maps.len(), named(&self.maps))?;
        write!(f, "not reached: {}", self.missing().join(", "))
    }
}
