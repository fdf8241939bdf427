//! What a run leaves behind: one outcome per step, the timeline, and why the call fails if it does.

use super::failure::Failure;
use crate::error::Code;
use crate::timeline::{Fate, Timeline};
use crate::value::Value;

/// What became of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its fate.
    pub fate: Fate,
    /// The code, when it has one.
    pub code: Option<Code>,
    /// The value, fitted to its target; there if the fate says so.
    pub(super) value: Value,
}

impl Outcome {
    /// Of a step that has no fate yet.
    pub(super) fn open() -> Self {
        Outcome {
            fate: Fate::Cancelled,
            code: None,
            value: Value::Null,
        }
    }

    /// Whether there is a value to merge.
    pub fn has_value(&self) -> bool {
        self.fate.has_value()
    }

    /// The value, leaving null behind.
    pub fn take_value(&mut self) -> Value {
        std::mem::take(&mut self.value)
    }
}

/// A plan that was run.
#[derive(Debug)]
pub struct Ran {
    /// One per step, in plan order.
    pub outcomes: Vec<Outcome>,
    /// What happened when. `elapsed` is when the last fate was known.
    pub timeline: Timeline,
    /// Why the call fails, if it does.
    pub failure: Option<Failure>,
}
