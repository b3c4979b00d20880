//! The files of `tests/verdicts`: programs whose verdict Linux 6.18 and skep must agree on.
//!
//! The format stands in `tests/verdicts/README.md`. `BLESS=1` writes the running kernel's verdicts into the
//! files; without it the kernel, where there is one to ask, must confirm what the files say.

use std::fs;
use std::os::fd::AsFd;

use skep_linux::LinuxBackend;
use skep_spec::{Environment, LoadOptions, ProgramSpec};
use skep_testkit::oracle::kernel::Admitted;
use skep_testkit::verdicts::{Case, Verdict, cases, cpus, files, kernel_types};
use skep_verifier::{Options, verify};

/// The kernel's verdict; the message is the last line of the log before the summary.
fn ask_kernel(spec: &ProgramSpec, unprivileged: bool) -> Result<Verdict, String> {
    let backend = LinuxBackend::new();
    let maps = spec.maps.iter().map(|m| backend.create(m)).collect::<Result<Vec<_>, _>>();
    let maps = maps.map_err(|e| e.to_string())?;
    let load = || {
        let fds: Vec<_> = maps.iter().map(|m| m.as_fd()).collect();
        backend.load_program(spec, &fds, LoadOptions { log_level: 1 }).map(drop)
    };
    let result =
        if unprivileged { skep_linux::unprivileged(load).map_err(|e| e.to_string())? } else { load() };
    Ok(match result {
        Ok(()) => Verdict::Accept,
        Err(e) => {
            let said = |l: &&str| {
                !["processed ", "verification time", "stack depth"].iter().any(|p| l.starts_with(p))
                    && !l.trim().is_empty()
            };
            let last = e.log.lines().rfind(said).map(str::to_owned);
            Verdict::Reject(last.unwrap_or_else(|| e.error.to_string()))
        }
    })
}

#[test]
fn the_kernel_says_what_the_files_say() {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
        return;
    }
    let unprivileged = Admitted::new().inspect_err(|why| println!("skipped: unprivileged cases: {why}")).ok();
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let mut cases = cases(&file);
        for case in &mut cases {
            if case.unprivileged && unprivileged.is_none() {
                println!("skipped: {}: unprivileged loads cannot be allowed here", case.name);
                continue;
            }
            if case.needs_kernel() && kernel_types().is_none() {
                println!("skipped: {}: no types of the kernel", case.name);
                continue;
            }
            match case.spec().and_then(|s| ask_kernel(&s, case.unprivileged)) {
                Ok(found) if bless => case.expect = Some(found),
                Ok(found) if case.expect.as_ref() == Some(&found) => {}
                Ok(found) => wrong.push(format!("{}: kernel: {found:?}, file: {:?}", case.name, case.expect)),
                Err(why) => wrong.push(format!("{}: {why}", case.name)),
            }
        }
        if bless {
            let text: String = cases.iter().map(Case::text).collect();
            fs::write(&file, text.trim_end().to_owned() + "\n").expect("the file can be written");
        }
    }
    assert!(wrong.is_empty(), "{} verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn skep_says_what_the_files_say() {
    let mut wrong = Vec::new();
    let mut agreed = 0;
    for file in files() {
        for case in cases(&file) {
            let at = format!("{}: {}", file.file_name().unwrap_or_default().display(), case.name);
            let expect =
                case.expect.as_ref().unwrap_or_else(|| panic!("{at}: no expectation; run with BLESS=1"));
            if case.needs_kernel() && kernel_types().is_none() {
                println!("skipped: {at}: no types of the kernel");
                continue;
            }
            let spec = case.spec().unwrap_or_else(|e| panic!("{at}: {e}"));
            let mut env =
                if case.unprivileged { Environment::unprivileged() } else { Environment::default() };
            env.cpus = cpus();
            if case.needs_kernel() {
                env.kernel_types = kernel_types().cloned();
                if spec.has_variables() {
                    env.kernel_symbols = skep_testkit::selftests::ask::symbols();
                }
            }
            let options = Options { test_state_freq: case.every_state, ..Options::default() };
            let verdict = verify(&spec, &env, &options);
            let agrees = match (&verdict, expect, &case.differs) {
                (Ok(_), expect, None) => *expect == Verdict::Accept,
                (Err(r), expect, None) => *expect != Verdict::Accept && !r.is_unsupported(),
                (Ok(_), _, Some(_)) => false,
                (Err(r), expect, Some(_)) => r.is_unsupported() || *expect == Verdict::Accept,
            };
            match verdict {
                _ if agrees => agreed += 1,
                Ok(_) => wrong.push(format!("{at}: accepted; file: {expect:?}")),
                Err(r) => wrong.push(format!("{at}: insn {}: {}; file: {expect:?}", r.pc(), r.message())),
            }
        }
    }
    println!("{agreed} verdicts agree");
    assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
}
