//! Everything that is tested from outside, in one binary: the library's doors and the program itself.
//!
//! A missing server or tool fails a test with the name of the package to install; nothing is skipped quietly.

mod scenarios; // plan, run and merge with scripted lookups and paused time; data in tests/scenarios
mod spans; // every lookup under its own call, whatever runs at the same time
