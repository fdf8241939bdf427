//! Defines `invalidate` of a cache: how a store says that answers are no longer right.

use std::sync::Arc;

/// How the answers of a lookup are found out to be no longer right: the key `cache.invalidate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalidate {
    /// `true`: the store says which of its keys have changed.
    Keys,
    /// `{ listen = "planes", key = "tailnum" }`: writers say it on this channel.
    Channel {
        /// The name of the channel.
        name: Arc<str>,
        /// Which of the lookup's parameters they name; `None` if all answers are meant.
        key: Option<usize>,
    },
}

/// Why a store can't say what has changed, and what to do.
pub type NotHeard = (&'static str, &'static str);
