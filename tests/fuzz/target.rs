//! One fuzz target: the one that is called as this binary is.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tributary::fuzzing::run(env!("CARGO_BIN_NAME"), bytes));
