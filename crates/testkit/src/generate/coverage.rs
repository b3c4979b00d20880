//! What generated programs reached.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use skep_isa::{CallTarget, Op, decode_all, table};

use super::program::Generated;
use crate::oracle::{Answer, Outcome, Verdict};

/// Counts over many programs.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Programs.
    pub programs: usize,
    /// Programs that the first oracle with a verdict accepted.
    pub accepted: usize,
    /// Programs altered at random.
    pub altered: usize,
    /// Programs that all oracles ran and agreed on.
    pub compared: usize,
    /// Programs that an oracle could not or would not judge.
    pub skipped: usize,
    /// Why the reference refuses programs that were not altered.
    pub refusals: BTreeMap<String, usize>,
    /// Accepted programs that hold an instruction of the row.
    pub rows: BTreeMap<&'static str, usize>,
    /// Conditional jumps whose side `(row, taken)` a run reached.
    pub sides: BTreeSet<(&'static str, bool)>,
    /// Accepted programs that call the helper.
    pub helpers: BTreeMap<u32, usize>,
    /// Accepted programs whose map of the kind held something in the end.
    pub maps: BTreeMap<&'static str, usize>,
}

impl Coverage {
    /// Counts a program and the answers to it.
    pub fn add(&mut self, generated: &Generated, answers: &[Answer]) {
        self.programs += 1;
        self.altered += usize::from(generated.altered);
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
        if answers.len() > 1 && answers.iter().all(Result::is_ok) && !generated.altered {
            self.compared += 1;
        }
        let (mut rows, mut helpers) = (BTreeSet::new(), BTreeSet::new());
        for (_, op) in generated.programs().flat_map(|p| decode_all(&p.insns).map_while(Result::ok)) {
            rows.extend(op.row().map(|r| r.name));
            if let Op::Call(CallTarget::Helper(id)) = op {
                helpers.insert(id);
            }
        }
        for row in rows {
            *self.rows.entry(row).or_default() += 1;
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
        self.compared += other.compared;
        self.skipped += other.skipped;
        sum(&mut self.refusals, other.refusals);
        self.sides.extend(other.sides);
        sum(&mut self.rows, other.rows);
        sum(&mut self.helpers, other.helpers);
        sum(&mut self.maps, other.maps);
    }

    fn add_outcome(&mut self, generated: &Generated, outcome: &Outcome) {
        for (def, contents) in generated.spec.maps.iter().zip(&outcome.maps) {
            if contents.iter().any(|(_, value)| value.iter().any(|&b| b != 0)) {
                *self.maps.entry(def.kind.name().unwrap_or("unspec")).or_default() += 1;
            }
        }
        if let Some((_, out)) = outcome.maps.first().and_then(|m| m.first()) {
            self.sides.extend(generated.sides(out));
        }
    }

    /// Rows of the table that no accepted program holds.
    pub fn missing_rows(&self) -> Vec<&'static str> {
        table::rows().iter().map(|r| r.name).filter(|n| !self.rows.contains_key(n)).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "programs {}, accepted {}, altered {}, compared {}, skipped {}",
            self.programs, self.accepted, self.altered, self.compared, self.skipped
        )?;
        for (why, n) in &self.refusals {
            writeln!(f, "refused {n}: {why}")?;
        }
        let missing = self.missing_rows();
        let all = table::rows().len();
        writeln!(f, "instruction rows {} of {all}, missing: {}", all - missing.len(), missing.join(" "))?;
        let branches = table::rows().iter().filter(|r| r.name.starts_with('j') && r.name.contains('_'));
        let mut sides = Vec::new();
        for row in branches {
            for (taken, word) in [(false, "not taken"), (true, "taken")] {
                if !self.sides.contains(&(row.name, taken)) {
                    sides.push(format!("{} {word}", row.name));
                }
            }
        }
        writeln!(f, "branch sides {}, missing: {}", self.sides.len(), sides.join(", "))?;
        let helper =
            |(id, n): (&u32, &usize)| format!("{} {n}", skep_abi::helper_name(*id).unwrap_or("unknown"));
        let helpers: Vec<_> = self.helpers.iter().map(helper).collect();
        writeln!(f, "helpers: {}", helpers.join(", "))?;
        let maps: Vec<_> = self.maps.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        write!(f, "maps: {}", maps.join(", "))
    }
}
