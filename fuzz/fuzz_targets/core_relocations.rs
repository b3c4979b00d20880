//! `skep_testkit::fuzz::core_relocations` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_testkit::fuzz::core_relocations(data));
