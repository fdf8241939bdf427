//! Draws a waterfall: title, axis, one row per lookup in plan order, footer.
//!
//! Names and notes are cut so that no line is longer than [`Look::width`]. Any timeline can be drawn, also one from
//! another program, without a panic. Control characters never reach the terminal.

use super::ink::{Alphabet, Ink, Tint};
use super::layout::{Layout, RowText, count, words};
use super::look::Look;
use crate::context::Mode;
use crate::timeline::{Analysis, Fate, Micros, Source, Timeline, Track};

/// The waterfall of one call as lines of text, each with a line feed at its end.
pub fn render(timeline: &Timeline, look: &Look) -> String {
    render_together(&[(look.title.as_str(), timeline)], look)
}

/// Several waterfalls, one below the other, on the same time axis. Each has its own title; empty lines separate them.
pub fn render_together(pictures: &[(&str, &Timeline)], look: &Look) -> String {
    let alphabet = Alphabet::new(look.ascii);
    let words: Vec<Vec<RowText>> = pictures
        .iter()
        .map(|(_, timeline)| words(timeline, alphabet))
        .collect();
    let timelines: Vec<(&Timeline, &[RowText])> = pictures
        .iter()
        .zip(&words)
        .map(|((_, timeline), words)| (*timeline, words.as_slice()))
        .collect();
    let layout = Layout::new(&timelines, look);
    let mut shown = Vec::new();
    let pictures: Vec<String> = pictures
        .iter()
        .zip(&words)
        .map(|((title, timeline), words)| {
            let analysis = Analysis::of(timeline);
            let mut critical = vec![false; timeline.tracks.len()];
            for &at in &analysis.critical_path {
                critical[at] = true;
            }
            let picture = Picture {
                timeline,
                analysis,
                critical,
                words,
                layout: &layout,
                alphabet,
                color: look.color,
            };
            shown.extend(timeline.tracks.iter().flat_map(|track| picture.inks(track)));
            picture.draw(title)
        })
        .collect();
    pictures.join("\n") + &legend(&shown, alphabet, layout.width, look.color)
}

/// What the characters among `shown` mean, in as many lines as it takes.
fn legend(shown: &[Ink], alphabet: &Alphabet, width: usize, color: bool) -> String {
    let explained = Ink::EXPLAINED.iter();
    let explained = explained.filter(|(ink, _)| shown.contains(ink));
    let mut lines: Vec<String> = Vec::new();
    for (ink, words) in explained {
        let entry = format!("{} {words}", alphabet.char(*ink));
        match lines.last_mut() {
            Some(line) if count(line) + 3 + count(&entry) <= width => {
                line.extend(["   ", entry.as_str()]);
            }
            _ => lines.push(format!("  {entry}")),
        }
    }
    let lines = lines.iter();
    lines
        .map(|line| Tint::Faint.paint(line, color) + "\n")
        .collect()
}

/// Everything that the lines are drawn from.
struct Picture<'a> {
    timeline: &'a Timeline,
    analysis: Analysis,
    /// Whether each lookup is on the critical path.
    critical: Vec<bool>,
    words: &'a [RowText],
    layout: &'a Layout,
    alphabet: &'static Alphabet,
    color: bool,
}

impl Picture<'_> {
    fn draw(&self, title: &str) -> String {
        let mut lines = Vec::new();
        if !title.is_empty() {
            lines.push(self.tint(Tint::Bold, &self.fit(title, self.layout.width)));
        }
        lines.extend(self.axis_lines());
        lines.extend((0..self.timeline.tracks.len()).map(|at| self.row(at)));
        lines.extend(self.footer());
        lines.into_iter().fold(String::new(), |mut text, line| {
            text.push_str(line.trim_end());
            text.push('\n');
            text
        })
    }

    fn tint(&self, tint: Tint, text: &str) -> String {
        tint.paint(text, self.color)
    }

    /// `text` in at most `width` columns, without control characters.
    fn fit(&self, text: &str, width: usize) -> String {
        let clean = |c: char| if c.is_control() { '?' } else { c };
        if count(text) <= width {
            return text.chars().map(clean).collect();
        }
        let kept = text.chars().take(width.saturating_sub(1));
        kept.map(clean).chain([self.alphabet.cut]).collect()
    }

    fn axis_lines(&self) -> [String; 2] {
        let indent = " ".repeat(2 + self.layout.label + 1);
        let mut labels = indent.clone();
        let mut line: Vec<char> = vec![self.alphabet.line; self.layout.axis.columns()];
        for tick in self.layout.axis.ticks() {
            line[tick.column] = self.alphabet.tick;
            let start = count(&indent) + tick.column;
            if start + count(&tick.label) <= self.layout.width {
                labels.push_str(&" ".repeat(start.saturating_sub(count(&labels))));
                labels.push_str(&tick.label);
            }
        }
        let line: String = line.into_iter().collect();
        [
            self.tint(Tint::Faint, &labels),
            indent + &self.tint(Tint::Faint, &line),
        ]
    }

    fn row(&self, at: usize) -> String {
        let track = &self.timeline.tracks[at];
        let mark = if self.critical[at] { "* " } else { "  " };
        let label = self.fit(&self.words[at].label, self.layout.label);
        let label = format!("{label:<width$} ", width = self.layout.label);
        let time = match track.started {
            Some(_) => self.layout.axis.time(track.run_time()),
            None => String::new(),
        };
        let name_tint = if self.critical[at] {
            Tint::Bold
        } else {
            Tint::Plain
        };
        let note_tint = if failed(track.fate) {
            Tint::Bad
        } else {
            Tint::Faint
        };
        [
            self.tint(Tint::Critical, mark),
            self.tint(name_tint, &label),
            self.bar(at),
            format!(" {time:>width$}  ", width = self.layout.time),
            self.tint(note_tint, &self.fit(&self.words[at].note, self.layout.note)),
        ]
        .concat()
    }

    fn bar(&self, at: usize) -> String {
        let inks = self.inks(&self.timeline.tracks[at]);
        inks.chunk_by(|a, b| a == b)
            .map(|run| {
                let text: String = run.iter().map(|&ink| self.alphabet.char(ink)).collect();
                self.tint(self.bar_tint(at, run[0]), &text)
            })
            .collect()
    }

    fn inks(&self, track: &Track) -> Vec<Ink> {
        let axis = &self.layout.axis;
        let mut inks = vec![Ink::Blank; axis.columns()];
        // The beginning of an answer is drawn only if at least two columns follow it.
        let mut fill = |from, to, ink| inks[axis.span(from, to)].fill(ink);
        fill(Micros::ZERO, track.planned, Ink::Waiting);
        let Some(started) = track.started else {
            // An answer that was there at once needed no start.
            let was_there = track.source != Source::None;
            let ink = if was_there { Ink::Instant } else { Ink::Never };
            inks[axis.point(track.done)] = ink;
            return inks;
        };
        fill(track.planned, started, Ink::Queued);
        fill(started, track.done, Ink::Running);
        if let Some(first) = track.first_answer.filter(|first| *first >= started)
            && axis.span(first, track.done).len() >= 2
        {
            fill(first, track.done, Ink::Answering);
        }
        if axis.span(started, track.done).is_empty() {
            inks[axis.point(started)] = Ink::Instant;
        }
        inks
    }

    fn bar_tint(&self, at: usize, ink: Ink) -> Tint {
        let track = &self.timeline.tracks[at];
        match ink {
            Ink::Blank | Ink::Waiting | Ink::Queued => Tint::Faint,
            _ if failed(track.fate) => Tint::Bad,
            _ if self.critical[at] => Tint::Critical,
            _ if track.source == Source::Backend => Tint::Good,
            _ => Tint::Other,
        }
    }

    fn footer(&self) -> [String; 2] {
        let Analysis {
            serial,
            bound,
            ratio,
            ..
        } = self.analysis;
        let dot = self.alphabet.dot;
        let figures = [
            format!("total {}", self.layout.axis.time(self.timeline.elapsed)),
            format!("serially {}", self.layout.axis.time(serial)),
            format!("{ratio:.1}x of at most {bound:.1}x"),
        ]
        .join(dot);
        let path = match self.timeline.mode {
            Mode::Serial => "every lookup that ran, one after the other".to_owned(),
            Mode::Evented if self.analysis.critical_path.is_empty() => {
                "none, nothing had to be waited for".to_owned()
            }
            Mode::Evented => {
                let steps = self.analysis.critical_path.iter();
                let names: Vec<&str> = steps.map(|&at| &*self.timeline.lanes[at].name).collect();
                names.join(self.alphabet.arrow)
            }
        };
        let path = format!("* critical path: {path}");
        [
            self.fit(&format!("  {figures}"), self.layout.width),
            self.fit(&path, self.layout.width),
        ]
    }
}

fn failed(fate: Fate) -> bool {
    !matches!(
        fate,
        Fate::Ok | Fate::Empty | Fate::Default | Fate::Skipped | Fate::SkippedDependency
    )
}
