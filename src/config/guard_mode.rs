//! Reads `mode` of a guard: whether it acts, or only counts what it would do.

use super::section::Section;

/// Whether a guard acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardMode {
    /// It does nothing, and costs nothing.
    Off,
    /// It counts what it would do, and changes no answer.
    Measure,
    /// It acts. A guard that is configured does so unless told otherwise.
    #[default]
    Enforce,
}

impl GuardMode {
    /// Takes the key `mode`.
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        match section.word("mode", &["off", "measure", "enforce"]) {
            Some(("off", _)) => GuardMode::Off,
            Some(("measure", _)) => GuardMode::Measure,
            _ => GuardMode::Enforce,
        }
    }
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            GuardMode::Off => "off",
            GuardMode::Measure => "measure",
            GuardMode::Enforce => "enforce",
        }
    }
}
