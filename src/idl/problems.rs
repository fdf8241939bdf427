//! Collects what is wrong with an IDL.
//!
//! In: problems in any order. Out: at most [`PROBLEMS_MAX`] of them, in the order of the files. Remedies
//! are worked out only for problems that are kept, so a file that is wrong everywhere costs little.

use super::file::ParsedFile;
use super::read::ReadError;
use super::syntax::Span;
use crate::diagnostic::{Problem, SourceFile};
use crate::error::Code;

/// More problems than this are not worth reading at once; the rest shows when these are mended.
const PROBLEMS_MAX: usize = 100;

/// Problems as they are found.
#[derive(Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one: `words` gives message and remedy.
    pub(crate) fn problem(
        &mut self,
        source: &SourceFile,
        span: Span,
        code: Code,
        words: impl FnOnce() -> (String, String),
    ) {
        if self.0.len() >= PROBLEMS_MAX {
            return;
        }
        let (message, help) = words();
        self.0.push(Problem {
            code,
            place: Some((source.clone(), span.range())),
            key: String::new(),
            message,
            help: Some(help),
        });
    }

    /// Adds one of an IDL that parses but makes no sense.
    pub(crate) fn invalid(
        &mut self,
        file: &ParsedFile,
        span: Span,
        words: impl FnOnce() -> (String, String),
    ) {
        self.problem(&file.source, span, Code::IdlInvalid, words);
    }

    /// The operator's own file was not read.
    pub(crate) fn no_file(&mut self, name: &str, miss: &ReadError) {
        let (message, help) = match miss {
            ReadError::Absent { .. } => (
                format!("the IDL `{name}` does not exist"),
                "give the path of a `.thrift` file",
            ),
            ReadError::Unreadable(why) => (
                format!("the IDL `{name}` can't be read: {why}"),
                "give the path of a `.thrift` file that the server's user may read",
            ),
        };
        self.0.push(Problem {
            code: Code::ConfigFile,
            place: None,
            key: String::new(),
            message,
            help: Some(help.into()),
        });
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them: files in the order of their first problem, then from top to bottom.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut paths = Vec::new();
        let mut problems = self.0;
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
}
