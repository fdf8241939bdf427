//! Plays one seed: calls, faults, and the judgement.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::callers::{Callers, DEADLINE, STORES};
use super::history::{Call, Connections, Fault, Found, Judge, Promise, Violation};
use super::network::Way;
use super::nonce::Nonces;
use super::toxic::{Conditions, Direction, Reach, Toxic};
use super::{memcached, redis};
use crate::random::Random;

/// How many seeds every test run plays, and how many faults each has.
const SEEDS: u64 = 4;
const FAULTS: usize = 6;
const CALLERS: usize = 3;
/// The timers' precision.
const LATE_MAX: Duration = Duration::from_millis(2);
/// The longest pause between two probes of a breaker, or between two attempts to connect, and an attempt: a connection
/// that does not answer is given up after a second.
const RECOVERY_MAX: Duration = Duration::from_secs(2);
/// How many connections each store has.
const CONNECTIONS: [usize; 2] = [1, 2];
/// How many attempts to connect there may be at once beyond that, and then in a second.
const AT_ONCE: usize = 4;
const ATTEMPTS_PER_SECOND: usize = 10;

/// A seed's calls, and what is wrong with them.
pub(super) struct Played {
    begun: Instant,
    pub(super) calls: Vec<Call>,
    pub(super) found: Vec<Found>,
}

impl Played {
    /// All calls, with times from the beginning.
    pub(super) fn story(&self) -> String {
        let call = |call: &Call| {
            let Call {
                number,
                sent,
                done,
                reply,
                ..
            } = call;
            format!(
                "{number} {:?} {:?} {reply:?}\n",
                *sent - self.begun,
                *done - self.begun
            )
        };
        self.calls.iter().map(call).collect()
    }
}

/// The seeds to play.
pub(super) fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse()
                .unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")),
        )
    };
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS),
    }
}

pub(super) async fn play(seed: u64) -> Played {
    let begun = Instant::now();
    let nonces = Nonces { seed };
    let mut random = Random::seeded(seed);
    let mut part = || Random::seeded(random.draw());
    let ways = [
        Way::new(STORES[0], redis::speak, part()),
        Way::new(STORES[1], memcached::speak, part()),
    ];
    let callers = Rc::new(Callers::new(nonces, part()).await);
    let tasks: Vec<_> = (0..CALLERS)
        .map(|at| spawn_local(Rc::clone(&callers).call_on(at, part())))
        .collect();
    let (faults, attempts) = weather(&ways, &mut random).await;
    callers.stop.set(true);
    for task in tasks {
        task.await.expect("it does not panic");
    }
    let calls = callers.calls.take();
    let found = judged(nonces, callers.made.get(), (&faults, &attempts), &calls);
    Played {
        begun,
        calls,
        found,
    }
}

/// One fault after another, of one store or of both. Also returns the attempts to connect during each and until some time after it.
async fn weather(ways: &[Way], random: &mut Random) -> (Vec<Fault>, Vec<(Fault, Connections)>) {
    // At first, nothing is connected.
    let begun = Instant::now();
    let mut faults: Vec<Fault> = STORES.map(|store| fault(store, false, begun)).into();
    let mut attempts = Vec::new();
    sleep(RECOVERY_MAX).await;
    for _ in 0..FAULTS {
        sleep(Duration::from_millis(500 + random.draw() % 1000)).await;
        let begun = Instant::now();
        let before: Vec<_> = ways.iter().map(Way::attempts).collect();
        let mut both = Vec::new();
        let which = random.draw() % 3;
        for (way, (store, bit)) in ways.iter().zip(STORES.into_iter().zip([1, 2])) {
            if (which + 1) & bit != 0 {
                let (conditions, damages) = bad(random);
                way.set(conditions);
                both.push(fault(store, damages, begun));
            }
        }
        sleep(Duration::from_millis(50 + random.draw() % 6000)).await;
        for way in ways {
            way.set(Conditions::fair());
        }
        for fault in &mut both {
            fault.until = Instant::now();
        }
        faults.append(&mut both);
        sleep(RECOVERY_MAX + DEADLINE).await;
        for (at, way) in ways.iter().enumerate() {
            let of = Connections {
                made: way.attempts() - before[at],
                within: begun.elapsed(),
                at_once: CONNECTIONS[at] + AT_ONCE,
                given_up: 0,
            };
            attempts.push((fault(STORES[at], false, begun), of));
        }
    }
    (faults, attempts)
}

fn fault(store: &'static str, damages: bool, from: Instant) -> Fault {
    Fault {
        store,
        damages,
        from,
        until: from,
    }
}

/// Conditions of any kind, and whether they damage values.
fn bad(random: &mut Random) -> (Conditions, bool) {
    let mut millis = |below: u64| Duration::from_millis(1 + random.draw() % below);
    let (short, long) = (millis(100), millis(800));
    let toxic = match millis(10).as_millis() {
        1 => return (Conditions::reach(Reach::Refused), false),
        2 => {
            let flapping = Reach::Flapping {
                up: short,
                down: millis(300),
            };
            return (Conditions::reach(flapping), false);
        }
        3 => Toxic::Hold,
        4 => Toxic::Timeout { timeout: short },
        5 => Toxic::ResetPeer { timeout: short },
        6 => Toxic::LimitData { bytes: 700 },
        7 => Toxic::Slicer {
            average_size: 9,
            size_variation: 8,
            delay: Duration::from_millis(3),
        },
        8 => Toxic::Latency {
            latency: long,
            jitter: long,
        },
        9 => Toxic::Bandwidth { rate: 1 },
        _ => Toxic::Corrupt {
            run: 16,
            share: 0.3,
        },
    };
    let damages = matches!(toxic, Toxic::Corrupt { .. });
    // Damaged questions are indistinguishable from other questions.
    let direction = match random.draw() % 4 {
        0 if !damages => Direction::Upstream,
        _ => Direction::Downstream,
    };
    (Conditions::fair().and(direction, 0.8, toxic), damages)
}

fn judged(
    nonces: Nonces,
    made: u64,
    (faults, attempts): (&[Fault], &[(Fault, Connections)]),
    calls: &[Call],
) -> Vec<Found> {
    let promise = Promise {
        stores: STORES.to_vec(),
        deadline: DEADLINE,
        late_max: LATE_MAX,
        recovery_max: RECOVERY_MAX,
        connections_per_second: ATTEMPTS_PER_SECOND,
    };
    let judge = Judge {
        nonces,
        promise: &promise,
        faults,
        made,
        stalls: &[],
    };
    let of_calls = calls.iter().flat_map(|call| {
        let wrong = judge.call(call).into_iter();
        wrong.map(|violation| Found {
            call: Some(call.clone()),
            violation,
        })
    });
    let recoveries = faults
        .iter()
        .filter_map(|fault| judge.recovery(fault, calls).err());
    let storms = attempts.iter();
    let storms = storms.filter_map(|(fault, of)| judge.connections(fault, of));
    let of_stores = recoveries.chain(storms).map(|violation: Violation| Found {
        call: None,
        violation,
    });
    of_calls.chain(of_stores).collect()
}
