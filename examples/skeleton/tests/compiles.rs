//! Skeletons of every object of the repository compile without a warning, and say what the object says.

#![deny(warnings)]

use skep::spec::RunInput;
use skep::{Backend, Error, Value};

include!(concat!(env!("OUT_DIR"), "/all.rs"));

/// The skeleton of `crates/object/tests/fixtures/variables.bpf.o`.
mod variables {
    include!(concat!(env!("OUT_DIR"), "/variables.rs"));
}

#[test]
fn there_are_many() {
    assert!(COUNT > 20, "{COUNT}");
}

#[test]
fn values_of_every_kind() -> Result<(), Error> {
    use variables::variables::{Variables, types};
    if cfg!(target_endian = "big") {
        println!("skipped: the object is for little-endian machines");
        return Ok(());
    }
    let mut backends = vec![Backend::user()];
    match Backend::linux() {
        Ok(linux) => backends.push(linux),
        Err(e) => println!("skipped: {e}"),
    }
    for backend in backends {
        let mut open = Variables::open()?;
        let mut config = open.rodata().config()?;
        assert_eq!(&config.name[..8], b"default\0");
        assert_eq!(config.mode, types::Mode::MODE_COUNT);
        assert_eq!(config.limits[0], types::Limits { rate: 10, burst: -1, strict: true });
        config.limits[1].rate = 1000;
        (config.low, config.high, config.inner) = (7, -2048, 100);
        config.mode = types::Mode::MODE_DROP;
        assert_eq!(types::Config::from_bytes(&config.to_bytes()), Some(config));
        open.rodata().set_config(config)?;
        open.data_own().set_calls(40)?;
        open.rodata().set_which(3)?;
        open.data().set_table([1, 2, 3, 4])?;

        let loaded = open.load(&backend)?;
        let input = RunInput { data: &[0; 64], ..RunInput::default() };
        assert_eq!(loaded.progs.tally.test_run(input)?.retval, -2048i32 as u32);
        assert_eq!(loaded.progs.pick.test_run(input)?.retval, 4);
        assert_eq!((loaded.bss().count()?, loaded.bss().sum()?), (1, 1107));
        assert_eq!(loaded.bss().last_mode()?, types::Mode::MODE_DROP);
        assert_eq!((loaded.data_own().calls()?, loaded.bss().hidden()?), (41, 2));
        assert_eq!(loaded.rodata().config()?, config);
        loaded.data().set_table([9, 8, 7, 6])?;
        assert_eq!(loaded.progs.pick.test_run(input)?.retval, 6);
        loaded.bss().set_last_mode(types::Mode(77))?;
        assert_eq!(loaded.bss().last_mode()?.0, 77);
    }
    Ok(())
}
