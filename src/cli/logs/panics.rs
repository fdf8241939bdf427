//! Logs panics: one line per place in the source every ten seconds. A call that panics must not fill the log when it is
//! repeated.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
#[expect(
    clippy::disallowed_types,
    reason = "taken by panics, on any thread, and by nothing else"
)]
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use crate::log_limit::LogLimit;

/// The panics of the program.
#[derive(Debug, Default)]
#[expect(
    clippy::disallowed_types,
    reason = "taken by panics, on any thread, and by nothing else"
)]
pub(super) struct Panics(Mutex<LogLimit<CodeLocation>>);

/// The file, line and column of a panic.
type CodeLocation = Option<(String, u32, u32)>;

impl Panics {
    /// The line for a panic, if it may be logged now, and how many like it were suppressed.
    pub(super) fn message(&self, panicked: &PanicHookInfo<'_>) -> Option<(String, u64)> {
        let place = panicked.location();
        let suppressed =
            self.allow(place.map(|at| (at.file().to_owned(), at.line(), at.column())))?;
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        let again = match suppressed {
            0 => String::new(),
            _ => format!(" (suppressed={suppressed})"),
        };
        let backtrace = Backtrace::capture();
        let message = match backtrace.status() {
            BacktraceStatus::Captured => format!("thread {name} {panicked}{again}\n{backtrace}"),
            _ => format!("thread {name} {panicked}{again}"),
        };
        Some((message, suppressed))
    }

    fn allow(&self, place: CodeLocation) -> Option<u64> {
        let limit = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limit.allow(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_place_that_panics_again_and_again_is_logged_once() {
        let panics = Panics::default();
        let place = |line| Some(("view.rs".to_owned(), line, 5));
        assert_eq!(panics.allow(place(1)), Some(0));
        assert_eq!(panics.allow(place(1)), None);
        assert_eq!(panics.allow(place(2)), Some(0), "another place");
        tokio::time::advance(crate::log_limit::INTERVAL).await;
        assert_eq!(panics.allow(place(1)), Some(1));
    }
}
