//! Carries the question of one lookup to a thread.

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::backend::rows::Rows;
use crate::backend::{Answer, LookupError};
use crate::value::Value;

/// A lookup on its way to a thread and back.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) statement: usize,
    pub(super) sql: Arc<str>,
    pub(super) rows: Rows,
    pub(super) params: Vec<Value>,
    pub(super) deadline: Instant,
    /// Dangling once the lookup was dropped.
    pub(super) asker: Weak<()>,
    pub(super) answer: oneshot::Sender<Result<Answer, LookupError>>,
}
