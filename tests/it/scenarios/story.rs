//! The outcome of a call, in the form used in pages.
//!
//! ```text
//! {"flight": {"number": 1}}                  the reply; or one of the lines
//! failed: plane timeout call.deadline, out of time
//! not merged: field `plane` of t.Reply is required and has no value
//! refused: config.cycle views.get.lookups.a: lookups wait for each other: a -> b -> a
//! flight ok 0..30                            then one line per lookup, in plan order: start and end in ms
//! plane timeout 30..80 lookup.timeout        a code, when it has one
//! seats skipped_dependency @80               it never started; when that was known
//! crew ok 0..20 by old after lookup.failed   what was asked last instead of it, and why the lookup itself failed
//! ```

use std::fmt::Write as _;

use tributary::coerce::to_json;
use tributary::diagnostic::Problem;
use tributary::idl::Type;
use tributary::plan::{Plan, ReplyShape};
use tributary::program::Program;
use tributary::timeline::{Lane, Micros, Track};
use tributary::value::Value;
use tributary::view::{Execution, MergeError};

use super::page::{Page, split_json};

/// A reply or the reason why there is none, and the fates of the lookups.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Story {
    reply: Option<serde_json::Value>,
    lines: Vec<String>,
}

impl Story {
    /// Reads a block of a page.
    pub(super) fn parse(name: &str, text: &str) -> Self {
        let begins_json = text.starts_with(['{', '[', '"', '-'])
            || text.starts_with(|c: char| c.is_ascii_digit());
        let word = ["true\n", "false\n", "null\n"]
            .iter()
            .any(|word| text.starts_with(word));
        let (reply, rest) = if begins_json || word {
            let (json, rest) = split_json(name, text);
            (Some(json), rest)
        } else {
            (None, text)
        };
        let lines = rest
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty());
        Story {
            reply,
            lines: lines.map(ToOwned::to_owned).collect(),
        }
    }

    /// The outcome of a configuration that is refused.
    pub(super) fn refused(problems: &[Problem]) -> Self {
        let line = |problem: &Problem| {
            format!(
                "refused: {} {}: {}",
                problem.code, problem.key, problem.message
            )
        };
        Story {
            reply: None,
            lines: problems.iter().map(line).collect(),
        }
    }

    /// The outcome of a call, with its reply if no required lookup failed.
    pub(super) fn of(
        program: &Program,
        plan: &Plan,
        ran: &Execution,
        merged: Option<Result<Value, MergeError>>,
    ) -> Self {
        let mut story = Story::default();
        if let Some(failure) = &ran.failure {
            let name = &plan.steps[failure.step].name;
            let code = failure
                .code
                .map_or_else(String::new, |code| format!(" {code}"));
            let out_of_time = if failure.out_of_time {
                ", out of time"
            } else {
                ""
            };
            story.lines.push(format!(
                "failed: {name} {}{code}{out_of_time}",
                failure.fate.as_str()
            ));
        }
        match merged {
            Some(Ok(reply)) => story.reply = Some(reply_json(program, plan, &reply)),
            Some(Err(err)) => story.lines.push(format!("not merged: {}", err.detail)),
            None => {}
        }
        story.lines.extend(
            ran.timeline
                .tracks
                .iter()
                .zip(&*ran.timeline.lanes)
                .map(fate),
        );
        story
    }

    /// The part that does not depend on timing.
    pub(super) fn result(&self) -> Story {
        let failed =
            |line: &&String| line.starts_with("failed: ") || line.starts_with("not merged: ");
        Story {
            reply: self.reply.clone(),
            lines: self.lines.iter().filter(failed).cloned().collect(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(reply) = &self.reply {
            let short = reply.to_string();
            let json = if short.len() <= 110 {
                short
            } else {
                format!("{reply:#}")
            };
            writeln!(text, "{json}").expect("a String takes everything");
        }
        for line in &self.lines {
            writeln!(text, "{line}").expect("a String takes everything");
        }
        text
    }
}

impl Page {
    /// Empty if both are the same; otherwise both, in the form of a page.
    pub(super) fn compare(&self, block: &str, expected: &Story, got: &Story) -> Vec<String> {
        if expected == got {
            return Vec::new();
        }
        let (expected, got) = (expected.text(), got.text());
        vec![format!(
            "{}: {block}\n{expected}--- but got\n{got}",
            self.name
        )]
    }
}

fn reply_json(program: &Program, plan: &Plan, reply: &Value) -> serde_json::Value {
    match &plan.reply {
        ReplyShape::Void => serde_json::Value::Null,
        ReplyShape::Struct(id) => to_json(&program.services[0].schema, &Type::Struct(*id), reply),
        ReplyShape::Whole(ty) => to_json(&program.services[0].schema, ty, reply),
    }
}

fn fate((track, lane): (&Track, &Lane)) -> String {
    let mut line = format!("{} {} ", lane.name, track.fate.as_str());
    match track.started {
        Some(started) => write!(line, "{}..{}", millis(started), millis(track.done)),
        None => write!(line, "@{}", millis(track.done)),
    }
    .expect("a String takes everything");
    if let Some(code) = track.code {
        write!(line, " {code}").expect("a String takes everything");
    }
    if let (Some(fallback), Some(code)) = (lane.answered_by(track), track.first_code) {
        write!(line, " by {} after {code}", fallback.name).expect("a String takes everything");
    }
    line
}

/// Milliseconds; a fraction is shown, so that a stray microsecond is visible.
fn millis(time: Micros) -> String {
    if time.get().is_multiple_of(1000) {
        (time.get() / 1000).to_string()
    } else {
        format!("{} us", time.get())
    }
}
