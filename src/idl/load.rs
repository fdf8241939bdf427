//! Reads a `.thrift` file and everything it includes.
//!
//! In: a file and a way to read others. Out: the parsed files, the operator's first, each knowing which
//! file each of its includes is. A file included twice is read once; an include cycle is a problem.

use std::collections::HashMap;
use std::sync::Arc;

use super::parse;
use super::read::{Miss, Read};
use super::report::Report;
use super::syntax::{Program, Span};
use crate::config::Source;
use crate::error::Code;

/// How many files one IDL may consist of.
const FILES_MAX: usize = 1024;

/// One file, parsed.
pub(crate) struct File {
    /// Its path and text, for problems.
    pub(crate) source: Source,
    /// Its name without folders.
    pub(crate) name: String,
    /// Its name without `.thrift`: the prefix of its names.
    pub(crate) stem: Arc<str>,
    /// What it declares.
    pub(crate) program: Program,
    /// The prefix of each include, where its line stands, and which file it is.
    pub(crate) includes: Vec<(Arc<str>, Span, usize)>,
}

impl File {
    /// The line that `span` starts in, counted from 1.
    pub(crate) fn line(&self, span: Span) -> usize {
        let before = self
            .source
            .text
            .get(..span.range().start)
            .unwrap_or_default();
        before.bytes().filter(|&byte| byte == b'\n').count() + 1
    }
}

/// Reads `name` and its includes; what can't be read or parsed is in `report`.
pub(crate) fn load(name: &str, read: &dyn Read, report: &mut Report) -> Vec<File> {
    let mut files = Vec::new();
    let mut known = HashMap::new();
    match read.read(None, name) {
        Ok(found) => {
            known.insert(found.id, 0);
            files.push(file(found.shown, found.text, report));
        }
        Err(miss) => report.no_file(name, &miss),
    }
    let mut at = 0;
    while at < files.len() {
        for include in std::mem::take(&mut files[at].program.includes) {
            if let Some(target) = find(&files, at, (&include.text, include.span), read, report) {
                let index = match known.get(&target.id) {
                    Some(&index) => index,
                    None => {
                        known.insert(target.id, files.len());
                        files.push(file(target.shown, target.text, report));
                        files.len() - 1
                    }
                };
                let stem = Arc::clone(&files[index].stem);
                files[at].includes.push((stem, include.span, index));
            }
        }
        at += 1;
    }
    report_cycles(&files, report);
    files
}

fn find(
    files: &[File],
    at: usize,
    (path, span): (&str, Span),
    read: &dyn Read,
    report: &mut Report,
) -> Option<super::read::Found> {
    let from = &files[at].source;
    if files.len() >= FILES_MAX {
        report.problem(from, span, Code::IdlInvalid, || {
            (
                format!("more than {FILES_MAX} files"),
                "put them together into fewer".into(),
            )
        });
        return None;
    }
    match read.read(Some(&from.path), path) {
        Ok(found) => Some(found),
        Err(miss) => {
            report.problem(from, span, Code::ConfigFile, || match miss {
                Miss::Absent { tried } => (
                    format!("the included file `{path}` does not exist"),
                    format!("looked for `{tried}`: includes are found relative to the file they stand in"),
                ),
                Miss::Unreadable(why) => (
                    format!("the included file `{path}` can't be read: {why}"),
                    "let the server's user read it".into(),
                ),
            });
            None
        }
    }
}

/// Parses one file. What does not parse is reported and left out.
fn file(shown: String, text: String, report: &mut Report) -> File {
    let name = shown
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(&shown)
        .to_owned();
    let stem = name.strip_suffix(".thrift").unwrap_or(&name).into();
    let source = Source {
        path: shown.into(),
        text: text.into(),
    };
    let (program, faults) = parse::parse(&source.text);
    for fault in faults {
        report.problem(&source, fault.span, Code::IdlSyntax, || {
            (fault.message, fault.help)
        });
    }
    File {
        source,
        name,
        stem,
        program,
        includes: Vec::new(),
    }
}

/// Walks the includes depth first, without recursion, and reports each that leads back to where it came from.
fn report_cycles(files: &[File], report: &mut Report) {
    let mut done = vec![false; files.len()];
    // The files on the way from the operator's file to here, each with the include to follow next.
    let mut way: Vec<(usize, usize)> = if files.is_empty() {
        vec![]
    } else {
        vec![(0, 0)]
    };
    while let Some((at, next)) = way.last_mut() {
        let at = *at;
        let Some((_, span, target)) = files[at].includes.get(*next) else {
            done[at] = true;
            way.pop();
            continue;
        };
        *next += 1;
        if let Some(start) = way.iter().position(|(on, _)| on == target) {
            report.problem(&files[at].source, *span, Code::IdlInvalid, || {
                let names = way[start..].iter().map(|&(on, _)| &*files[on].name);
                let names: Vec<&str> = names.chain([&*files[*target].name]).collect();
                (
                    format!("includes form a cycle: {}", names.join(" -> ")),
                    "move what both files need into a third".into(),
                )
            });
        } else if !done[*target] {
            way.push((*target, 0));
        }
    }
}
