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
        let extras = (sizes.max - sizes.min, sizes.idle_max);
        let queue = Queue::with_extras(sizes.min, extras, (limit, given_up));
        let queue = Rc::new(queue);
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::super::keeper::Ended;
    use super::*;
    use crate::backend::LookupError;
    use crate::error::Code;

    const CONNECTIONS: usize = 4;
    const MS: Duration = Duration::from_millis(1);

    /// What the server of a test does.
    #[derive(Default)]
    struct Server {
        connections: Cell<u32>,
        /// How many questions it answers over each connection before it hangs up in the middle of one.
        answers: Cell<u32>,
    }

    struct Dialer {
        server: Rc<Server>,
        queue: Rc<Queue<(), ()>>,
    }

    impl Dial for Dialer {
        type Client = ();
        type Connection = ();

        async fn connect(&mut self) -> Result<((), ()), LookupError> {
            let connections = &self.server.connections;
            connections.set(connections.get() + 1);
            sleep(MS).await;
            Ok(((), ()))
        }

        async fn serve(&mut self, (): (), _: Instant) -> Ended {
            let mut answered = 0;
            loop {
                let question = self.queue.next().await;
                sleep(MS).await;
                if answered == self.server.answers.get() {
                    let why = LookupError::new(Code::LookupUnavailable, "broken");
                    self.queue.put_back(question, &why);
                    return Ended::Broken(why);
                }
                question.answer(Ok(()));
                answered += 1;
            }
        }

        fn age_max(&self) -> Duration {
            Duration::from_mins(10)
        }

        fn unavailable(&mut self, _why: &LookupError) {
            self.queue.refuse_if_unavailable();
        }
    }

    /// Eight callers that ask for `lasts`, each a millisecond after its last answer. Returns how many questions were answered, and
    /// how long one took at most.
    async fn asked(queue: &Queue<(), ()>, lasts: Duration) -> (u32, Duration) {
        let until = Instant::now() + lasts;
        let caller = async |_| {
            let (mut answered, mut longest) = (0, Duration::ZERO);
            while Instant::now() < until {
                let asked = Instant::now();
                answered += u32::from(queue.ask(()).await.is_ok());
                longest = longest.max(asked.elapsed());
                sleep(MS).await;
            }
            (answered, longest)
        };
        let all = join_all((0..8).map(caller)).await.into_iter();
        all.reduce(|one, other| (one.0 + other.0, one.1.max(other.1)))
            .expect("there are callers")
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn connections_that_break_after_some_answers_are_no_storm() {
        let server = Rc::new(Server::default());
        for answers in [0, 1, 20] {
            server.answers.set(answers);
            server.connections.set(0);
            let limit = Limit {
                questions_max: 100,
                shed: "too many",
            };
            let dial = |_, queue| Dialer {
                server: Rc::clone(&server),
                queue,
            };
            let mut random = Random::seeded(1);
            let pool = Pool::start((CONNECTIONS, limit, &GivenUp::default()), &mut random, dial);
            let seconds = 10;
            let (answered, longest) = asked(&pool.queue, Duration::from_secs(seconds)).await;
            let made = u64::from(server.connections.get());
            let most = CONNECTIONS as u64 + 4 + 10 * seconds;
            assert!(
                (seconds * 8..=most).contains(&made),
                "{made} connections that answer {answers}"
            );
            let of_each = answered / server.connections.get();
            assert!(of_each + 1 >= answers, "{answered} of {made} connections");
            // With a connection, or at once.
            assert!(longest <= 50 * MS, "{longest:?}");
            server.answers.set(u32::MAX);
            asked(&pool.queue, Duration::from_secs(2)).await;
            pool.until(|counts| counts.up == CONNECTIONS).await;
        }
    }
}
