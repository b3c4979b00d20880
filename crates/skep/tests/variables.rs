//! Global variables: set before loading, read and written afterwards, on both backends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use skep::btf::print::Tree;
use skep::spec::RunInput;
use skep::{Backend, Error, ErrorKind, Input, Loaded, Object};

const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/variables.bpf.o");

fn object() -> Object {
    Object::open(OBJECT).unwrap_or_else(|e| panic!("{e}"))
}

/// Both backends, as far as they are there.
fn backends() -> Vec<Backend> {
    let mut out = vec![Backend::user()];
    match Backend::linux() {
        Ok(linux) => out.push(linux),
        Err(e) => println!("skipped: {e}"),
    }
    out
}

fn is_big_endian() -> bool {
    let big = cfg!(target_endian = "big");
    if big {
        println!("skipped: the object is for little-endian machines");
    }
    big
}

fn run(loaded: &Loaded, name: &str) -> u32 {
    let program = loaded.program(name).expect("it is loaded");
    let input = RunInput { data: &[0; 64], ..RunInput::default() };
    program.test_run(input).unwrap_or_else(|e| panic!("{e}")).retval
}

#[track_caller]
fn words(result: Result<(), Error>, kind: ErrorKind, text: &str) {
    let e = result.expect_err("it is refused");
    assert_eq!(e.kind(), kind, "{e}");
    assert_eq!(e.to_string().replace(OBJECT, "OBJECT"), text);
}

/// A constant is one to the verifier: skep's and the kernel's judge by its value.
#[test]
fn constants_decide_the_verdict() {
    if is_big_endian() {
        return;
    }
    for backend in backends() {
        for index in [0, 3] {
            let mut object = object();
            object.set_variable("which", index).expect("it fits");
            let loaded = object.load_program(&backend, "pick").unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(run(&loaded, "pick"), 10 + index, "{backend:?}");
            assert_eq!(loaded.get_variable::<u32>("which").expect("a number"), index);
        }
        for index in [4, u32::MAX] {
            let mut object = object();
            object.set_variable("which", index).expect("it fits");
            let e = object.load_program(&backend, "pick").expect_err("outside of the table");
            assert!(e.is_rejected(), "{backend:?}: {e}");
        }
        let mut object = object();
        let loaded = object.load_program(&backend, "guarded").expect("what is wrong is dead code");
        assert_eq!(run(&loaded, "guarded"), 7);
        object.set_variable("broken", true).expect("it fits");
        let e = object.load_program(&backend, "guarded").expect_err("it is alive now");
        assert!(e.is_rejected(), "{backend:?}: {e}");
    }
}

#[test]
fn variables_are_read_and_written_while_programs_run() {
    if is_big_endian() {
        return;
    }
    for backend in backends() {
        let mut object = object();
        for (path, value) in [
            ("config.limits[1].rate", "1000"),
            ("config.low", "7"),
            ("config.inner", "100"),
            ("config.mode", "MODE_DROP"),
            ("config.high", "-2048"),
            ("config.name", "a name"),
            ("sum", "5"),
            (".data.own:calls", "40"),
        ] {
            object.set_variable_text(path, value).unwrap_or_else(|e| panic!("{path}: {e}"));
        }
        let loaded = object.load(&backend).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(run(&loaded, "tally"), -2048i32 as u32);
        assert_eq!(loaded.get_variable::<u64>("count").unwrap(), 1, "{backend:?}");
        assert_eq!(loaded.get_variable::<u64>("sum").unwrap(), 5 + 1000 + 7 + 100);
        assert_eq!(loaded.get_variable::<String>("last_mode").unwrap(), "MODE_DROP");
        assert_eq!(loaded.get_variable::<u32>("calls").unwrap(), 41);
        assert_eq!(loaded.get_variable::<u32>("hidden").unwrap(), 2);
        assert_eq!(loaded.get_variable::<String>("config.name").unwrap(), "a name");
        assert_eq!(loaded.get_variable::<Vec<u32>>("table").unwrap(), [10, 11, 12, 13]);
        assert!(matches!(loaded.get_variable::<Tree>("config").unwrap(), Tree::Struct(_)));

        loaded.set_variable("count", 1u64 << 40).unwrap();
        loaded.set_variable("table[2]", 99).unwrap();
        loaded.set_variable("hidden", 8).unwrap();
        loaded.set_variable("calls", 7).unwrap();
        run(&loaded, "tally");
        assert_eq!(loaded.get_variable::<u64>("count").unwrap(), (1 << 40) + 1);
        assert_eq!(loaded.get_variable::<Vec<u32>>("table").unwrap(), [10, 11, 99, 13]);
        assert_eq!(loaded.get_variable::<u32>("hidden").unwrap(), 10);
        assert_eq!(loaded.get_variable::<u32>("calls").unwrap(), 8);
        loaded.set_variable("table", [1, 2]).unwrap();
        assert_eq!(loaded.get_variable::<Vec<u32>>("table").unwrap(), [1, 2, 0, 0]);
        words(
            loaded.set_variable("which", 1),
            ErrorKind::Usage,
            "variable `which` (const volatile __u32, .rodata): it is constant once it is loaded: set it before",
        );
    }
}

/// A write of one variable leaves what a program counts beside it.
#[test]
fn a_write_loses_no_counts() {
    if is_big_endian() {
        return;
    }
    for backend in backends() {
        let loaded = Arc::new(object().load_program(&backend, "tally").unwrap_or_else(|e| panic!("{e}")));
        let other = Arc::clone(&loaded);
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let runner = std::thread::spawn(move || {
            let program = other.program("tally").expect("it is loaded");
            let mut runs = 0;
            while !theirs.load(Relaxed) {
                let input = RunInput { data: &[0; 64], repeat: 1000, ..RunInput::default() };
                program.test_run(input).unwrap_or_else(|e| panic!("{e}"));
                runs += 1000;
            }
            runs
        });
        for i in 0..10_000 {
            loaded.set_variable("sum", i).expect("it fits");
        }
        stop.store(true, Relaxed);
        let runs: u64 = runner.join().expect("no panic");
        assert_eq!(loaded.get_variable::<u64>("count").unwrap(), runs, "{backend:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let mut object = Object::inspect(OBJECT, &std::fs::read(OBJECT).expect("committed")).expect("an object");
    let mut refuse = |path, value: Input, kind, text| words(object.set_variable(path, value), kind, text);
    use ErrorKind::{NotFound, Usage};
    refuse(
        "which",
        Input::Int(1 << 32),
        Usage,
        "variable `which` (const volatile __u32, .rodata): 4294967296 does not fit into `const volatile __u32`: \
         0 to 4294967295",
    );
    refuse(
        "broken",
        Input::Int(2),
        Usage,
        "variable `broken` (const volatile _Bool, .rodata): 2 does not fit into `const volatile _Bool`: true or false",
    );
    refuse(
        "config.mode",
        "MODE".into(),
        Usage,
        "variable `config.mode` (enum mode, .rodata): \"MODE\" does not fit into `enum mode`: MODE_OFF, MODE_COUNT, \
         MODE_DROP or a number from 0 to 4294967295",
    );
    refuse(
        "table",
        vec![1, 2, 3, 4, 5].into(),
        Usage,
        "variable `table` (__u32[4], .data): {…} of 5 does not fit into `__u32[4]`: {…} with at most 4 of `__u32`",
    );
    refuse(
        "table[4]",
        Input::Int(1),
        NotFound,
        "variable `table` (__u32[4], .data): `__u32[4]` has no element 4: there are 0 to 3",
    );
    refuse(
        "config.limits[0].rats",
        Input::Int(1),
        NotFound,
        "variable `config` (const volatile struct config, .rodata): `.limits[0]`: `struct limits` has no member \
         `rats`; it has rate, burst, strict",
    );
    refuse(
        "wich",
        Input::Int(1),
        NotFound,
        "`OBJECT` has no variable `wich`; it has which, broken, config, least, table, calls, \
         count, sum, last_mode, hidden",
    );
    refuse(
        ".bss:which",
        Input::Int(1),
        NotFound,
        "`OBJECT` has no variable `.bss:which`; it has which, broken, config, least, table, calls, \
         count, sum, last_mode, hidden",
    );
}

#[test]
fn variables_are_described() {
    let object = Object::inspect(OBJECT, &std::fs::read(OBJECT).expect("committed")).expect("an object");
    let v = object.variable("config.limits[1].strict").expect("it is there");
    assert_eq!((v.section(), &*v.type_name(), v.size()), (".rodata", "_Bool", 1));
    assert!(v.is_constant() && !v.is_static());
    let v = object.variable("calls").expect("it is there");
    assert_eq!((v.section(), &*v.type_name(), v.size()), (".data.own", "volatile __u32", 4));
    assert!(!v.is_constant() && v.is_static());
    assert_eq!(v.fits(), "0 to 4294967295");
    if !is_big_endian() {
        assert_eq!(object.get_variable::<i64>("least").unwrap(), -5);
        assert_eq!(object.get_variable::<u64>("count").unwrap(), 0);
        assert_eq!(object.variable_bytes("table[1]").unwrap(), [11, 0, 0, 0]);
        assert!(object.get_variable::<u8>("least").is_err());
        assert!(object.get_variable::<bool>("least").is_err());
    }
}

/// Parts of values, against a copy of all of them: what is written is there, what is not is as it was, and what lies
/// outside is refused.
#[test]
fn parts_of_values_are_written() {
    use skep::abi::{MapFlags, MapType};
    use skep::spec::{Errno, MapDef};
    const SIZE: usize = 5003;
    const ENTRIES: u32 = 7;
    for backend in backends() {
        for flags in [0, MapFlags::MMAPABLE] {
            let mut def = MapDef::new(MapType::ARRAY, 4, SIZE as u32, ENTRIES).named("parts");
            def.flags = MapFlags(flags);
            let map = backend.create_map(def).expect("an array");
            let inner = map.backend_map();
            let mut model = vec![vec![0u8; SIZE]; ENTRIES as usize];
            let mut seed = 1u64;
            let mut random = |below: usize| {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (seed >> 33) as usize % below
            };
            for _ in 0..400 {
                let (index, off) = (random(ENTRIES as usize), random(SIZE + 1));
                let len = [1, 2, 4, 8, 3, 17, 0, 4999][random(8)];
                let bytes: Vec<u8> = (0..len).map(|_| random(256) as u8).collect();
                let done = inner.write_value(&(index as u32).to_ne_bytes(), off, &bytes);
                if off + len <= SIZE {
                    done.unwrap_or_else(|e| panic!("{backend:?}: {off}+{len}: {e}"));
                    model[index][off..off + len].copy_from_slice(&bytes);
                } else {
                    assert_eq!(done.expect_err("outside").errno, Errno::EINVAL, "{backend:?}: {off}+{len}");
                }
            }
            for (index, want) in (0u32..).zip(&model) {
                assert!(
                    map.lookup(&index.to_ne_bytes()).unwrap().as_ref() == Some(want),
                    "{backend:?} {index}"
                );
            }
            let errno = |key: &[u8], off, bytes: &[u8]| inner.write_value(key, off, bytes).unwrap_err().errno;
            assert_eq!(errno(&ENTRIES.to_ne_bytes(), 0, &[1]), Errno::E2BIG, "{backend:?}");
            assert_eq!(errno(&[0; 3], 0, &[1]), Errno::EINVAL, "{backend:?}");
            assert_eq!(errno(&[0; 4], usize::MAX, &[1, 2]), Errno::EINVAL, "{backend:?}");
            inner.freeze().expect("nothing is mapped any more");
            assert_eq!(errno(&[0; 4], 0, &[1]), Errno::EPERM, "{backend:?}");
        }
        let hash = backend.create_map(MapDef::new(MapType::HASH, 4, 8, 4)).expect("a hash");
        hash.put(&1u32, &2u64).expect("room");
        let e = hash.backend_map().write_value(&1u32.to_ne_bytes(), 0, &[1]).unwrap_err();
        assert_eq!(e.errno, Errno::ENOTSUPP, "{backend:?}");
    }
}
