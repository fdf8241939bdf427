//! Loads `.thrift` files into a [`Schema`]: the types and methods that drive everything else.
//!
//! In: the path of the operator's IDL. Out: one schema with includes loaded, names resolved and constants evaluated,
//! or all problems, each with file, line and remedy. Knows no wire formats or backends.

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

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::diagnostic::Problem;
use crate::stamp::FilesRead;
use problems::IdlProblems;
use read::{Disk, FileSource, Memory};

pub(crate) use read::STANDARD;
pub use schema::{
    EnumType, Field, Method, Requiredness, Schema, Service, SourceFile, Standard, StructId,
    StructKind, StructType, Type,
};

/// Reads the IDL at `path` and its includes, whose paths are relative to the including file or, if there is no such file,
/// to the first of `folders` that has one.
///
/// If there is no file `tributary.thrift`, the program's own copy is used.
pub fn load(path: &Path, folders: &[PathBuf]) -> Result<Schema, Vec<Problem>> {
    load_noting(path, folders, &RefCell::default())
}

/// Like [`load()`], and adds the files that are read to `files`.
pub(crate) fn load_noting(
    path: &Path,
    folders: &[PathBuf],
    files: &RefCell<FilesRead>,
) -> Result<Schema, Vec<Problem>> {
    load_with(&path.display().to_string(), &Disk { folders, files })
}

/// Like [`load()`], from memory: `read` returns the text of the file with a name, for example of an IDL sent by a
/// server. If `read` does not know an included path, the path is tried without its folders.
pub fn load_from(
    name: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<Schema, Vec<Problem>> {
    load_with(name, &Memory { read })
}

/// The standard include alone, from the program's own copy.
pub fn standard() -> &'static Schema {
    static STANDARD: LazyLock<Schema> = LazyLock::new(|| {
        let (name, text) = read::STANDARD;
        let loaded = load_from(name, &|_| Some(text.to_owned()));
        loaded.expect("the program's own copy was tried by its tests")
    });
    &STANDARD
}

fn load_with(name: &str, read: &dyn FileSource) -> Result<Schema, Vec<Problem>> {
    let mut problems = IdlProblems::default();
    let files = load::load(name, read, &mut problems);
    if !problems.is_empty() {
        // Definitions that did not parse are missing: resolving names now would report misleading problems.
        return Err(problems.into_problems());
    }
    // The program's own copy is loaded here too.
    let (own, text) = read::STANDARD;
    let copied = files
        .iter()
        .any(|file| file.name == own && *file.source.text != *text);
    resolve::resolve(&files, problems, copied.then(standard))
}
