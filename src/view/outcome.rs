//! What a run leaves behind: one value per step, the timeline, and why the call fails if it does.

use super::failure::Failure;
use crate::timeline::Timeline;
use crate::value::Value;

/// A plan that was run.
#[derive(Debug)]
pub struct Ran {
    /// One per step, in plan order, fitted to its target; null where its fate has none.
    pub values: Vec<Value>,
    /// What happened when. `elapsed` is when the last fate was known.
    pub timeline: Timeline,
    /// Why the call fails, if it does.
    pub failure: Option<Failure>,
}
