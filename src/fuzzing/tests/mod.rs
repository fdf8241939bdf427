//! A bounded run of every target: the kept corpus and mutations of it, always the same.
//!
//! Beside the targets' own promises each input may cost only so much memory, at a time and in all: what an input makes
//! us do without end would be seen there.

mod mutate;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::{TARGETS, Target};
use mutate::Mutator;

/// What is allocated in all may be so many times what may be allocated at a time.
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

/// The kept inputs of a target, always in the same order.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = folder().join("corpus").join(target.name);
    let names = names_in(&folder).into_iter();
    names
        .map(|name| fs::read(folder.join(name)).expect("a file"))
        .collect()
}

/// Tries one input and says which it was if a promise is broken.
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
            write!(hex, "{byte:02x}").expect("a string takes all");
            hex
        });
        panic!(
            "{}: {} bytes at a time and {} in all, of {most}, for the input {hex}",
            target.name, cost.bytes_max, cost.bytes_total
        );
    }
}

#[track_caller]
fn bounded(name: &str, mutations: usize) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.expect("a target");
    let corpus = corpus(target);
    // What is made once is no input's cost.
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

// So many mutations of each; a text that is read whole takes a hundred times as long as a message.
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
