//! Lays a table out: in columns if they fit, otherwise a paragraph per row.

use std::borrow::Cow;

use textwrap::core::display_width;

use super::wrap::wrap;

/// Columns between two columns.
const GAP: usize = 2;
/// A column of several words is never narrower than this, if it is the last.
const LAST_MIN: usize = 24;

/// Rows of more lines are set apart by an empty line.
const TALL: usize = 3;

/// A table while it is parsed: cells, then rows. The first row is the head.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
}

impl Table {
    pub(super) fn cell(&mut self, text: String) {
        self.row.push(text);
    }

    pub(super) fn row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
    }

    /// The table in lines of at most `width`; `strong` is the style of its head.
    pub(super) fn lines(&self, width: usize, strong: impl Fn(&str) -> String) -> String {
        match self.widths(width) {
            Some(widths) => self.in_columns(&widths, strong),
            None => self.in_paragraphs(width, strong),
        }
    }

    /// The width of each column; none if they do not fit side by side.
    fn widths(&self, width: usize) -> Option<Vec<usize>> {
        let columns = self.rows.first()?.len();
        let most = |column: usize, measure: fn(&str) -> usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| measure(cell)).max().unwrap_or(0)
        };
        let mut min: Vec<usize> = (0..columns).map(|at| most(at, longest_word)).collect();
        let max: Vec<usize> = (0..columns).map(|at| most(at, display_width)).collect();
        let last = columns.checked_sub(1)?;
        min[last] = min[last].max(max[last].min(LAST_MIN));
        let space = width.checked_sub(GAP * last)?;
        // Columns are as wide as their content, up to the largest bound with which all of them fit.
        let bounded = |bound: usize| -> Vec<usize> {
            let both = min.iter().zip(&max);
            both.map(|(&min, &max)| max.min(bound).max(min)).collect()
        };
        let fits = |widths: &Vec<usize>| widths.iter().sum::<usize>() <= space;
        (1..=space).rev().map(bounded).find(fits)
    }

    fn in_columns(&self, widths: &[usize], strong: impl Fn(&str) -> String) -> String {
        let broken = |row: &Vec<String>| -> Vec<Vec<String>> {
            let cells = row.iter().zip(widths);
            let lines = cells.map(|(cell, &width)| textwrap::wrap(cell, wrap(width)));
            lines
                .map(|lines| lines.into_iter().map(Cow::into_owned).collect())
                .collect()
        };
        let height = |row: &Vec<Vec<String>>| row.iter().map(Vec::len).max().unwrap_or(0);
        let mut rows: Vec<Vec<Vec<String>>> = self.rows.iter().map(broken).collect();
        for line in rows.first_mut().into_iter().flatten().flatten() {
            *line = strong(line);
        }
        // Tall rows would run into each other.
        let between = if rows.iter().skip(1).any(|row| height(row) > TALL) {
            "\n"
        } else {
            ""
        };
        let mut out = String::new();
        for (at, row) in rows.iter().enumerate() {
            if at == 1 {
                let rules = widths.iter().map(|&width| "─".repeat(width));
                out.push_str(&rules.collect::<Vec<_>>().join(&" ".repeat(GAP)));
                out.push('\n');
            } else if at > 1 {
                out.push_str(between);
            }
            for line in 0..height(row) {
                out.push_str(&line_of(row, line, widths));
                out.push('\n');
            }
        }
        out
    }

    /// The first cell of a row on a line, then a line for each other cell, named by the head.
    fn in_paragraphs(&self, width: usize, strong: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        let Some((head, rows)) = self.rows.split_first() else {
            return out;
        };
        for row in rows {
            if let Some(first) = row.first() {
                out.push_str(&strong(first));
                out.push('\n');
            }
            for (name, cell) in head.iter().zip(row).skip(1) {
                if cell.is_empty() {
                    continue;
                }
                let options = wrap(width).initial_indent("  ").subsequent_indent("      ");
                for line in textwrap::wrap(&format!("{name}: {cell}"), options) {
                    out.push_str(&line);
                    out.push('\n');
                }
            }
        }
        out
    }
}

/// One line of a row: a part of each cell, side by side.
fn line_of(row: &[Vec<String>], line: usize, widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, &width) in row.iter().zip(widths) {
        let part = cell.get(line).map_or("", String::as_str);
        let space = width.saturating_sub(display_width(part)) + GAP;
        text.push_str(part);
        text.push_str(&" ".repeat(space));
    }
    text.truncate(text.trim_end().len());
    text
}

fn longest_word(text: &str) -> usize {
    text.split(' ').map(display_width).max().unwrap_or(0)
}
