//! Reads a `.thrift` file and everything it includes.
//!
//! In: a file's name and a source of files. Out: the parsed files, the operator's first, with their includes
//! resolved. A file that is included twice is read once. A cycle of includes is a problem.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::file::ParsedFile;
use super::parse;
use super::problems::IdlProblems;
use super::read::{FileSource, FoundFile, base_name, normal};
use super::syntax::{NESTING_MAX, Name};
use crate::diagnostic::SourceFile;
use crate::error::Code;

/// The most files of one IDL.
const FILES_MAX: usize = 1024;

/// The most bytes of text in all of them together.
const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads `name` and its includes. Files that cannot be read or parsed are reported.
pub(crate) fn load(
    name: &str,
    read: &dyn FileSource,
    problems: &mut IdlProblems,
) -> Vec<ParsedFile> {
    let mut loader = Loader {
        read,
        problems,
        files: Vec::new(),
        by_id: HashMap::new(),
        by_path: HashMap::new(),
        by_client_path: HashMap::new(),
        bytes_left: TEXT_BYTES_MAX,
        full: false,
    };
    match read.read(None, name) {
        Ok(found) => {
            let path = base_name(name).to_owned();
            loader.add(found, path, 0);
        }
        Err(miss) => loader.problems.no_file(name, &miss),
    }
    let mut at = 0;
    while at < loader.files.len() {
        loader.includes(at);
        at += 1;
    }
    let files = loader.files;
    report_cycles(&files, problems);
    files
}

struct Loader<'r> {
    read: &'r dyn FileSource,
    problems: &'r mut IdlProblems,
    files: Vec<ParsedFile>,
    by_id: HashMap<String, usize>,
    /// Files by folder of the including file and path written there, so that each is read once.
    by_path: HashMap<(String, Arc<str>), usize>,
    /// Files by the paths under which clients get them: see [`ParsedFile::paths`].
    by_client_path: HashMap<String, usize>,
    bytes_left: usize,
    /// A limit was exceeded and reported: no more files are read.
    full: bool,
}

impl Loader<'_> {
    /// Finds the includes of the file at `at` and appends those that are new.
    fn includes(&mut self, at: usize) {
        let from = self.files[at].source.clone();
        let folder = from.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut seen = HashSet::new();
        for include in std::mem::take(&mut self.files[at].document.includes) {
            let key = (folder.to_owned(), Arc::clone(&include.text));
            let known = self.by_path.get(&key).copied();
            let Some(index) = known.or_else(|| self.include(at, &from, &include)) else {
                continue;
            };
            self.by_path.insert(key, index);
            if seen.insert(index) {
                let stem = Arc::clone(&self.files[index].stem);
                self.files[at].includes.push((stem, include.span, index));
            }
        }
    }

    /// The file that `include` refers to in `from`, the file at `at`. It is read unless it is known under another path.
    fn include(&mut self, at: usize, from: &SourceFile, include: &Name) -> Option<usize> {
        let path = &include.text;
        if self.full {
            return None;
        }
        let (code, (message, help)) = match self.read.read(Some(&from.path), path) {
            Ok(found) => match self.by_id.get(&found.id) {
                Some(&index) => {
                    let path = normal(&self.files[at].paths[0], path);
                    if self.namesake(&path).is_none() {
                        self.by_client_path.insert(path.clone(), index);
                        self.files[index].paths.push(path);
                    }
                    return Some(index);
                }
                // Paths grow with each folder on the way. Without a limit, a file that includes itself through a folder
                // would cost the square of the number of includes.
                None if self.files[at].depth >= NESTING_MAX => (
                    Code::IdlInvalid,
                    (
                        format!("`{path}` is included through more than {NESTING_MAX} files"),
                        "include it closer to the first file".into(),
                    ),
                ),
                None if self.files.len() < FILES_MAX && found.text.len() <= self.bytes_left => {
                    let path = normal(&self.files[at].paths[0], path);
                    match self.namesake(&path) {
                        None => return Some(self.add(found, path, self.files[at].depth + 1)),
                        Some(other) => (Code::IdlInvalid, two_files(&path, &found, other)),
                    }
                }
                None => {
                    self.full = true;
                    (
                        Code::IdlInvalid,
                        (
                            format!(
                                "the included file `{path}` exceeds the limit of {FILES_MAX} files or 64 MiB in total"
                            ),
                            "include only what is needed".into(),
                        ),
                    )
                }
            },
            Err(miss) => (Code::ConfigFile, miss.words(path)),
        };
        self.problems
            .problem(from, include.span, code, || (message, help));
        None
    }

    /// A file that clients get under `path`. A file of the include path counts as beside the including file, where there
    /// may be another one for the files of the include path.
    fn namesake(&self, path: &str) -> Option<&ParsedFile> {
        self.by_client_path.get(path).map(|&at| &self.files[at])
    }

    fn add(&mut self, found: FoundFile, path: String, depth: usize) -> usize {
        self.bytes_left = self.bytes_left.saturating_sub(found.text.len());
        self.by_id.insert(found.id.clone(), self.files.len());
        self.by_client_path.insert(path.clone(), self.files.len());
        let file = file(found, path, self.problems);
        self.files.push(ParsedFile { depth, ..file });
        self.files.len() - 1
    }
}

/// Message and remedy for a second file that clients would get under the path of the first.
fn two_files(path: &str, found: &FoundFile, other: &ParsedFile) -> (String, String) {
    let message = format!(
        "`{path}` is `{}` here and `{}` elsewhere: clients that ask the server for its IDL could not tell them apart",
        found.shown, other.source.path
    );
    (message, "rename one of them".into())
}

/// Parses one file. Definitions that do not parse are reported and omitted.
fn file(found: FoundFile, path: String, problems: &mut IdlProblems) -> ParsedFile {
    let name = base_name(&found.shown).to_owned();
    let stem = name.strip_suffix(".thrift").unwrap_or(&name).into();
    let source = SourceFile {
        path: found.shown.into(),
        text: found.text.into(),
    };
    let (document, errors) = parse::parse(&source.text);
    for error in errors {
        problems.problem(&source, error.span, Code::IdlSyntax, || {
            (error.message, error.help)
        });
    }
    ParsedFile {
        source,
        name,
        paths: vec![path],
        stem,
        document,
        includes: Vec::new(),
        depth: 0,
    }
}

/// Walks the includes depth first, without recursion, and reports each that closes a cycle.
fn report_cycles(files: &[ParsedFile], problems: &mut IdlProblems) {
    let mut done = vec![false; files.len()];
    // The files from the operator's file to here, each with its next include to follow.
    let mut way: Vec<(usize, usize)> = if files.is_empty() {
        vec![]
    } else {
        vec![(0, 0)]
    };
    // The position of each file in `way`.
    let mut place: Vec<Option<usize>> = vec![None; files.len()];
    if let Some(first) = place.first_mut() {
        *first = Some(0);
    }
    while let Some((at, next)) = way.last_mut() {
        let at = *at;
        let Some((_, span, target)) = files[at].includes.get(*next) else {
            done[at] = true;
            place[at] = None;
            way.pop();
            continue;
        };
        *next += 1;
        if let Some(start) = place[*target] {
            problems.problem(&files[at].source, *span, Code::IdlInvalid, || {
                let names = way[start..].iter().map(|&(on, _)| &*files[on].name);
                let names: Vec<&str> = names.chain([&*files[*target].name]).collect();
                (
                    format!("includes form a cycle: {}", names.join(" -> ")),
                    "move the shared definitions into a third file".into(),
                )
            });
        } else if !done[*target] {
            place[*target] = Some(way.len());
            way.push((*target, 0));
        }
    }
}
