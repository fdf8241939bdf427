//! Asks one of the endpoints, and another one if that is allowed.

use std::rc::Rc;

use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::board::Board;
use super::config::{Balance, Config};
use super::endpoint::{Client, hash_of};
use super::set::Set;
use super::target::Target;
use super::watch;
use crate::backend::{Ask, LookupError, OnLoop};
use crate::value::Value;

/// The endpoints of one backend on one loop, and the task that keeps them current.
pub(in crate::backend) struct Endpoints<C> {
    set: Rc<Set<C>>,
    /// Ends when dropped.
    _watching: AbortOnDropHandle<()>,
}

impl<C: Client + 'static> Endpoints<C> {
    /// Finds the endpoints, for a moment at most, and keeps them current from then on. `make` makes the client of each.
    pub(in crate::backend) async fn start(
        config: &Config,
        on: &OnLoop,
        make: impl Fn(&Target, &OnLoop) -> C + 'static,
    ) -> Self {
        let set = Rc::new(Set::new(config, on, Box::new(make)));
        let watching = watch::start(config, &set).await;
        Endpoints {
            set,
            _watching: watching,
        }
    }

    /// Asks an endpoint with `attempt`, and another one if that fails and may be retried. `hash` is that of
    /// [`Endpoints::hash`].
    pub(in crate::backend) async fn ask<T>(
        &self,
        hash: Option<u64>,
        ask: &Ask<'_>,
        attempt: impl AsyncFn(&C) -> Result<T, LookupError>,
    ) -> Result<T, LookupError> {
        let set = &*self.set;
        set.retries.asked();
        let asked = set.pick(hash, ask, None)?;
        let first = attempt(asked.client()).await;
        let endpoint = asked.ended(&first);
        match &first {
            Err(err) if set.retries.allow(err, ask) => {
                let (backend, code) = (set.backend(), err.code);
                debug!(backend, endpoint = &*endpoint.label, %code, "a lookup is asked once more");
                let Ok(asked) = set.pick(hash, ask, Some(&endpoint)) else {
                    return first;
                };
                let second = attempt(asked.client()).await;
                asked.ended(&second);
                second
            }
            _ => first,
        }
    }

    /// The hash by which `balance = "hash"` finds the endpoint, if that is configured.
    pub(in crate::backend) fn hash(&self, params: &[Value], hash_on: Option<usize>) -> Option<u64> {
        if !matches!(self.set.config.balance, Balance::Hash(_)) {
            return None;
        }
        let value = params.get(hash_on?)?;
        Some(match value {
            Value::Text(text) => hash_of(text.as_bytes()),
            Value::Bytes(bytes) => hash_of(bytes),
            // A number is the same as its text.
            Value::I64(number) => hash_of(number.to_string().as_bytes()),
            other => hash_of(format!("{other:?}").as_bytes()),
        })
    }

    /// The counts.
    pub(in crate::backend) fn board(&self) -> &Board {
        &self.set.board
    }

    /// The clients in use, in the order of their addresses.
    #[cfg(test)]
    pub(super) fn labels(&self) -> Vec<String> {
        let shown = self.set.board.endpoints().into_iter();
        shown.map(|shown| shown.endpoint.to_string()).collect()
    }
}
