//! An object with a typed skeleton: its constants, variables, maps and programs are names of Rust.

#![deny(warnings)]

use skep::spec::RunInput;
use skep::{Backend, Error};

include!(concat!(env!("OUT_DIR"), "/globals.rs"));

fn main() -> Result<(), Error> {
    // Constants are set before loading, and checked by the compiler: `set_min_len(-1)` is no Rust.
    let mut open = globals::Globals::open()?;
    open.rodata().set_min_len(100)?;
    let globals = open.load(&Backend::user())?;

    for len in [60, 100, 1500] {
        globals.progs.account.test_run(RunInput { data: &vec![0; len + 14], ..RunInput::default() })?;
    }
    let last = globals.bss().last_packet()?;
    println!(
        "{} packets, {} bytes, the last of {}",
        globals.bss().packets()?,
        globals.bss().bytes()?,
        last.len
    );
    assert_eq!((globals.bss().packets()?, globals.bss().bytes()?), (2, 1600));
    assert_eq!((last.len, last.mark, globals.data().smallest()?), (1500, 8, 100));

    // Variables are set while programs run.
    globals.data_state().set_generation(40)?;
    globals.bss().set_last_packet(globals::types::Last { mark: 1, ..last })?;
    globals.progs.account.test_run(RunInput { data: &[0; 214], ..RunInput::default() })?;
    assert_eq!(globals.bss().last_packet()?.mark, 40);
    Ok(())
}
