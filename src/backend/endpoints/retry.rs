//! Decides whether a question that failed is asked once more: the key `retry`.
//!
//! Only if the server has certainly not begun to answer: there was no connection, it broke before the first byte, or the
//! server itself refused and did not ask to be left alone. Never after a timeout. A budget bounds how much retries add to the
//! load of servers that fail: a share of all questions, and a few a second.

use std::time::Duration;

use tokio::time::Instant;
use tower::retry::budget::{Budget as _, TpsBudget};

use super::board::{Board, Retried};
use crate::backend::{Ask, LookupError};
use crate::config::Section;

/// For how long a question allows a share of a retry.
const TTL: Duration = Duration::from_secs(10);
/// The part of the time that a view allows which must be left.
const LEFT_MIN: u32 = 4;

/// `retry = { max = 1, budget = 0.1, min_per_second = 1 }`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::backend) struct RetryConfig {
    /// How many retries there may be per question.
    budget: f64,
    /// How many there may be in any case.
    min_per_second: u32,
}

impl RetryConfig {
    /// Takes the key.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let mut table = section.section("retry")?;
        let max = table.integer("max", 0..=1);
        let budget = table.number("budget", 0.0..=1.0);
        let least = table.integer("min_per_second", 0..=10_000);
        let config = RetryConfig {
            budget: budget.unwrap_or(0.1),
            min_per_second: least.and_then(|least| least.try_into().ok()).unwrap_or(1),
        };
        if config.budget <= 0.0 && config.min_per_second == 0 && max != Some(0) {
            let help = "raise `budget` or `min_per_second`, or leave `retry` out";
            let place = table.place().clone();
            table.bad(&place, "this budget allows no retry", Some(help.into()));
        }
        table.finish();
        (max != Some(0)).then_some(config)
    }

    /// Describes it to the operator.
    pub(super) fn describe(&self) -> String {
        let share = self.budget * 100.0;
        let least = self.min_per_second;
        format!("one retry for up to {share} % of the questions and {least} a second")
    }
}

/// The retries of one backend on one loop.
pub(super) struct Retries {
    budget: Option<TpsBudget>,
    board: Board,
}

impl Retries {
    /// None, or as many as are configured.
    pub(super) fn new(config: Option<RetryConfig>, board: Board) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a share of one")]
        let budget = config.map(|of| TpsBudget::new(TTL, of.min_per_second, of.budget as f32));
        Retries { budget, board }
    }

    /// A question is asked.
    pub(super) fn asked(&self) {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
    }

    /// Whether a question is asked once more.
    pub(super) fn allow(&self, err: &LookupError, ask: &Ask<'_>) -> bool {
        let Some(budget) = self.budget.as_ref().filter(|_| err.may_be_retried()) else {
            return false;
        };
        let left = ask.deadline.saturating_duration_since(Instant::now());
        let retried = if left < ask.allowed / LEFT_MIN || left.is_zero() {
            Retried::NoTime
        } else if budget.withdraw() {
            Retried::Yes
        } else {
            Retried::NoBudget
        };
        self.board.retried(retried);
        retried == Retried::Yes
    }
}
