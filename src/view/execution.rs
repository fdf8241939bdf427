//! The result of a run: one value per step, the timeline and, if the call fails, why.

use super::failure::Failure;
use crate::backend::Held;
use crate::timeline::Timeline;
use crate::value::Value;

/// A plan that was run.
#[derive(Debug)]
pub struct Execution {
    /// One per step, in plan order, fitted to its target; null if the step's fate has no value.
    pub values: Vec<Value>,
    /// What happened when. `elapsed` is when the last fate was known.
    pub timeline: Timeline,
    /// Why the call fails, if it does.
    pub failure: Option<Box<Failure>>,
    /// Whether some value is so large that it should not be encoded or dropped on a loop.
    pub is_large: bool,
    /// Keeps the memory of large answers counted.
    pub held: Held,
}
