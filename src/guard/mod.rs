//! Stands between the views and the stores: asks each question, and passes its outcome to every guard.
//!
//! The view is outside, the store is inside. A question passes the guards from the outermost to the innermost; its
//! outcome passes the same guards in the opposite order. `guards!` below lists them, outermost first, each with the
//! reason for its place. Inside all of them a question reaches its store in one of two ways: `batch` for lookups
//! that can travel together, `permit` for the others. Both limit how many lookups the store has at a time.
//!
//! [`crate::view`] keeps the deadline, with one alarm per call, and says how a question without an answer ended:
//! [`Pending::time_out`] or [`Pending::cancel`]. To add a guard, add its file, its `mod` line and its entry in the list.

mod guards; // the entrance
mod group; // the questions of a `foreach`
mod pending; // the asker's handle to a question
mod question;
mod params;
mod guarded_stores; // the way inward
mod chain; // what a guard is
mod failure_log;
mod cache;
mod breaker;
mod health;
mod inject;
mod call_faults; // faults that a caller asks for
mod trickle; // answers that arrive slowly
#[cfg(test)]
mod every_third;
mod stores; // everything inside the guards
mod of_loop; // the program that a waiting question belongs to
mod batch;
mod permit;
mod turns; // of callers in a queue
mod waiters; // tasks in such a queue
mod backlog; // how fast a queue is served
mod forecast; // whether a call can be served
mod held; // calls that wait to begin
mod brownout; // optional lookups that are left out
mod purge; // of kept answers
mod purge_types; // whether a value could be a key
mod sending; // how far a question has come
mod detached; // questions that belong to no call
mod reply_slots;
mod deadlines;

pub use brownout::Brownouts;
pub use deadlines::{Alarm, Deadlines};
pub use group::Group;
pub use guards::Guards;
pub use params::Params;
pub use pending::Pending;
pub use purge::{
    NotPurged, Purge, PurgeReceiver, PurgeRequest, PurgeSender, Purged, purge_channel,
};
pub use question::{Question, Time};
pub use reply_slots::ReplySlots;
pub use stores::BLOCKING_MAX;

chain::guards! {
    failure_log: failure_log::FailureLog,
        "Outermost: logs each failed question once, whichever guard or store failed it.";
    call_faults: call_faults::CallFaults,
        "Outside every guard that learns from outcomes: the faults of one call must not change what others get.";
    #[cfg(test)] every_third: every_third::EveryThird,
        "Inside the log, so that its own failures are logged; outside `health`, since it answers without the store.";
    cache: cache::Cache,
        "Outside all that looks after the store: what it answers costs the store nothing. Inside the log, since a call that
        gets an old answer does not fail.";
    breaker: breaker::Breakers,
        "Inside every guard that can answer without the store; outside `health`, which hears nothing of a lookup that is refused here.";
    health: health::Health,
        "Inside every guard that can answer without the store: only the store's own outcomes tell whether it answers.";
    inject: inject::Injector,
        "Innermost: to every other guard, an injected fault looks like the store's.";
}
