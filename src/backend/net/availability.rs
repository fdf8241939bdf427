//! Holds the state of one connection: its keeper sets it, and lookups read it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::backend::LookupError;
use crate::error::Code;

/// Whether there is a connection, and the client `C` that sends questions over it.
pub(in crate::backend) struct Availability<C>(watch::Sender<State<C>>);

/// The state of a connection.
#[derive(Clone, Debug)]
pub(in crate::backend) enum State<C> {
    /// Worth waiting for: the first attempt, and the time after a connection broke.
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
    /// A connection that is about to be made.
    pub(in crate::backend) fn new() -> Self {
        Availability(watch::Sender::new(State::Connecting))
    }

    /// The state as it is now.
    pub(in crate::backend) fn state(&self) -> watch::Ref<'_, State<C>> {
        self.0.borrow()
    }

    /// Whether questions can be sent now.
    pub(in crate::backend) fn is_up(&self) -> bool {
        self.state().is_up()
    }

    /// Sets the state. Only the keeper does.
    pub(super) fn set(&self, state: State<C>) {
        self.0.send_replace(state);
    }

    /// Marks the current client as broken if `is_broken` says so: the keeper's task may not have run since it
    /// broke.
    pub(in crate::backend) fn lost(&self, is_broken: impl FnOnce(&C) -> bool) {
        self.0.send_if_modified(|state| {
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
        self.0.subscribe()
    }
}

impl<C: Clone> Availability<C> {
    /// The client, or why there is none. `None` while connecting.
    pub(in crate::backend) fn now(&self) -> Option<Result<C, LookupError>> {
        self.state().settled()
    }

    /// The client, after waiting at most `patience` while connecting. `store` names the other end in the error.
    pub(in crate::backend) async fn client(
        &self,
        patience: Duration,
        store: &str,
    ) -> Result<C, LookupError> {
        let now = self.now();
        match now {
            Some(settled) => settled,
            // Rarely needed, and boxed to keep the future of every lookup small.
            None => Box::pin(self.wait(patience, store)).await,
        }
    }

    async fn wait(&self, patience: Duration, store: &str) -> Result<C, LookupError> {
        let mut changes = self.0.subscribe();
        let settled = changes.wait_for(|state| !matches!(state, State::Connecting));
        let settled = match timeout(patience, settled).await {
            Ok(Ok(state)) => state.settled(),
            _ => None,
        };
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
