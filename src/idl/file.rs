//! One `.thrift` file after parsing: what it declares and which files it includes.

use std::sync::Arc;

use super::syntax::{Document, Span};
use crate::diagnostic::SourceFile;

/// One file, parsed.
pub(crate) struct ParsedFile {
    /// Its path and text, for problems.
    pub(crate) source: SourceFile,
    /// Its name without folders.
    pub(crate) name: String,
    /// Its paths as seen from the folder of the operator's own file: one for each way to it.
    pub(crate) paths: Vec<String>,
    /// Its name without `.thrift`: the prefix of its names.
    pub(crate) stem: Arc<str>,
    /// What it declares.
    pub(crate) document: Document,
    /// The prefix of each include, where its line stands, and which file it is.
    pub(crate) includes: Vec<(Arc<str>, Span, usize)>,
    /// Through how many files it is included, on the shortest way.
    pub(crate) depth: usize,
}

impl ParsedFile {
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
