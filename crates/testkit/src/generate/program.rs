//! A program and what to run it on.

use skep_spec::ProgramSpec;

use super::make::{self, OUT};
use crate::oracle::{Input, Inside, Tail};

/// A program, those that it may tail-call, and what to run it on.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The program.
    pub spec: ProgramSpec,
    /// Programs in its program array.
    pub tails: Vec<Tail>,
    /// Where its maps are in its map of maps.
    pub insides: Vec<Inside>,
    /// Inputs, in order.
    pub inputs: Vec<Input>,
    /// Whether an instruction was altered at random, so that it may be illegal.
    pub altered: bool,
    /// Whether its verdict alone is compared: it may need the kernel's own types, or what no machine of ours runs.
    pub judged: bool,
    /// The row of the conditional jump behind each pair of marks: not taken, taken.
    pub branches: Vec<&'static str>,
}

impl Generated {
    /// A program of which the verdict alone is compared.
    pub fn judged(spec: ProgramSpec) -> Self {
        Self {
            spec,
            tails: Vec::new(),
            insides: Vec::new(),
            inputs: Vec::new(),
            altered: true,
            judged: true,
            branches: Vec::new(),
        }
    }

    /// The sides that a run of this program reached: `(row, taken)`, from the final contents of `out`.
    pub fn sides<'a>(&'a self, out: &'a [u8]) -> impl Iterator<Item = (&'static str, bool)> + 'a {
        let marks = out.get(80..OUT).unwrap_or(&[]);
        self.branches.iter().zip(marks.chunks(2)).flat_map(|(&row, pair)| {
            let mut sides = Vec::new();
            sides.extend((pair.first() == Some(&1)).then_some((row, false)));
            sides.extend((pair.get(1) == Some(&1)).then_some((row, true)));
            sides
        })
    }

    /// All programs: the one that is run, then the others.
    pub fn programs(&self) -> impl Iterator<Item = &ProgramSpec> {
        std::iter::once(&self.spec).chain(self.tails.iter().map(|t| &t.spec))
    }
}

/// The program of a seed. One in eight is altered in one instruction, to compare verdicts.
pub fn generate(seed: u64) -> Generated {
    let mut made = make::make(seed);
    let inputs = (0..4).map(|_| made.input()).collect();
    let altered = made.rng.chance(12);
    if altered {
        made.alter();
    }
    Generated {
        spec: made.spec,
        tails: made.tails,
        insides: made.insides,
        inputs,
        altered,
        judged: false,
        branches: made.branches,
    }
}
