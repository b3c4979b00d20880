//! Skeletons of every object of the repository compile without a warning, and say what the object says.

#![deny(warnings)]

use skep::spec::RunInput;
use skep::{Backend, Error, Value};

include!(concat!(env!("OUT_DIR"), "/all.rs"));

/// The skeleton of `crates/object/tests/fixtures/variables.bpf.o`.
mod variables {
    include!(concat!(env!("OUT_DIR"), "/variables.rs"));
}

/// The skeleton of `crates/object/tests/fixtures/kinds.bpf.o`.
mod kinds {
    include!(concat!(env!("OUT_DIR"), "/kinds.rs"));
}

fn backends() -> Vec<Backend> {
    let mut backends = vec![Backend::user()];
    match Backend::linux() {
        Ok(linux) => backends.push(linux),
        Err(e) => println!("skipped: {e}"),
    }
    backends
}

#[test]
fn numbers_unions_keywords_and_bit_fields() -> Result<(), Error> {
    use kinds::kinds::{Kinds, types};
    if cfg!(target_endian = "big") {
        println!("skipped: the object is for little-endian machines");
        return Ok(());
    }
    for backend in backends() {
        let target = skep::Target::default().with_config("CONFIG_SKEP_NUMBER=-5\nCONFIG_OTHER=y\n")?;
        let mut open = Kinds::open_for(&target)?;
        assert_eq!(open.kconfig().CONFIG_SKEP_NUMBER()?, -5);
        open.kconfig().set_CONFIG_SKEP_IS_NOT_THERE(true)?;
        assert!(open.kconfig().CONFIG_SKEP_IS_NOT_THERE()?);
        open.kconfig().set_CONFIG_SKEP_IS_NOT_THERE(false)?;
        let mut all = types::Kinds::default();
        assert_eq!(types::Kinds::from_bytes(&all.to_bytes()), Some(all));
        all.scalars = types::ScalarsT {
            yes: true,
            byte: 255,
            sbyte: -128,
            s16: i16::MIN,
            u16: u16::MAX,
            s32: i32::MIN,
            u32: u32::MAX,
            s64: 0,
            u64: u64::MAX,
            s128: i128::MIN + 1,
            u128: u128::MAX - 1,
            f32: -1.5,
            f64: 1e300,
            pointer: 0x1234,
            function: 0x5678,
            qualified: -9,
        };
        (all.small, all.large, all.below) =
            (types::Small::SMALL_NO, types::Large::LARGE_TOP, types::Below::BELOW_ALL);
        all.flags = types::Flags(types::Flags::FLAG_A.0 | types::Flags::FLAG_B.0);
        (all.text, all.bytes) = (skep::skeleton::text("skeletons").unwrap_or(*b"eight by"), [1, 2, 3]);
        all.points[0][1] = types::Point { x: -1, y: 2 };
        all.word.set_point(types::Point { x: 0x0201, y: 0x0403 });
        assert_eq!((all.word.number(), all.word.octets()), (0x0403_0201, [1, 2, 3, 4]));
        all.word.set_low(15);
        all.word.set_high(-1);
        assert_eq!((all.word.low(), all.word.high(), all.word.number()), (15, -1, u32::MAX));
        assert_eq!(all.word.choice(), types::Small::SMALL_NO);
        all.words[1].set_choice(types::Small::SMALL_YES);
        all.keywords.r#type = 10;
        all.keywords.r#match = 20;
        (all.keywords.self_, all.keywords.Self_, all.keywords.super_, all.keywords.crate_) = (1, 2, 3, 4);
        (all.keywords.r#async, all.keywords.r#dyn, all.keywords.r, all.keywords.b, all.keywords.at) =
            (5, 6, 7, 8, 9);
        (all.bit, all.wide, all.sint) = (true, (1 << 40) - 2, -16);
        (all.few, all.mask) = (types::Small::SMALL_YES, types::Flags(15));
        assert_eq!(types::Kinds::from_bytes(&all.to_bytes()), Some(all));
        assert_eq!(open.rodata().matrix()?[1][0].x, 5);
        open.rodata().set_matrix([[types::Point { x: 40, y: 41 }; 2]; 2])?;
        open.bss().set_kinds(all)?;
        open.bss().set_type(3)?;
        assert_eq!(open.bss().r#type()?, 3);

        let kinds = open.load(&backend)?;
        kinds.bss().set_match(0x0a0b_0c0d)?;
        kinds.bss().set_fn(77)?;
        let mut tagged = kinds.maps.tagged.reader()?;
        let mut told = kinds.maps.told.reader()?;
        let mut bare = kinds.maps.bare.ring_buffer()?;
        let input = RunInput { data: &[0; 64], ..RunInput::default() };
        assert_eq!(kinds.progs.fill.test_run(input)?.retval, 40);
        let (mut events, mut others, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        tagged.poll(|e| events.push(e))?;
        told.poll(|o: types::Other| others.push(o))?;
        bare.poll(|b| bytes.extend_from_slice(b))?;
        let mut what = types::Word::default();
        what.set_number(0x0a0b_0c0d);
        assert_eq!(events, [types::Event { at: 3, what, name: *b"hey\0" }]);
        assert_eq!(others, [types::Other { number: 77 }]);
        assert_eq!(bytes, 9u32.to_ne_bytes());

        let now = kinds.bss().kinds()?;
        all.scalars.s64 -= 1;
        all.points[1][2].y += 5;
        (all.few, all.mask, all.wide) = (types::Small::SMALL_NO, types::Flags(5), (1 << 40) - 1);
        all.keywords.self_ = 30;
        assert_eq!(now, all, "{}", backend.name());
        assert_eq!((kinds.bss().version()?, kinds.kconfig().CONFIG_SKEP_NUMBER()?), (-5, -5));
        assert!(!kinds.kconfig().CONFIG_SKEP_IS_NOT_THERE()?);

        let event = types::Event { at: 1, what, name: [7; 4] };
        kinds.maps.r#impl.put(&what, &event)?;
        assert_eq!(kinds.maps.r#impl.entries()?, [(what, event)]);
    }
    Ok(())
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
    for backend in backends() {
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
