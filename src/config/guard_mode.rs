//! Reads `mode` of a guard: whether it acts, or only counts what it would do.

use toml::de::DeValue;

use super::section::Section;

/// What other programs call a guard that acts.
const ON: [&str; 6] = ["on", "true", "yes", "enable", "enabled", "active"];
/// What other programs call one that does nothing.
const OFF: [&str; 5] = ["false", "no", "none", "disable", "disabled"];

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
        let meant = section.peek("mode").and_then(meant);
        if let Some(help) = meant
            && let Some((value, place)) = section.take("mode")
        {
            let written = match &value {
                DeValue::String(text) => format!("`{text}`"),
                other => format!("`{}`", other.as_bool().unwrap_or_default()),
            };
            section.bad(
                &place,
                format!("{written} is not known here"),
                Some(help.into()),
            );
            return GuardMode::Enforce;
        }
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

/// What to write instead of a word that says clearly what is meant.
fn meant(mode: &DeValue<'_>) -> Option<&'static str> {
    let is_on = match mode {
        DeValue::Boolean(is_on) => *is_on,
        DeValue::String(text) => {
            let text = text.to_lowercase();
            let is_on = ON.contains(&&*text);
            if !is_on && !OFF.contains(&&*text) {
                return None;
            }
            is_on
        }
        _ => return None,
    };
    Some(if is_on {
        "leave `mode` out, or write `\"enforce\"`, which is the same; `\"measure\"` only counts what it would do"
    } else {
        "write `\"off\"`; `\"measure\"` only counts what it would do"
    })
}
