//! Plans: a view of the configuration, compiled against the IDL at start.
//!
//! `compile` resolves every name of a view and reports every problem in it. The result is a `Plan`: plain data that
//! calls run without looking up a name. Nothing here knows wire formats or runs a lookup.

mod compiled; // the plan itself
mod reference; // `flight.tailnum`, `item`, `context.request_id`
mod compile;
mod lookup_reference; // into what another lookup yields
mod target; // where values go
mod fit; // whether they ever fit there
mod throws;
mod order;
mod placing; // how values become fields
mod shape; // what values look like before there are any
mod brownout; // what may be left out
mod fallback; // what is asked instead
mod required; // required fields that may have no value

pub use compile::{BackendFacts, CompileEnv, LookupFacts, compile};
pub use compiled::{
    Allowed, Binding, Brownout, Condition, Foreach, LookupId, Plan, ReplyShape, Step, Target,
    Throw, ThrowOn,
};
pub use fallback::replica;
pub use placing::Placing;
pub use reference::{ContextField, Reference, Root};
pub use required::{MaybeUnset, maybe_unset};
pub use shape::{MissingName, ValueShape, ValueShapes};
