//! Defines how a waterfall looks: its width, colours and time axis.

use crate::timeline::Micros;

/// How a waterfall is drawn.
#[derive(Clone, Debug)]
pub struct Look {
    /// The line above it; none when empty.
    pub title: String,
    /// Columns of the terminal.
    pub width: usize,
    /// Whether to use ANSI colours.
    pub color: bool,
    /// Whether to keep to ASCII.
    pub ascii: bool,
    /// The time at the right end, so that two pictures can be compared; the call's own length if `None`.
    pub axis: Option<Micros>,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            title: String::new(),
            width: 100,
            color: false,
            ascii: false,
            axis: None,
        }
    }
}
