//! `skep_testkit::fuzz::elf` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_testkit::fuzz::elf(data));
