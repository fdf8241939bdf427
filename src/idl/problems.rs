//! Collects the problems of an IDL.
//!
//! In: problems in any order. Out: at most [`PROBLEMS_MAX`] of them, sorted by file and position. A remedy is computed
//! only for a problem that is kept, so that a file full of mistakes costs little.

use super::file::ParsedFile;
use super::read::ReadError;
use super::syntax::Span;
use crate::diagnostic::{Problem, SourceFile};
use crate::error::Code;

/// More problems are not worth reading in one run; the rest appear when these are fixed.
const PROBLEMS_MAX: usize = 100;

/// The problems found so far.
#[derive(Default)]
pub(crate) struct IdlProblems {
    problems: Vec<Problem>,
    /// What Apache's compiler accepts and is probably a mistake.
    warnings: Vec<Problem>,
}

impl IdlProblems {
    /// Adds a problem; `words` returns message and remedy.
    pub(crate) fn problem(
        &mut self,
        source: &SourceFile,
        span: Span,
        code: Code,
        words: impl FnOnce() -> (String, String),
    ) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem(source, span, code, words()));
        }
    }

    /// Adds a problem of an IDL that parses but is invalid.
    pub(crate) fn invalid(
        &mut self,
        file: &ParsedFile,
        span: Span,
        words: impl FnOnce() -> (String, String),
    ) {
        self.problem(&file.source, span, Code::IdlInvalid, words);
    }

    /// Warns of something in an IDL that is valid.
    pub(crate) fn warning(
        &mut self,
        file: &ParsedFile,
        span: Span,
        words: impl FnOnce() -> (String, String),
    ) {
        if self.warnings.len() < PROBLEMS_MAX {
            let warning = problem(&file.source, span, Code::IdlInvalid, words());
            self.warnings.push(warning);
        }
    }

    /// Adds the problem that the operator's file was not read.
    pub(crate) fn no_file(&mut self, name: &str, miss: &ReadError) {
        let (message, help) = match miss {
            ReadError::Absent { .. } => (
                format!("the IDL `{name}` does not exist"),
                "give the path of a `.thrift` file",
            ),
            ReadError::Unreadable(why) => (
                format!("cannot read the IDL `{name}`: {why}"),
                "give the path of a `.thrift` file that the server's user can read",
            ),
        };
        self.problems.push(Problem {
            code: Code::ConfigFile,
            place: None,
            key: String::new(),
            message,
            help: Some(help.into()),
        });
    }

    /// Whether there are no problems.
    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// All problems: files in the order of their first problem, each from top to bottom.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        in_order(self.problems)
    }

    /// All warnings, in the same order.
    pub(crate) fn into_warnings(self) -> Vec<Problem> {
        in_order(self.warnings)
    }
}

fn problem(
    source: &SourceFile,
    span: Span,
    code: Code,
    (message, help): (String, String),
) -> Problem {
    Problem {
        code,
        place: Some((source.clone(), span.range())),
        key: String::new(),
        message,
        help: Some(help),
    }
}

fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    let mut paths = Vec::new();
    for problem in &problems {
        if let Some((source, _)) = &problem.place
            && !paths.contains(&source.path)
        {
            paths.push(source.path.clone());
        }
    }
    problems.sort_by_key(|problem| {
        problem.place.as_ref().map(|(source, span)| {
            (
                paths.iter().position(|path| *path == source.path),
                span.start,
            )
        })
    });
    problems
}
