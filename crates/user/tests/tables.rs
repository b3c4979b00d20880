//! The table of virtual CPUs in a folder of pins, replaced and spoilt: programs of two tables never have one map, and who
//! waits for a CPU that nobody gives back waits no longer than he wants to.
#![cfg(target_os = "linux")]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_spec::{Backend, BackendMap, Errno, Error, LoadError, LoadOptions, MapDef, ProgramSpec};
use skep_user::{UserBackend, UserOptions, UserProgram};

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("skep-tables-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn backend(&self) -> UserBackend {
        let patience = Duration::from_millis(20);
        let options = UserOptions { cpus: Some(2), cpu_patience: patience, ..UserOptions::default() };
        UserBackend::in_folder(&self.0, options).expect("a folder of pins")
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("text").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn counts() -> MapDef {
    MapDef::new(MapType::PERCPU_ARRAY, 4, 8, 1).named("counts")
}

/// A program that looks at the map.
fn load(backend: &UserBackend, map: &Arc<dyn BackendMap>) -> Result<Arc<UserProgram>, LoadError> {
    let text = "
        *(u32*)(r10 - 4) = 0
        r2 = r10
        r2 += -4
        r1 = map[idx:0] ll
        call 1
        if r0 == 0 goto +1
        r0 = 7
        exit";
    let mut spec = ProgramSpec::new(ProgramType::RAW_TRACEPOINT, assemble(text).expect("a program"));
    spec.maps = vec![counts().into()];
    backend.load_program(&spec, &[Arc::clone(map)], LoadOptions::default())
}

fn refused<T>(result: Result<T, Error>) -> String {
    let e = result.err().expect("refused");
    assert_eq!(e.errno, Errno::EINVAL, "{e}");
    e.message
}

/// Whoever made a map goes on with the table that he has; others, who have a new one, do not get the map.
#[test]
fn a_table_that_was_made_anew_is_another() {
    let folder = Folder::new("anew");
    let first = folder.backend();
    let map = first.create_map(&counts()).expect("legal");
    first.pin_map(&*map, &folder.path("counts")).expect("a name");
    assert!(folder.backend().pinned_map(&folder.path("counts")).expect("sound").is_some());
    fs::remove_file(folder.path(".skep")).expect("it is there");
    let second = folder.backend();
    let words = "made with another table of virtual CPUs";
    for backend in [&second, &UserBackend::new()] {
        let message = refused(backend.pinned_map(&folder.path("counts")));
        assert!(message.contains(words), "{message}");
    }
    let program = load(&first, &map).expect("its own");
    assert_eq!(program.run(&mut [0; 96], None, None).ok(), Some(7));
    // By descriptor he gets it, and his programs do not, by whatever way.
    let fds = first.map_fds(&*map).expect("it may be handed on");
    let passed = second.map_of_fds(fds).expect("sound");
    let message = refused(load(&second, &passed).map_err(|e| e.error));
    assert!(message.contains("virtual CPUs of its own"), "{message}");
    let inner = Some(Box::new(counts()));
    let outer = MapDef { inner, ..MapDef::new(MapType::ARRAY_OF_MAPS, 4, 4, 1).named("outer") };
    let outer = second.create_map(&outer).expect("legal");
    let message = refused(outer.set_map(&[0; 4], &*passed));
    assert!(message.contains("virtual CPUs of its own"), "{message}");
    let fd = passed.raw_fd().expect("one").to_ne_bytes();
    assert_eq!(outer.update(&[0; 4], &fd, 0).map_err(|e| e.errno), Err(Errno::EBADF));
    let own = second.create_map(&counts()).expect("legal");
    outer.update(&[0; 4], &own.raw_fd().expect("one").to_ne_bytes(), 0).expect("its own");
    assert_eq!(outer.lookup(&[0; 4], 0).expect("it is there"), own.info().id.to_ne_bytes());
}

/// Somebody says that a process which lives has all CPUs.
#[test]
fn nobody_waits_for_ever_for_a_cpu() {
    let folder = Folder::new("taken");
    let backend = folder.backend();
    let map = backend.create_map(&counts()).expect("legal");
    let program = load(&backend, &map).expect("accepted");
    let run = || program.run(&mut [0; 96], None, None);
    assert_eq!(run().ok(), Some(7));
    let table = OpenOptions::new().write(true).open(folder.path(".skep")).expect("it is there");
    let say = |holder: u64| {
        (1..3).for_each(|cpu| table.write_all_at(&holder.to_ne_bytes(), 64 * cpu).expect("written"));
    };
    // The first process that came, which is this one, and another of its threads.
    say(1 << 32 | 0x7777);
    let start = Instant::now();
    let trap = run().expect_err("there is no CPU");
    assert!(trap.to_string().contains("all virtual CPUs are taken"), "{trap}");
    assert!(start.elapsed() >= Duration::from_millis(20));
    // One that never was is not waited for.
    say(99 << 32 | 1);
    assert_eq!(run().ok(), Some(7));
}

/// Whatever stands in the table: it is refused with the reason, or works.
#[test]
fn a_damaged_table_is_refused_or_works() {
    let folder = Folder::new("damaged");
    let map = {
        let backend = folder.backend();
        let map = backend.create_map(&counts()).expect("legal");
        backend.pin_map(&*map, &folder.path("counts")).expect("a name");
        map
    };
    let table = OpenOptions::new().read(true).write(true).open(folder.path(".skep")).expect("it is there");
    let whole = fs::read(folder.path(".skep")).expect("readable");
    let open = || {
        let patience = Duration::from_millis(1);
        let options = UserOptions { cpus: Some(2), cpu_patience: patience, ..UserOptions::default() };
        UserBackend::in_folder(&folder.0, options)
    };
    let (mut refused, mut work) = (0, 0);
    for off in (0..whole.len() as u64).step_by(4) {
        for word in [0u32, 1, 2, 3, 7, 64, 1 << 14, 1 << 31, u32::MAX] {
            table.write_all_at(&word.to_ne_bytes(), off).expect("written");
            match open() {
                Err(e) => {
                    refused += 1;
                    assert!(e.message.contains(".skep"), "{off}: {word:#x}: {e}");
                }
                Ok(backend) => {
                    work += 1;
                    let _ = backend.pinned_map(&folder.path("counts"));
                    let map = backend.create_map(&counts()).expect("legal");
                    let _ = load(&backend, &map).expect("accepted").run(&mut [0; 96], None, None);
                }
            }
            table.write_all_at(&whole, 0).expect("written");
        }
    }
    assert!(refused > 20 && work > 200, "{refused} refused, {work} worked");
    for len in [0, 1, 63, 64, 100, 128] {
        table.set_len(len).expect("cut");
        let opened = open();
        assert!(len == 0 || opened.is_err(), "{len}");
        table.set_len(0).expect("cut");
        table.write_all_at(&whole, 0).expect("written");
    }
    assert!(map.lookup(&[0; 4], 0).is_ok());
    assert!(open().expect("whole").pinned_map(&folder.path("counts")).expect("sound").is_some());
}
