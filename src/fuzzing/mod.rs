//! What the fuzz targets do with an input.
//!
//! In: any bytes. Out: nothing, or a panic that names the promise that was broken. `tests/fuzz` calls these bodies with
//! libFuzzer's inputs, the unit tests here with the kept corpus and with mutations of it. The bodies stand beside the
//! code that they try. Compiled for tests and for fuzzing only.

mod input;
mod zoo;

#[cfg(test)]
mod tests;

pub(crate) use input::{FuzzInput, agree, hold};
pub(crate) use zoo::{hold_type, same, zoo, zoo_struct};

/// One thing that is tried.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
    /// How many bytes may be allocated at a time for an input: so many, and so many for each of its own.
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
    // Constants may add up to a million values.
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

/// Tries `bytes` as an input of the target called `name`.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("the target is in the table").run)(bytes);
}
