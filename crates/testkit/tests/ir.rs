//! Programs in SSA: what is built of the programs of `tests/ir`, and that all of `tests/cases` can be built.
//!
//! A file of `tests/ir` has a program as those of `tests/cases` do, a line `---`, what is built of it, a line `--- passes`,
//! and what all passes make of that. `BLESS=1` rewrites both. `; checked` in a program asks for checks of its accesses, `; pieces of N` cuts its functions.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_jit::build::{Options, build};
use skep_jit::ir::lookup::Array;
use skep_jit::ir::passes::{self, Passes};
use skep_jit::ir::{Function, Module};
use skep_maps::{Config, Heap, Keeper, Map};
use skep_spec::{Environment, ProgramSpec};
use skep_testkit::case::{check, source};
use skep_user::bind_kfuncs;
use skep_vm::Program;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(name)
}

/// The program, bound to maps of its own; `None` where the verifier refuses it or the user backend has not what it
/// needs.
fn program(spec: &ProgramSpec) -> Option<Program> {
    let env = Environment::default();
    let (spec, env) = bind_kfuncs(spec, &env).ok()?.unwrap_or_else(|| (spec.clone(), env.clone()));
    let verified = skep_verifier::verify(&spec, &env, &Default::default()).ok()?;
    let keeper = std::cell::OnceCell::new();
    let shared = || {
        let new = || Arc::new(Keeper::new(std::thread::yield_now).expect("memory"));
        Ok(Arc::clone(keeper.get_or_init(new)))
    };
    let maps = spec.maps.iter().map(|def| Map::create_kept(def, &Config::new(2), &Heap, &shared).ok());
    Program::new(&verified, &env, maps.collect::<Option<_>>()?).ok()
}

/// What all passes make of a module; values of map `n` begin at `0x10000 * (n + 1)`.
fn passed(program: &Program, module: &Module) -> Result<Module, String> {
    let binding = program.binding().expect("verified");
    let array = |content| {
        let index = binding.map_of(content)?;
        let at = binding.maps().get(index)?.array()?;
        let (base, stride) = (0x10000 * (index as u64 + 1), at.stride as u64);
        Some(Array { base, stride, entries: at.max_entries, cpu_stride: None })
    };
    let mut module = module.clone();
    passes::run(&mut module, &Passes::ALL, &array);
    module.functions.iter_mut().for_each(Function::compact);
    module.check().map_err(|e| format!("{e}\n{module}"))?;
    Ok(module)
}

fn built(program: &Program, options: &Options) -> Result<Module, String> {
    let binding = program.binding().expect("verified");
    let module = build(&binding, options).map_err(|e| e.to_string())?;
    module.check().map_err(|e| format!("{e}\n{module}"))?;
    let again = Module::parse(&module.to_string()).map_err(|e| format!("{e}\n{module}"))?;
    assert_eq!(again, module, "is not read back as it was written");
    Ok(module)
}

#[test]
fn files() {
    let bless = std::env::var_os("BLESS").is_some_and(|v| v == "1");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder("ir")).expect("tests/ir").map(|e| e.expect("a file").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "txt"));
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let text = fs::read_to_string(&path).expect("just listed");
        let (source, want) = text.split_once("---\n").unwrap_or((&text, ""));
        let specs = source::assemble(source).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let program = program(&specs[0]).unwrap_or_else(|| panic!("{}: not accepted", path.display()));
        let pieces = source.lines().find_map(|l| l.strip_prefix("; pieces of ")?.parse().ok());
        let piece = pieces.unwrap_or(Options::PIECE);
        let options = Options { check_accesses: source.contains("; checked"), piece };
        let texts = |module: Module| Ok(format!("{module}--- passes\n{}", passed(&program, &module)?));
        let is = built(&program, &options).and_then(texts).unwrap_or_else(|e| format!("error: {e}\n"));
        if bless {
            fs::write(&path, format!("{source}---\n{is}")).expect("tests/ is writable");
        } else {
            assert!(is == want, "{}: built otherwise; BLESS=1 rewrites it:\n{is}", path.display());
        }
    }
}

/// Each program that runs can be built, with and without checks, whole and in pieces.
#[test]
fn every_case_is_built() {
    let (mut programs, mut functions, mut pieces) = (0, 0, 0);
    for path in check::files(&folder("cases")) {
        let text = fs::read_to_string(&path).expect("just listed");
        for spec in source::assemble(&text).unwrap_or_default() {
            let Some(program) = program(&spec) else { continue };
            let wrong = |e| panic!("{} {}: {e}", path.display(), spec.name);
            let module = built(&program, &Options::default()).unwrap_or_else(wrong);
            built(&program, &Options { check_accesses: true, ..Options::default() }).unwrap_or_else(wrong);
            for piece in [1, 2, 7] {
                let module = built(&program, &Options { piece, ..Options::default() }).unwrap_or_else(wrong);
                pieces += module.functions.iter().filter(|f| f.piece).count();
            }
            programs += 1;
            functions += module.functions.len();
        }
    }
    assert!(
        programs > 200 && functions > programs && pieces > functions,
        "{programs} programs, {functions} functions"
    );
    eprintln!("{programs} programs, {functions} functions");
}
