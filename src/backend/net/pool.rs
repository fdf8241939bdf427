//! Starts the tasks of the connections that share a queue, and more of them while questions wait.

use std::rc::Rc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::extra::Extra;
use super::keeper::{Dial, Keeper, keep};
use super::pool_sizes::PoolSizes;
use super::queue::{Limit, Queue};
use crate::backend::GivenUp;
use crate::random::Random;

/// How long a question waits for a free connection before another one is opened: most waits are over by then.
const GROWS_AFTER: Duration = Duration::from_millis(10);

/// Connections that share a queue, and their tasks.
pub(in crate::backend) struct Pool<Q, A> {
    pub(in crate::backend) queue: Rc<Queue<Q, A>>,
    _keepers: Vec<Keeper>,
    _grower: Option<AbortOnDropHandle<()>>,
}

impl<Q: 'static, A: 'static> Pool<Q, A> {
    /// Starts to keep this many connections, on this loop. `dial` makes the [`Dial`] of each from its number.
    pub(in crate::backend) fn start<D: Dial<Client = ()> + 'static>(
        (connections, limit, given_up): (usize, Limit, &GivenUp),
        random: &mut Random,
        dial: impl Fn(usize, Rc<Queue<Q, A>>) -> D,
    ) -> Self {
        let queue = Rc::new(Queue::new(connections, limit, given_up));
        let known = queue.connections.iter().enumerate();
        let keepers = known.map(|(at, availability)| {
            let dial = dial(at, Rc::clone(&queue));
            keep(dial, Rc::clone(availability), random.draw())
        });
        Pool {
            _keepers: keepers.collect(),
            _grower: None,
            queue,
        }
    }

    /// Starts to keep `sizes.min` connections, on this loop, and up to `sizes.max` while questions wait and more connections
    /// pay. `dial` makes the [`Dial`] of each; it gets the [`Extra`] of one that may be closed.
    pub(in crate::backend) fn start_growing<D: Dial<Client = ()> + 'static>(
        (sizes, limit, given_up): (PoolSizes, Limit, &GivenUp),
        random: &mut Random,
        dial: impl Fn(Rc<Queue<Q, A>>, Option<Rc<Extra>>) -> D + 'static,
        pays: impl Fn() -> bool + 'static,
    ) -> Self {
        let extras = (sizes.min..sizes.max).map(|_| Extra::new(sizes.idle_max));
        let queue = Rc::new(Queue::with_extras(
            sizes.min,
            extras.collect(),
            (limit, given_up),
        ));
        let known = queue.connections.iter();
        let keepers = known.map(|availability| {
            let dial = dial(Rc::clone(&queue), None);
            keep(dial, Rc::clone(availability), random.draw())
        });
        let keepers = keepers.collect();
        let seeds: Vec<_> = queue.extras.iter().map(|_| random.draw()).collect();
        let growing = Rc::clone(&queue);
        let grow = async move {
            let mut keepers: Vec<Option<Keeper>> = seeds.iter().map(|_| None).collect();
            loop {
                growing.kept_waiting(GROWS_AFTER).await;
                if let Some(at) = growing.closed().filter(|_| pays()) {
                    let extra = &growing.extras[at];
                    let dial = dial(Rc::clone(&growing), Some(Rc::clone(extra)));
                    keepers[at] = Some(keep(dial, extra.open(), seeds[at]));
                }
            }
        };
        let grows = !queue.extras.is_empty();
        Pool {
            _keepers: keepers,
            _grower: grows.then(|| AbortOnDropHandle::new(tokio::task::spawn_local(grow))),
            queue,
        }
    }

    /// Waits until the connections are as wanted.
    #[cfg(test)]
    pub(in crate::backend) async fn until(&self, wanted: impl FnMut(&super::Counts) -> bool) {
        super::until(&self.queue.connections, wanted).await;
    }
}
