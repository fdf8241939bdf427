//! `tributary manual`: shows a page of the manual, lists the pages, or searches them.
//!
//! On a terminal a page is laid out and goes through a pager; otherwise it is printed as Markdown.

mod pager;
mod render; // a page for a terminal
mod table;
mod wrap; // how lines are broken
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use clap::Args;

use super::error::CommandError;
use super::exit::ExitStatus;
use super::output::{Output, count};
use crate::diagnostic::nearest;
use crate::manual::{self, PAGES};

/// Show a page of the manual, list the pages, or search them
///
/// On a terminal a page is laid out and, like the list, shown by a pager: `$PAGER`, otherwise `less` if it is installed.
/// Into a pipe it is Markdown.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Manual {
    /// The page [default: list all pages]
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
    /// Print the page's Markdown source
    #[arg(long)]
    markdown: bool,
    /// Print the lines of all pages that have this word
    #[arg(long, value_name = "WORD", conflicts_with_all = ["topic", "markdown"])]
    search: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  tributary manual
  tributary manual redis
  tributary manual --search timeout
  tributary manual limits --markdown > limits.md

Exit codes: 0 done, 1 the word is in no page, 2 there is no such page";

/// Columns beyond which lines are hard to read.
const WIDTH_MAX: usize = 100;

pub(super) fn run(options: &Manual, out: &mut Output) -> Result<ExitStatus, CommandError> {
    if let Some(word) = &options.search {
        return search(word, out);
    }
    let text = match &options.topic {
        Some(topic) => manual::page(topic).ok_or_else(|| unknown(topic))?.text,
        None if options.markdown => manual::INDEX,
        None => {
            let list = contents();
            if !out.data_terminal() || !pager::show(&list) {
                out.data(&list);
            }
            return Ok(ExitStatus::Done);
        }
    };
    if options.markdown || !out.data_terminal() {
        out.data(text);
        return Ok(ExitStatus::Done);
    }
    let width = out.data_width().min(WIDTH_MAX);
    let text = render::render(text, width, out.data_color());
    if !pager::show(&text) {
        out.data(&text);
    }
    Ok(ExitStatus::Done)
}

fn search(word: &str, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let hits = manual::search(word);
    if hits.is_empty() {
        let message = format!("no page of the manual has `{word}`");
        return Err(CommandError::failed(message));
    }
    let mut text = String::new();
    for hit in &hits {
        // Writing to a String can't fail.
        let _infallible = writeln!(text, "{}:{}: {}", hit.topic, hit.line, readable(hit.text));
    }
    out.data(&text);
    Ok(ExitStatus::Done)
}

/// A line of a page. Of a row of a table, the cells.
fn readable(line: &str) -> String {
    let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
        return line.to_owned();
    };
    // A `|` within a cell is escaped.
    let row = row.replace("\\|", "\0");
    let cells = row
        .split('|')
        .map(str::trim)
        .filter(|cell| !cell.is_empty());
    let cells: Vec<&str> = cells.collect();
    cells.join("  ").replace('\0', "|")
}

/// All pages, one line each.
fn contents() -> String {
    let wide = PAGES.iter().map(|page| page.topic.len()).max().unwrap_or(0);
    let mut text = String::new();
    for group in manual::groups() {
        let _infallible = writeln!(text, "{}", group.title);
        for (topic, about) in group.pages {
            let about = about.replace('`', "");
            let _infallible = writeln!(text, "  {topic:wide$}  {about}");
        }
        text.push('\n');
    }
    text.push_str(
        "`tributary manual TOPIC` shows a page.\n\
         `tributary manual --search WORD` finds a word in all of them.\n",
    );
    text
}

/// Names the pages that may have been meant.
fn unknown(topic: &str) -> CommandError {
    let topics = || PAGES.iter().map(|page| page.topic);
    let alike = |known: &&str| known.contains(topic) || topic.contains(*known);
    let mut near: Vec<&str> = topics().filter(alike).collect();
    let nearest = nearest(topic, topics());
    near.extend(nearest.filter(|nearest| !near.contains(nearest)));
    let near: Vec<String> = near.iter().map(|topic| format!("`{topic}`")).collect();
    let hits = manual::search(topic).len();
    let help = match (near.is_empty(), hits) {
        (false, _) => format!("did you mean {}?", near.join(" or ")),
        (true, 0) => "`tributary manual` lists the pages".to_owned(),
        (true, hits) => format!(
            "`tributary manual --search {topic}` finds {}",
            count(hits, "line")
        ),
    };
    CommandError::misuse(format!("the manual has no page `{topic}`")).help(help)
}
