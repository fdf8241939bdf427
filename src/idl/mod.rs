//! `.thrift` files to a [`Schema`]: the types and methods that everything else is driven by.
//!
//! In: the path of the operator's IDL. Out: one resolved schema (includes loaded, names looked up,
//! constants evaluated), or every problem found, each with file, line and remedy. Nothing here knows of
//! bytes on a wire or of backends.

mod schema;
mod syntax; // what a file says
mod literal; // numbers, strings, doc comments
mod lexer; // text -> tokens
mod parse; // tokens -> syntax
mod read; // where files are
mod file; // one parsed file
mod load; // a file and its includes
mod problems; // what is wrong, collected
mod resolve; // syntax -> schema
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::LazyLock;

use crate::diagnostic::Problem;
use problems::Problems;
use read::{Disk, FileSource, Memory};

pub use schema::{
    EnumType, Field, Method, Requiredness, Schema, Service, SourceFile, Standard, StructId,
    StructKind, StructType, Type,
};

/// Reads the IDL at `path` with its includes, which are found relative to the file they stand in.
///
/// The standard include `tributary.thrift` comes from the program itself where no such file is found.
pub fn load(path: &Path) -> Result<Schema, Vec<Problem>> {
    load_with(&path.display().to_string(), &Disk)
}

/// As [`load()`], from memory: `read` gives the text of the file with a name, for example of an IDL that a
/// server sent. An included path that `read` does not know is tried without its folders.
pub fn load_from(
    name: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<Schema, Vec<Problem>> {
    load_with(name, &Memory { read })
}

/// The standard include by itself, as the program carries it.
pub fn standard() -> &'static Schema {
    static STANDARD: LazyLock<Schema> = LazyLock::new(|| {
        let (name, text) = read::STANDARD;
        let loaded = load_from(name, &|_| Some(text.to_owned()));
        loaded.expect("the program's own copy was tried by its tests")
    });
    &STANDARD
}

fn load_with(name: &str, read: &dyn FileSource) -> Result<Schema, Vec<Problem>> {
    let mut report = Problems::default();
    let files = load::load(name, read, &mut report);
    if !report.is_empty() {
        // What did not parse is missing everywhere it is used: looking names up now would mislead.
        return Err(report.into_problems());
    }
    resolve::resolve(&files, report)
}
