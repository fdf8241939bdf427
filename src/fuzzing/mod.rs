//! Lists the fuzz targets.
//!
//! A target takes any bytes and panics with the name of the promise that they broke. `tests/fuzz` runs the targets on
//! libFuzzer's inputs; the unit tests here run them on the stored corpus and on mutations of it. Each target's
//! function is next to the code it tests. Compiled only for tests and fuzzing.

mod input;
mod zoo;

#[cfg(test)]
mod tests;

pub(crate) use input::{FuzzInput, agree, hold};
pub(crate) use zoo::{hold_type, same, zoo, zoo_struct};

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is also the name of its folder in the corpus.
    pub name: &'static str,
    /// Runs it on one input.
    pub run: fn(&[u8]),
    /// How many bytes may be allocated at a time: a fixed number, and a number per byte of input.
    pub allocated_max: (usize, usize),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("framing", crate::thrift::fuzz::framing, (64 << 10, 64)),
    target("header", crate::thrift::fuzz::header, (128 << 10, 64)),
    target("binary", crate::thrift::fuzz::binary, (2 << 20, 512)),
    target("compact", crate::thrift::fuzz::compact, (2 << 20, 512)),
    target("reply", crate::thrift::fuzz::reply, (2 << 20, 512)),
    target("call", crate::service::fuzz::call, (2 << 20, 512)),
    // Constants may have up to a million values in total.
    target("idl", crate::idl::fuzz::idl, (64 << 20, 2048)),
    target("config", crate::program::fuzz::config, (64 << 10, 2048)),
    target(
        "redis",
        crate::backend::redis::fuzz::redis,
        (64 << 10, 2048),
    ),
    target("asked", crate::backend::fuzz::asked, (64 << 10, 2048)),
    target("stored", crate::backend::fuzz::stored, (64 << 10, 2048)),
    target("json", crate::value::fuzz::json, (64 << 10, 2048)),
];

const fn target(name: &'static str, run: fn(&[u8]), allocated_max: (usize, usize)) -> Target {
    Target {
        name,
        run,
        allocated_max,
    }
}

/// Runs the target called `name` on `bytes`.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("the target is in the table").run)(bytes);
}
