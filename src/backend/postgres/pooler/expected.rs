//! Defines what is expected of the server: one step for each message that it answers, in order.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// The replies that are still to come.
pub(super) type ExpectedReplies = VecDeque<Expected>;

/// One reply that is to come.
#[derive(Debug)]
pub(super) enum Expected {
    /// To a message of the client: passed on.
    Theirs,
    /// To a message of ours: the client must not see it.
    Ours,
    /// The types of a statement that the client prepares: passed on and remembered.
    Learn(Arc<Known>),
    /// The types of a statement that is asked: the client decodes by those it knows, so they have to be the same.
    Compare(Arc<Known>),
    /// The end of a transaction.
    Sync,
}

/// A statement that the client believes to be prepared.
#[derive(Debug)]
pub(super) struct Known {
    /// The message `Parse` after the statement's name.
    pub(super) parse: Bytes,
    /// Its parameters and columns as the server described them.
    pub(super) described: OnceLock<Bytes>,
}
