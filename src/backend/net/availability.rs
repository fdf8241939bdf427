//! The state of one connection, as its keeper sets it and lookups read it.
//!
//! A lookup waits for an attempt that is under way: the first, the one after a connection broke, and one that the lookup
//! itself started. No lookup waits while the keeper pauses. A store that is used is found again soon after it is back, since
//! the first lookup after some of the pause has the next attempt made.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::pace::Pace;
use crate::backend::LookupError;
use crate::error::Code;

/// Whether there is a connection, and the client `C` that sends questions over it.
pub(in crate::backend) struct Availability<C> {
    state: watch::Sender<State<C>>,
    /// From when on a lookup may have the next attempt made; `None` unless the keeper pauses.
    wanted_from: Cell<Option<Instant>>,
    wanted: Notify,
    /// An attempt is under way that a lookup has started.
    is_wanted: Cell<bool>,
    /// How often this connection and the others to its server are made.
    pace: Rc<Pace>,
}

/// The state of a connection.
#[derive(Clone, Debug)]
pub(in crate::backend) enum State<C> {
    /// An attempt is under way: the first, or the one after a connection broke.
    Connecting,
    /// Connected.
    Up(C),
    /// The last attempt failed, for this reason.
    Unavailable(LookupError),
}

impl<C> State<C> {
    /// Whether questions can be sent now.
    pub(in crate::backend) fn is_up(&self) -> bool {
        matches!(self, State::Up(_))
    }
}

impl<C: Clone> State<C> {
    /// The client or the reason why there is none; `None` while that is open.
    fn settled(&self) -> Option<Result<C, LookupError>> {
        match self {
            State::Connecting => None,
            State::Up(client) => Some(Ok(client.clone())),
            State::Unavailable(why) => Some(Err(why.clone())),
        }
    }
}

impl<C> Availability<C> {
    /// The only connection to its server, about to be made.
    pub(in crate::backend) fn new() -> Self {
        Availability::paced(&Pace::new(1))
    }

    /// One of the connections that are made at this pace.
    pub(in crate::backend) fn paced(pace: &Rc<Pace>) -> Self {
        Availability {
            pace: Rc::clone(pace),
            state: watch::Sender::new(State::Connecting),
            wanted_from: Cell::new(None),
            wanted: Notify::new(),
            is_wanted: Cell::new(false),
        }
    }

    /// The state as it is now.
    pub(in crate::backend) fn state(&self) -> watch::Ref<'_, State<C>> {
        self.state.borrow()
    }

    /// Whether questions can be sent now.
    pub(in crate::backend) fn is_up(&self) -> bool {
        self.state().is_up()
    }

    /// Sets the state. Only the keeper does.
    pub(super) fn set(&self, state: State<C>) {
        self.is_wanted.set(false);
        self.state.send_replace(state);
    }

    /// Waits until a lookup wants the connection, which it may from `wanted_after` on, or until `pause` is over. For the
    /// keeper, once the connection is unavailable.
    pub(super) async fn pause(&self, pause: Duration, wanted_after: Duration) {
        self.wanted_from.set(Some(Instant::now() + wanted_after));
        // A lookup either waits for it or ends the pause, so the notice is always of this pause.
        let _wanted = timeout(pause, self.wanted.notified()).await;
        self.wanted_from.set(None);
    }

    /// How often this connection and the others to its server are made.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Has the keeper make its next attempt now, if it pauses and has done so for long enough.
    pub(super) fn want(&self) -> bool {
        let now = Instant::now();
        let is_due =
            self.wanted_from.get().is_some_and(|from| from <= now) && self.pace.wait().is_zero();
        if is_due {
            self.wanted_from.set(None);
            self.is_wanted.set(true);
            self.wanted.notify_one();
        }
        is_due
    }

    /// Whether an attempt is under way that a lookup has started.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.get()
    }

    /// Marks the current client as broken if `is_broken` says so: the keeper's task may not have run since it
    /// broke.
    pub(in crate::backend) fn lost(&self, is_broken: impl FnOnce(&C) -> bool) {
        self.state.send_if_modified(|state| {
            let lost = matches!(state, State::Up(client) if is_broken(client));
            if lost {
                *state = State::Connecting;
            }
            lost
        });
    }

    /// The state and its changes, for tests to wait on.
    #[cfg(test)]
    pub(in crate::backend) fn watch(&self) -> watch::Receiver<State<C>> {
        self.state.subscribe()
    }
}

impl<C: Clone> Availability<C> {
    /// The client, or why there is none. `None` while connecting.
    pub(in crate::backend) fn now(&self) -> Option<Result<C, LookupError>> {
        self.state().settled()
    }

    /// The client, after waiting for at most `patience` for an attempt. `store` names the other end in the error.
    pub(in crate::backend) async fn client(
        &self,
        patience: Duration,
        store: &str,
    ) -> Result<C, LookupError> {
        let now = self.now();
        match now {
            Some(Err(_)) if self.want() => {}
            Some(settled) => return settled.map_err(LookupError::not_tried),
            None => {}
        }
        // Rare, and boxed to keep the future of every lookup small.
        Box::pin(self.outcome(patience, store)).await
    }

    /// The outcome of the attempt that is under way.
    async fn outcome(&self, patience: Duration, store: &str) -> Result<C, LookupError> {
        let mut changes = self.state.subscribe();
        let settled = async {
            loop {
                changes.changed().await.ok()?;
                if let Some(settled) = changes.borrow_and_update().settled() {
                    return Some(settled);
                }
            }
        };
        let settled = timeout(patience, settled).await.ok().flatten();
        settled.unwrap_or_else(|| {
            let why = format!("not connected to {store} yet");
            Err(LookupError::new(Code::LookupUnavailable, why))
        })
    }
}

#[cfg(test)]
pub(in crate::backend) mod tests {
    use std::rc::Rc;

    use futures_util::future::select_all;

    use super::*;

    /// How many of these connections are in each state.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(in crate::backend) struct Counts {
        pub(in crate::backend) connecting: usize,
        pub(in crate::backend) up: usize,
    }

    /// Waits until the counts are as wanted. Only a failing test waits for long.
    pub(in crate::backend) async fn until<C>(
        connections: &[Rc<Availability<C>>],
        mut wanted: impl FnMut(&Counts) -> bool,
    ) {
        let mut changes: Vec<_> = connections.iter().map(|known| known.watch()).collect();
        let waiting = async {
            loop {
                let mut counts = Counts::default();
                for change in &mut changes {
                    match &*change.borrow_and_update() {
                        State::Connecting => counts.connecting += 1,
                        State::Up(_) => counts.up += 1,
                        State::Unavailable(_) => {}
                    }
                }
                if wanted(&counts) {
                    return;
                }
                let changed = changes.iter_mut().map(|change| Box::pin(change.changed()));
                let (changed, ..) = select_all(changed).await;
                changed.expect("the keeper lives");
            }
        };
        let waited = timeout(Duration::from_mins(1), waiting).await;
        waited.expect("in time");
    }

    fn away() -> LookupError {
        LookupError::new(Code::LookupUnavailable, "away")
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn lookups_wait_for_a_connection_no_longer_than_their_patience() {
        let availability = Availability::new();
        let patience = Duration::from_secs(1);
        let late = availability.client(patience, "the store").await;
        let late = late.expect_err("nothing came up").detail;
        assert_eq!(late, "not connected to the store yet");
        let (client, ()) = tokio::join!(availability.client(patience, "the store"), async {
            availability.set(State::Up(7));
        });
        assert_eq!(client.expect("it came up"), 7);
        availability.set(State::Unavailable(away()));
        let down = availability.client(patience, "the store").await;
        assert_eq!(down.expect_err("known at once").detail, "away");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_lookup_ends_the_pause_and_waits_once_enough_of_it_has_passed() {
        let availability = Availability::new();
        let (patience, pause) = (Duration::from_secs(1), Duration::from_secs(9));
        let (soon, later) = (Duration::from_millis(99), Duration::from_millis(101));
        let begun = Instant::now();
        let keeper = async {
            availability.set(State::Unavailable(away()));
            availability.pause(pause, Duration::from_millis(100)).await;
            assert_eq!(begun.elapsed(), later);
            tokio::time::sleep(soon).await;
            availability.set(State::Up(7));
        };
        let lookups = async {
            tokio::time::sleep(soon).await;
            let early = availability.client(patience, "the store").await;
            assert_eq!(early.expect_err("known at once").detail, "away");
            tokio::time::sleep_until(begun + later).await;
            let wants = availability.client(patience, "the store");
            let (first, second) = tokio::join!(wants, async {
                tokio::task::yield_now().await;
                availability.client(patience, "the store").await
            });
            assert_eq!(first.expect("it waited"), 7);
            assert_eq!(second.expect_err("only the first waits").detail, "away");
        };
        tokio::join!(keeper, lookups);
        assert_eq!(begun.elapsed(), later + soon);
    }

    #[test]
    fn only_the_client_in_use_can_be_lost() {
        let availability = Availability::new();
        availability.set(State::Up(2));
        availability.lost(|client| *client == 1);
        assert!(availability.is_up());
        availability.lost(|client| *client == 2);
        assert!(availability.now().is_none(), "it is being made again");
    }
}
