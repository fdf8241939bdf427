//! Notices that a connection is of no use although it is open: its questions time out again and again.
//!
//! For connections that lookups share. Where a task asks one question at a time, that task gives up by itself.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// How many questions in a row have to end without an answer: one that came late says little about the connection.
const GIVEN_UP_MIN: u32 = 3;

/// How long a connection has been silent while it was asked.
#[derive(Debug)]
pub(in crate::backend) struct Silence {
    /// How long it may last.
    max: Duration,
    /// When the first question was asked of those that were given up since the last answer.
    since: Cell<Option<Instant>>,
    given_up: Cell<u32>,
}

impl Silence {
    /// A new connection, which may be silent for `max`.
    pub(in crate::backend) fn new(max: Duration) -> Self {
        Silence {
            max,
            since: Cell::new(None),
            given_up: Cell::new(0),
        }
    }

    /// Something came back.
    pub(in crate::backend) fn answered(&self) {
        self.since.set(None);
        self.given_up.set(0);
    }

    /// A question that was asked at `asked` is given up. Whether the connection should be as well.
    pub(in crate::backend) fn gave_up(&self, asked: Instant) -> bool {
        let since = self.since.get().unwrap_or(asked);
        self.since.set(Some(since));
        self.given_up.set(self.given_up.get() + 1);
        self.given_up.get() >= GIVEN_UP_MIN && since.elapsed() >= self.max
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn several_questions_and_some_time_without_any_answer() {
        let second = Duration::from_secs(1);
        let silence = Silence::new(second);
        for _ in 0..9 {
            assert!(!silence.gave_up(Instant::now()), "too soon");
        }
        silence.answered();
        let asked = Instant::now();
        advance(second).await;
        assert!(
            !silence.gave_up(asked) && !silence.gave_up(asked),
            "too few"
        );
        assert!(silence.gave_up(Instant::now()));
        silence.answered();
        assert!(!silence.gave_up(asked));
    }
}
