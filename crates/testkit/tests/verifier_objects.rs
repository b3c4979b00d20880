//! Verdicts on compiled objects, beside the running kernel's: the examples, and every object in the folders
//! that `SKEP_OBJECTS` names (separated by colons).

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use skep_linux::LinuxBackend;
use skep_object::Object;
use skep_spec::{Environment, LoadOptions, ProgramSpec};
use skep_verifier::{Options, verify};

fn objects(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() {
            objects(&path, found);
        } else if path.extension().is_some_and(|e| e == "o") {
            found.push(path);
        }
    }
    found.sort();
}

/// The kernel's verdict and the last line of its log, or what kept it from giving one.
fn ask_kernel(spec: &ProgramSpec) -> Result<(bool, String), String> {
    let backend = LinuxBackend::new();
    let maps = spec.maps.iter().map(|m| backend.create(m)).collect::<Result<Vec<_>, _>>();
    let maps = maps.map_err(|e| e.to_string())?;
    let fds: Vec<_> = maps.iter().map(|m| m.as_fd()).collect();
    match backend.load_program(spec, &fds, LoadOptions { log_level: 4 }) {
        Ok(p) => Ok((true, p.log().lines().last().unwrap_or_default().to_owned())),
        Err(e) => Ok((false, e.log.lines().rev().take(2).collect::<Vec<_>>().join(" | "))),
    }
}

#[test]
fn objects_get_the_kernels_verdict() {
    let mut files = Vec::new();
    objects(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples"), &mut files);
    assert!(!files.is_empty(), "the examples have objects");
    let extra = std::env::var("SKEP_OBJECTS").unwrap_or_default();
    extra.split(':').filter(|f| !f.is_empty()).for_each(|f| objects(Path::new(f), &mut files));
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to compare with: {probe:?}");
    }
    let mut wrong = Vec::new();
    for file in files {
        let bytes = fs::read(&file).expect("a readable file");
        let object = match Object::parse(&file.display().to_string(), &bytes) {
            Ok(object) => object,
            Err(e) => {
                println!("{}: skipped: {e}", file.display());
                continue;
            }
        };
        for program in &object.programs {
            let at = format!("{}: {}", file.file_name().unwrap_or_default().display(), program.name);
            let spec = match &program.spec {
                Ok(spec) => spec,
                Err(e) => {
                    println!("{at}: skipped: {e}");
                    continue;
                }
            };
            let ours = verify(spec, &Environment::default(), &Options::default());
            let words = match &ours {
                Ok(v) => v.stats().to_string(),
                Err(r) => format!("{}: {}", r.pc(), r.message()),
            };
            println!("{at}: skep {} {words}", if ours.is_ok() { "accepts" } else { "rejects" });
            let in_examples = extra.is_empty();
            if let (true, Err(r)) = (in_examples, &ours) {
                wrong.push(format!("{at}: {}", r.explain()));
            }
            if !probe.is_yes() {
                continue;
            }
            match ask_kernel(spec) {
                Ok((accepts, log)) => {
                    println!("{at}: kernel {} {log}", if accepts { "accepts" } else { "rejects" });
                    let unsupported = ours.as_ref().is_err_and(|r| r.is_unsupported());
                    if accepts != ours.is_ok() && !unsupported {
                        wrong.push(format!("{at}: kernel {accepts} ({log}), skep: {words}"));
                    }
                }
                Err(why) => println!("{at}: skipped: {why}"),
            }
        }
    }
    assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
}
