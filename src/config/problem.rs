//! One thing wrong with the configuration or the IDL: where, what, and what would be right.
//!
//! Problems are collected, never thrown one by one, and printed the way compilers print theirs.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::blank::blank;
use crate::error::Code;

/// A file's name and text, for showing the line a problem stands on.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as the operator gave it.
    pub path: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

/// Something the operator has to mend.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// The file, and the bytes of it that are wrong.
    pub place: Option<(Source, Range<usize>)>,
    /// The key path, for example `lookups.flight.timeout`; empty for an IDL.
    pub key: String,
    /// What is wrong: lower case, no final period.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Problem {
    /// The line it stands on, counted from 1.
    pub fn line(&self) -> Option<usize> {
        let (source, span) = self.place.as_ref()?;
        let before = source.text.get(..span.start)?;
        Some(before.bytes().filter(|&byte| byte == b'\n').count() + 1)
    }

    /// The problem as several lines of text: code, message, file and line, the line itself, remedy.
    pub fn render(&self, color: bool) -> String {
        self.render_as(Level::ERROR, color)
    }

    /// The same, of something that works and may not always.
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
                    Snippet::source(blank(&source.text))
                        .path(&*source.path)
                        .annotation(AnnotationKind::Primary.span(clamp(span, source.text.len())))
                }));
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
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

/// Problems as they are found. Shared by everything that reads one configuration.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Adds one.
    pub fn push(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    /// How many there are so far.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Takes back what turned out to be a part of another problem.
    pub(super) fn retract(&self, gone: impl Fn(&Problem) -> bool) {
        self.0.borrow_mut().retain(|problem| !gone(problem));
    }

    /// All of them, in the order of the file.
    pub fn into_vec(self) -> Vec<Problem> {
        let mut problems = self.0.into_inner();
        // What does not parse is read on as something else, and what is wrong with that is no news.
        // Nor is what is missing: it may stand in what did not parse.
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

/// The name among `known` that `name` is most likely a slip of, if any is near enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1) + 1;
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(far, _)| *far <= limit)
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap neighbours) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_slips_only() {
        let known = ["timeout", "backend", "rows"];
        assert_eq!(nearest("timeuot", known), Some("timeout"));
        assert_eq!(nearest("row", known), Some("rows"));
        assert_eq!(nearest("elephant", known), None);
    }
}
