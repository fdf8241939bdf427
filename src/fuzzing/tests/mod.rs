//! Runs every target on its stored corpus and on mutations of it, always the same ones.
//!
//! Besides the promises of the targets, the memory that an input may allocate is bounded, both at a time and in total.
//! A loop without end would exceed the total.

mod mutate;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::{TARGETS, Target};
use mutate::Mutator;

/// How many times the limit on memory at a time may be allocated in total.
const TURNOVER: u64 = 16;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn names_in(path: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(path).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect()
}

/// The stored inputs of a target, always in the same order.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = folder().join("corpus").join(target.name);
    let names = names_in(&folder).into_iter();
    names
        .map(|name| fs::read(folder.join(name)).expect("a file"))
        .collect()
}

/// Runs one input, and names it if it breaks a promise.
#[track_caller]
fn attempt(target: &Target, input: &[u8]) {
    let mut done = Ok(());
    let cost = allocation_counter::measure(|| {
        done = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    });
    let (base, each) = target.allocated_max;
    let most = (base + each * input.len()) as u64;
    let within = cost.bytes_max <= most && cost.bytes_total <= most * TURNOVER;
    if done.is_err() || !within {
        let hex = input.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            hex
        });
        panic!(
            "{}: {} bytes at a time and {} in total, limit {most}, for the input {hex}",
            target.name, cost.bytes_max, cost.bytes_total
        );
    }
}

#[track_caller]
fn bounded(name: &str, mutations: usize) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.expect("a target");
    let corpus = corpus(target);
    // Allocations made once do not count.
    (target.run)(&corpus[0]);
    for input in &corpus {
        attempt(target, input);
    }
    let mut mutator = Mutator::new(&corpus, 1);
    for _ in 0..mutations {
        attempt(target, &mutator.next());
    }
}

macro_rules! bounded {
    ($($name:ident: $mutations:expr,)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            bounded(stringify!($name), $mutations);
        })*
    };
}

// The number of mutations of each; parsing a whole text takes a hundred times as long as reading a message.
bounded! {
    framing: 2_000,
    header: 2_000,
    binary: 2_000,
    compact: 2_000,
    reply: 2_000,
    call: 2_000,
    idl: 500,
    config: 200,
    redis: 2_000,
    asked: 2_000,
    stored: 2_000,
    json: 2_000,
}

#[test]
fn every_target_is_fuzzed_tested_and_has_a_corpus() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.into()).collect();
    let tested: BTreeSet<String> = TESTED.iter().map(|name| (*name).into()).collect();
    assert_eq!(tested, names);
    assert_eq!(names_in(&folder().join("corpus")), names);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("readable");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let bins = manifest["bin"].as_array().expect("targets").iter();
    let bins: BTreeSet<String> = bins
        .map(|bin| bin["name"].as_str().expect("a name").into())
        .collect();
    assert_eq!(bins, names);
}
