//! Defines what a kind of store has to do.

use std::any::Any;
use std::rc::Rc;
use std::time::Duration;

use super::answer::{Answer, Answers};
use super::cancels::Cancels;
use super::changes::Changes;
use super::endpoints::{Board, Hedge};
use super::examine::Examination;
use super::invalidate::{Invalidate, NotHeard};
use super::lookup::{Ask, BatchedAsk, Compiled, Planned, Unshared};
use super::lookup_error::LookupError;
use super::on_loop::OnLoop;
use super::open_connections::OpenConnections;
use super::table_reloads::TableReloads;
use crate::config::Section;
use crate::error::Code;
use crate::value::Value;

/// One kind of store.
pub trait Backend: Sized + 'static {
    /// The keys of `[backends.NAME]`, checked.
    type Config: Send + Sync + 'static;
    /// The keys of a `[lookups.NAME]` that uses it, checked and compiled so that a call does no parsing.
    type Lookup: Send + Sync + 'static;

    /// Whether what [`Backend::connect`] makes depends on the lookups, such as prepared statements. If not, a reload
    /// keeps it when other lookups are to be asked.
    const PREPARES: bool = false;

    /// Whether a reload keeps what [`Backend::connect`] made if its configuration has not changed.
    const KEPT: bool = true;

    /// Whether the store may fail as a whole, so that a breaker is of use: it is reached over a network.
    const FAILS: bool = true;

    /// Whether its servers hold different parts of it, so that one that fails must not keep lookups from the others.
    fn is_divided(_config: &Self::Config) -> bool {
        false
    }

    /// Reads the keys of `[backends.NAME]`; `kind` is already taken. Problems go to the section; `None` if they
    /// leave no usable configuration.
    fn read_config(section: &mut Section<'_>) -> Option<Self::Config>;

    /// The host and the port of its server, if it has one server and that is reached over TCP.
    fn address(_config: &Self::Config) -> Option<(String, u16)> {
        None
    }

    /// Reads a lookup's own keys; `backend`, `timeout` and the other common ones are already taken.
    fn read_lookup(
        config: &Self::Config,
        section: &mut Section<'_>,
    ) -> Option<Compiled<Self::Lookup>>;

    /// Prepares the store on one loop, for the lookups that are going to be asked. Never fails: if the store is down, its
    /// lookups fail until it comes back; if a lookup can't be prepared, only that one fails.
    async fn connect(
        config: &Self::Config,
        planned: &[Planned<'_, Self::Lookup>],
        on: &OnLoop,
    ) -> Self;

    /// Connects to the store for `check --connect`, and asks it about each lookup. Runs none of them and changes nothing.
    async fn examine(_config: &Self::Config, planned: &[Planned<'_, Self::Lookup>]) -> Examination {
        Examination::nothing("not reached: this kind has nothing to ask", planned.len())
    }

    /// Asks the store. `Value::Null` in the answer means that there is nothing: fate `empty`.
    ///
    /// The future may be dropped at any await (deadline, cancelled call). An implementation must then not use a connection
    /// again on which there is still an unread answer.
    async fn lookup(&self, lookup: &Self::Lookup, ask: Ask<'_>) -> Result<Answer, LookupError>;

    /// Whether [`Backend::lookup_many`] asks several of these for about the cost of one.
    fn batches(_lookup: &Self::Lookup) -> bool {
        false
    }

    /// Describes to the operator how they travel together. Called only for lookups that batch.
    fn batching(_lookup: &Self::Lookup) -> String {
        "one question per iteration of the event loop".into()
    }

    /// Which lane of the store a lookup that batches belongs to. Lookups of one lane travel together and may wait for each
    /// other; no lane waits for another one.
    fn lane(_lookup: &Self::Lookup) -> usize {
        0
    }

    /// Why calls can't share its answers; `None` if equal parameters mean equal answers. The trace and the remaining time,
    /// which some kinds send along, change no answer.
    fn unshared(_lookup: &Self::Lookup) -> Option<Unshared> {
        None
    }

    /// Whether asking twice has the effect of asking once, so that it may be asked again although it may have been answered.
    fn is_repeatable(lookup: &Self::Lookup) -> bool {
        Self::unshared(lookup) != Some(Unshared::Writes)
    }

    /// Whether the store says in this way when answers of a lookup are no longer right.
    fn is_heard(
        _config: &Self::Config,
        _lookup: &Self::Lookup,
        _how: &Invalidate,
    ) -> Result<(), NotHeard> {
        Err((
            "this kind of store does not say what has changed",
            "leave `invalidate` out, and choose a short `ttl`",
        ))
    }

    /// What is probably a mistake in hearing of changes for a lookup, and what to do about it.
    fn hears_too_much(_lookup: &Self::Lookup, _how: &Invalidate) -> Option<NotHeard> {
        None
    }

    /// Calls `each` with the parts of every key on which an answer to these parameters depends; `None` if that can't be said.
    fn keys(
        _lookup: &Self::Lookup,
        _params: &[Value],
        _how: &Invalidate,
        _each: &mut dyn FnMut(&[&[u8]]),
    ) -> Option<()> {
        None
    }

    /// What the store has to be asked to name, so that it says when answers of a lookup are no longer right.
    fn hears_of<'l>(_lookup: &'l Self::Lookup, _how: &'l Invalidate) -> &'l str {
        ""
    }

    /// What hears that, for a store that takes the place of this one and is to hear of the same: see [`OnLoop::hearing`].
    /// Only a kind that [prepares](Backend::PREPARES) needs it.
    fn hearing(&self) -> Option<Rc<dyn Any>> {
        None
    }

    /// What it says about answers that are no longer right, if a lookup wants to know.
    fn changes(&self) -> Option<&Rc<Changes>> {
        None
    }

    /// The requests to the store to stop a statement, if its kind makes such requests.
    fn cancels(&self) -> Option<&Cancels> {
        None
    }

    /// The number of its connections, if that changes with the load.
    fn open_connections(&self) -> Option<&OpenConnections> {
        None
    }

    /// The counts of its endpoints, if it has any.
    fn board(&self) -> Option<&Board> {
        None
    }

    /// How long an attempt to connect may take after which a lookup is asked once more, if it ever is.
    fn retries_after(_config: &Self::Config) -> Option<Duration> {
        None
    }

    /// When a lookup is asked of a second endpoint, if it ever is.
    fn hedge(_lookup: &Self::Lookup) -> Option<&Hedge> {
        None
    }

    /// Describes its endpoints to the operator, if it has any.
    fn balancing(_config: &Self::Config) -> Option<String> {
        None
    }

    /// The counts of a file that is watched, if its thread was started for this store.
    fn table_reloads(&self) -> Option<&TableReloads> {
        None
    }

    /// Asks several questions of any calls as one, and answers each as soon as it can, with its own error. Equal questions are
    /// asked once (`net` helps with that). Called only for lookups that batch, and for those of one lane at a time.
    async fn lookup_many(&self, asked: &[BatchedAsk<'_, Self::Lookup>], answers: Answers<'_>) {
        let why = "this kind does not batch";
        answers.fail(asked.len(), &LookupError::new(Code::ServerInternal, why));
    }
}
