//! Defines the characters and colours of a waterfall.
//!
//! Colour only repeats what the characters and the text say, so nothing is lost without it.

/// What a column of a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Nothing.
    Blank,
    /// Waiting for the values of other lookups.
    Waiting,
    /// Ready, but not started yet: in a serial call other lookups come first, otherwise the event loop is busy.
    Queued,
    /// Running, or waiting for its turn at the store; no answer yet.
    Running,
    /// Running, and the answer has started to arrive.
    Answering,
    /// Ran for less than half a column.
    Instant,
    /// Ended without being started.
    Never,
}

impl Ink {
    /// What is not obvious of a character, for the legend.
    pub(super) const EXPLAINED: [(Ink, &'static str); 5] = [
        (Ink::Waiting, "waits for its inputs"),
        (Ink::Queued, "waits to be started"),
        (Ink::Answering, "its answer arrives"),
        (Ink::Instant, "less than half a column"),
        (Ink::Never, "never started"),
    ];
}

/// The characters of one alphabet.
pub(super) struct Alphabet {
    blank: char,
    waiting: char,
    queued: char,
    running: char,
    answering: char,
    instant: char,
    never: char,
    /// The axis: its line and its ticks.
    pub(super) line: char,
    pub(super) tick: char,
    /// Before the name of a lookup that waited for the one above.
    pub(super) branch: &'static str,
    /// Between the steps of the critical path.
    pub(super) arrow: &'static str,
    /// Between the figures of the footer.
    pub(super) dot: &'static str,
    /// Where text was cut.
    pub(super) cut: char,
}

impl Alphabet {
    pub(super) fn new(ascii: bool) -> &'static Self {
        if ascii { &ASCII } else { &UNICODE }
    }

    pub(super) fn char(&self, ink: Ink) -> char {
        match ink {
            Ink::Blank => self.blank,
            Ink::Waiting => self.waiting,
            Ink::Queued => self.queued,
            Ink::Running => self.running,
            Ink::Answering => self.answering,
            Ink::Instant => self.instant,
            Ink::Never => self.never,
        }
    }
}

static UNICODE: Alphabet = Alphabet {
    blank: ' ',
    waiting: '·',
    queued: '░',
    running: '█',
    answering: '▓',
    instant: '▏',
    never: '×',
    line: '─',
    tick: '┬',
    branch: "└ ",
    arrow: " → ",
    dot: " · ",
    cut: '…',
};

static ASCII: Alphabet = Alphabet {
    blank: ' ',
    waiting: '.',
    queued: ':',
    running: '#',
    answering: '=',
    instant: '|',
    never: 'x',
    line: '-',
    tick: '+',
    branch: "`-",
    arrow: " -> ",
    dot: " | ",
    cut: '~',
};

/// A colour or weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tint {
    Plain,
    Bold,
    Faint,
    Good,
    Critical,
    Other,
    Bad,
}

impl Tint {
    /// `text` in this tint; unchanged when `color` is off.
    pub(super) fn paint(self, text: &str, color: bool) -> String {
        // Select Graphic Rendition of ECMA-48, the eight colours that every terminal has.
        let code = match self {
            Tint::Plain => return text.to_owned(),
            Tint::Bold => "1",
            Tint::Faint => "2",
            Tint::Good => "32",
            Tint::Critical => "33",
            Tint::Other => "36",
            Tint::Bad => "31",
        };
        if !color || text.trim().is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
