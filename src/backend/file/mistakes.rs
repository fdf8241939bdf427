//! What is wrong with a file: the first mistakes, and how many there are.

/// How many mistakes are reported one by one.
const MISTAKES_MAX: usize = 5;

/// The line of `text` that has the byte at `at`.
pub(super) fn line_at(text: &[u8], at: usize) -> usize {
    text[..at].split(|byte| *byte == b'\n').count()
}

/// Mistakes, each with its place in words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mistakes {
    /// In the order of the file, at least one.
    pub(super) first: Vec<String>,
    /// How many more cells are wrong.
    pub(super) more: usize,
}

impl Mistakes {
    /// The only mistake that is known.
    pub(super) fn one(mistake: impl Into<String>) -> Self {
        Mistakes {
            first: vec![mistake.into()],
            more: 0,
        }
    }
}

impl Mistakes {
    /// The first one.
    pub(super) fn first(&self) -> &str {
        self.first.first().map_or("", String::as_str)
    }
}

/// Mistakes in a part of a file, each with the offset in the file of the row that has it.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    pub(super) first: Vec<(usize, String)>,
    more: usize,
}

impl Wrong {
    /// One more mistake, in the row at `at` or after the line ends there.
    pub(super) fn push(&mut self, at: usize, what: impl FnOnce() -> String) {
        if self.first.len() < MISTAKES_MAX {
            self.first.push((at, what()));
        } else {
            self.more += 1;
        }
    }

    /// Those of a later part.
    pub(super) fn add(&mut self, later: Wrong) {
        for (at, what) in later.first {
            self.push(at, || what);
        }
        self.more += later.more;
    }

    /// With the lines of `text`.
    pub(super) fn with_lines(self, text: &[u8]) -> Mistakes {
        let line = |at: usize| {
            let ends = text[at..]
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            let before = &text[..at + ends];
            line_at(before, before.len())
        };
        let first = self.first.into_iter();
        Mistakes {
            first: first
                .map(|(at, what)| format!("line {}: {what}", line(at)))
                .collect(),
            more: self.more,
        }
    }
}
