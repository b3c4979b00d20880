//! The kernel's own verifier tests, asked of the kernel and of skep.
//!
//! ```text
//! selftests [--dir DIR] [--jobs N] [--write] [NAME…]
//! ```
//!
//! Only files whose names begin with one of the NAMEs are asked about; all, if there is none. The tree, its objects and
//! `results.tsv` stay in DIR (`skep-selftests` in the folder for temporary files). `--write` writes the totals to
//! `docs/selftests.md`. Exit status 1 when skep accepts what it should not.

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    println!("skipped: these tests need Linux");
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [ask, object, from] if ask == "--ask" => linux::ask(object, from),
        args => linux::campaign(args),
    };
    match result {
        Ok(code) => code,
        Err(why) => {
            eprintln!("selftests: {why}");
            ExitCode::from(2)
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::IsTerminal;
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;
    use std::{fs, io};

    use skep_testkit::oracle::Oracle;
    use skep_testkit::oracle::kernel::Kernel;
    use skep_testkit::selftests::{ask, build, campaign, record::Record, report, source};

    /// The child's part.
    pub fn ask(object: &str, from: &str) -> Result<ExitCode, String> {
        let from = from.parse().map_err(|e| format!("{from}: {e}"))?;
        ask::object(Path::new(object), from, &mut io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }

    pub fn campaign(args: &[String]) -> Result<ExitCode, String> {
        let mut dir = std::env::temp_dir().join("skep-selftests");
        let (mut jobs, mut write, mut wanted) = (2, false, Vec::new());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--dir" => dir = PathBuf::from(args.next().ok_or("--dir wants a folder")?),
                "--jobs" => {
                    let n = args.next().and_then(|n| n.parse().ok());
                    jobs = n.ok_or("--jobs wants a number")?;
                }
                "--write" => write = true,
                word if word.starts_with('-') => {
                    return Err("usage: selftests [--dir DIR] [--jobs N] [--write] [NAME…]".into());
                }
                name => wanted.push(name.to_owned()),
            }
        }
        if let Err(why) = Kernel.available() {
            println!("skipped: no kernel to ask: {why}");
            return Ok(ExitCode::SUCCESS);
        }
        source::kernel_is_new_enough()?;
        let tree = source::tree(&dir)?;
        let built = build::objects(&tree, &dir, &wanted, jobs)?;
        eprintln!("{} objects, {} do not compile", built.objects.len(), built.failed.len());
        let (records, mut failed) = all(&built.objects);
        failed.extend(built.failed);
        failed.sort();
        let lines: Vec<String> = records.iter().map(Record::to_string).collect();
        let results = dir.join("results.tsv");
        fs::write(&results, lines.join("\n") + "\n").map_err(|e| format!("{}: {e}", results.display()))?;
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let release: Vec<&str> = release.trim().split('.').take(2).collect();
        let page = report::page(&release.join("."), &records, &failed);
        if write {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/selftests.md");
            fs::write(&path, &page).map_err(|e| format!("{}: {e}", path.display()))?;
        } else {
            println!("{page}");
        }
        eprintln!("every answer is in {}", results.display());
        Ok(if report::accepts_too_much(&records) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Asks about every object, in turn: two kernels' worth of work at once would only make each slower.
    fn all(objects: &[PathBuf]) -> (Vec<Record>, Vec<(String, String)>) {
        let (mut records, mut failed) = (Vec::new(), Vec::new());
        let terminal = io::stderr().is_terminal();
        for (n, object) in objects.iter().enumerate() {
            if terminal {
                eprint!("\r{n} of {}", objects.len());
            }
            match campaign::object(object) {
                Ok(more) => records.extend(more),
                Err(why) => {
                    let name = object.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    let folder = object.parent().map(|p| format!("{}/", p.display())).unwrap_or_default();
                    failed.push((name, why.replace(&folder, "")));
                }
            }
        }
        (records, failed)
    }
}
