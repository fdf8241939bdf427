//! A method's view: what it asks, in which order, and how the answers become one reply.
//!
//! `compile` makes a [`Plan`] from configuration and schema, once; `run` asks everything a plan says under
//! one deadline and gives every lookup one fate; `merge` makes the reply, purely. Nothing here knows of
//! bytes on a wire or of kinds of stores.

mod plan;
mod reference;
mod leads;
mod compile;
mod target;
mod fit;
mod shape;
mod throws;
mod order;
mod failure;
mod outcome;
mod clock;
mod run;
mod settle;
mod step;
mod merge;
mod unsure;

pub use compile::{LookupFacts, Scope, compile};
pub use failure::Failure;
pub use merge::{MergeError, merge};
pub use outcome::Ran;
pub use plan::{Binding, Condition, Foreach, Plan, ReplyShape, Step, Target, Throw, ThrowOn};
pub use reference::{ContextField, Reference, Root};
pub use run::run;
pub use shape::{Nowhere, Shape, Shapes};
pub use unsure::{Unsure, unsure};
