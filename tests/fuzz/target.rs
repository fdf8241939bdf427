//! Runs the fuzz target with the name of this binary.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tributary::fuzzing::run(env!("CARGO_BIN_NAME"), bytes));
