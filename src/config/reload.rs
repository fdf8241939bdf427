//! Reads `reload` and `reload_jitter` of `[server]`: when the configuration is read again.

use std::time::Duration;

use super::section::Section;

/// The delay of a reload differs by up to this time from server to server.
const JITTER: Duration = Duration::from_secs(5);

/// When the configuration is read again, besides at every SIGHUP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadConfig {
    /// Once its files have changed, after a random delay of at most this; `None`: only at a signal.
    pub on_change: Option<Duration>,
}

impl ReloadConfig {
    /// Takes both keys.
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let word = section.word("reload", &["on_signal", "on_change"]);
        let jitter = section.duration("reload_jitter");
        let jitter = jitter.map_or(JITTER, |(jitter, _)| jitter);
        let is_watched = word.is_some_and(|(word, _)| word == "on_change");
        ReloadConfig {
            on_change: is_watched.then_some(jitter),
        }
    }
}
