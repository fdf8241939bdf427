//! One `.thrift` file after parsing: what it declares and which files it includes.

use std::sync::Arc;

use super::syntax::{Document, Span};
use crate::diagnostic::SourceFile;

/// One parsed file.
pub(crate) struct ParsedFile {
    /// Its path and text, for problems.
    pub(crate) source: SourceFile,
    /// Its name without folders.
    pub(crate) name: String,
    /// Its paths relative to the folder of the operator's file: one for each chain of includes that leads to it.
    pub(crate) paths: Vec<String>,
    /// Its name without `.thrift`, which is the prefix of its names in other files.
    pub(crate) stem: Arc<str>,
    /// What it declares.
    pub(crate) document: Document,
    /// For each include: the prefix, the position of its line, and the index of the file.
    pub(crate) includes: Vec<(Arc<str>, Span, usize)>,
    /// The length of the shortest chain of includes that leads to it.
    pub(crate) depth: usize,
}

impl ParsedFile {
    /// The line where `span` starts, counted from 1.
    pub(crate) fn line(&self, span: Span) -> usize {
        let before = self
            .source
            .text
            .get(..span.range().start)
            .unwrap_or_default();
        before.bytes().filter(|&byte| byte == b'\n').count() + 1
    }
}
