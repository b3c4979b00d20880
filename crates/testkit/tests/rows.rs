//! Every row of the instruction table over edge operands: all oracles agree.

use skep_testkit::oracle::{self, Oracle, Privilege, Verdict, kernel::Kernel};
use skep_testkit::rows;

/// Programs over a row that the kernel refuses altogether; the reason stands in `rows`.
const REFUSED: &[&str] = &[
    "addr_space_cast",
    "call_kfunc",
    "callx",
    "gotox",
    "lddw_code",
    "lddw_map_fd",
    "lddw_map_value_fd",
    "lddw_variable",
];

#[test]
fn the_kernel_runs_every_row() {
    if let Err(why) = Kernel.available() {
        eprintln!("skipped: the_kernel_runs_every_row: {why}");
        return;
    }
    let (mut failures, mut refused) = (Vec::new(), std::collections::BTreeMap::new());
    for case in rows::cases() {
        let accepted = match Kernel.run(&case.spec, Privilege::Privileged, &case.inputs) {
            Ok(outcome) => {
                if let Some(fault) = outcome.runs.iter().find_map(|r| r.fault.as_ref()) {
                    failures.push(format!("{}: {fault}", case.name));
                }
                true
            }
            Err(Verdict::Rejected { .. }) => false,
            Err(other) => {
                failures.push(format!("{}: {other:?}", case.name));
                continue;
            }
        };
        *refused.entry(case.row).or_insert(true) &= !accepted;
    }
    let refused: Vec<_> = refused.into_iter().filter(|r| r.1).map(|r| r.0).collect();
    assert_eq!(failures, [""; 0]);
    assert_eq!(refused, REFUSED);
}

#[test]
fn all_oracles_agree_on_every_row() {
    let mut available: Vec<&dyn Oracle> = Vec::new();
    for oracle in oracle::all() {
        match oracle.available() {
            Ok(()) => available.push(oracle),
            Err(why) => eprintln!("skipped: all_oracles_agree_on_every_row: {}: {why}", oracle.name()),
        }
    }
    let (mut failures, mut compared) = (Vec::new(), 0);
    for case in rows::cases() {
        let results: Vec<_> = available
            .iter()
            .map(|o| (o.name(), o.run(&case.spec, Privilege::Privileged, &case.inputs)))
            .collect();
        for two in results.windows(2) {
            let (a, b) = (&two[0], &two[1]);
            if let Some(what) = oracle::disagreement((a.0, &a.1), (b.0, &b.1)) {
                failures.push(format!("{}: {what}", case.name));
            }
            compared += case.inputs.len();
        }
    }
    println!("{compared} runs compared");
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}
