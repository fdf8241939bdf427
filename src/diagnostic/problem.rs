//! Defines a [`Problem`]: what is wrong in a file, where, and how to fix it.
//!
//! Problems are collected and reported together, and printed the way compilers print their errors.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::redact::redact;
use crate::error::Code;
use crate::manual;

/// A file's name and text, for showing the line of a problem.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path as the operator gave it.
    pub path: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

/// A mistake that the operator has to fix.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// The file, and the bytes of it that are wrong.
    pub place: Option<(SourceFile, Range<usize>)>,
    /// The key path, for example `lookups.flight.timeout`; empty for an IDL.
    pub key: String,
    /// What is wrong, in lower case and without a final period.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
}

impl Problem {
    /// The number of the line where it begins, counted from 1.
    pub fn line(&self) -> Option<usize> {
        let (source, span) = self.place.as_ref()?;
        let before = source.text.get(..span.start)?;
        Some(before.bytes().filter(|&byte| byte == b'\n').count() + 1)
    }

    /// The page of the manual that helps.
    pub fn manual(&self) -> &'static str {
        let source = self.place.as_ref().map(|(source, _)| source);
        if source.is_some_and(|source| source.path.ends_with(".thrift")) {
            return "idl";
        }
        let text = source.map(|source| &*source.text);
        manual::topic(self.code, &self.key, text)
    }

    /// Renders the problem as lines of text: code, message, file and line number, the line itself, help, and the page of
    /// the manual to read.
    pub fn render(&self, color: bool) -> String {
        self.render_as(Level::ERROR, color)
    }

    /// Renders it as a warning: the configuration works, but may fail for some values.
    pub fn render_warning(&self, color: bool) -> String {
        self.render_as(Level::WARNING, color)
    }

    fn render_as(&self, level: Level<'_>, color: bool) -> String {
        let title = if self.key.is_empty() {
            self.message.clone()
        } else {
            format!("`{}`: {}", self.key, self.message)
        };
        let mut group =
            level
                .primary_title(title)
                .id(self.code.as_str())
                .elements(self.place.iter().map(|(source, span)| {
                    let is_idl = source.path.ends_with(".thrift");
                    let text = if is_idl {
                        source.text.to_string()
                    } else {
                        redact(&source.text, span)
                    };
                    Snippet::source(text)
                        .path(&*source.path)
                        .annotation(AnnotationKind::Primary.span(clamp(span, source.text.len())))
                }));
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let page = format!("tributary manual {}", self.manual());
        group = group.element(Level::HELP.with_name("manual").message(page));
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group]).clone()
    }
}

fn clamp(span: &Range<usize>, len: usize) -> Range<usize> {
    span.start.min(len)..span.end.min(len)
}

/// Collects problems as they are found. Everything that reads one configuration shares it.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Adds a problem.
    pub fn push(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    /// The number of problems so far.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether no problem was found so far.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Removes all but the first `len` problems.
    pub(crate) fn truncate(&self, len: usize) {
        self.0.borrow_mut().truncate(len);
    }

    /// Removes problems that turned out to be consequences of another problem.
    pub(crate) fn retract(&self, is_consequence: impl Fn(&Problem) -> bool) {
        self.0
            .borrow_mut()
            .retain(|problem| !is_consequence(problem));
    }

    /// All problems, in the order of the file.
    pub fn into_vec(self) -> Vec<Problem> {
        let mut problems = self.0.into_inner();
        // After a syntax error the parser recovers with a guess. Problems with that guess are only consequences, and so
        // are missing keys and names: they may be in the part that could not be parsed.
        let broken: Vec<Range<usize>> = problems
            .iter()
            .filter(|problem| problem.code == Code::ConfigSyntax)
            .filter_map(|problem| problem.place.as_ref().map(|(_, span)| span.clone()))
            .collect();
        problems.retain(|problem| {
            let span = problem.place.as_ref().map(|(_, span)| span);
            let follows = match problem.code {
                Code::ConfigSyntax => false,
                Code::ConfigMissingKey | Code::ConfigUnknownName => !broken.is_empty(),
                _ => span.is_some_and(|span| broken.contains(span)),
            };
            !follows
        });
        problems.sort_by_key(|problem| {
            problem
                .place
                .as_ref()
                .map(|(source, span)| (Arc::clone(&source.path), span.start))
        });
        problems
    }
}
