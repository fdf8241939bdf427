//! A run: fault after fault, under load, and everything judged.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};
use tributary::random::Random;

use super::history::{
    Connections, Counts, Fault, Found, Judge, Promise, Violation, count, differences, grown,
};
use super::load::Load;
use super::nonce::Nonces;
use super::site::{DEADLINE, Place, Site};
use super::stores::{KINDS, Scripted};
use super::table::Table;
use super::weather::{self, Weather};
use crate::support::PATIENCE;

/// How late a reply may be.
const LATE_MAX: Duration = Duration::from_millis(50);
/// How long a store may stay unused after its fault: the longest pause between two probes or two attempts to connect,
/// and the attempt.
const RECOVERY_MAX: Duration = Duration::from_secs(2);
/// How many new connections to a store there may be in a second, at whatever number of connections: those that follow one
/// another after a tenth of a second, a fifth more or less, and one in ten for the requests to stop statements of sessions
/// that were lost.
const CONNECTIONS_PER_SECOND: usize = 14;
/// How many second attempts may be made at once beyond one for each connection.
const SECOND_ATTEMPTS: usize = 8;
/// Calls without a fault before the next one.
const CALM: Duration = Duration::from_millis(300);

/// How long a run is.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) seed: u64,
    /// How many connections call.
    pub(super) connections: usize,
    /// Ends after the round in which so many calls are reached, and, if only some faults are wanted, after each of them.
    pub(super) calls: u64,
    /// How many stores have a fault at the same time, and for how long.
    pub(super) together: usize,
    pub(super) fault: Duration,
    /// The names of the faults and stores that are wanted, with a `+` between them; `None`: all of them.
    pub(super) only: Option<String>,
}

/// What a run found.
pub(super) struct Outcome {
    pub(super) calls: u64,
    pub(super) rounds: usize,
    pub(super) took: Duration,
    /// All violations, and the first few of them.
    pub(super) violations: usize,
    pub(super) first: Vec<Found>,
    pub(super) table: Table,
    /// What the server logged.
    pub(super) log: String,
}

/// How many violations are shown.
const FIRST: usize = 10;
/// How many calls are judged in one go.
const SLICE: usize = 20;

pub(super) async fn run(options: Options) -> Outcome {
    let site = Site::start(options.seed).await;
    let nonces = Nonces { seed: options.seed };
    let mut run = Run {
        load: Load::start(site.server.addr, options.connections, site.schema(), nonces),
        site,
        nonces,
        promise: Promise {
            stores: KINDS.iter().map(|kind| kind.name).collect(),
            deadline: DEADLINE,
            late_max: LATE_MAX,
            recovery_max: RECOVERY_MAX,
            connections_per_second: CONNECTIONS_PER_SECOND,
        },
        faults: Vec::new(),
        counts: Counts::new(),
        begun: Instant::now(),
        outcome: Outcome {
            calls: 0,
            rounds: 0,
            took: Duration::ZERO,
            violations: 0,
            first: Vec::new(),
            table: Table::new(),
            log: String::new(),
        },
    };
    run.stores_are_reached().await;
    let descriptors = run.site.descriptors();
    let mut random = Random::seeded(options.seed);
    let mut pairs = Vec::new();
    // Those that are wanted are all met.
    let mut is_whole = options.only.is_none();
    while run.load.made() < options.calls || !is_whole {
        if pairs.len() < options.together {
            pairs = shuffled(&mut random, options.only.as_deref());
        }
        let mut round: Vec<(usize, &'static Weather)> = Vec::new();
        while round.len() < options.together
            && let Some(at) = pairs
                .iter()
                .position(|(at, _)| round.iter().all(|(other, _)| other != at))
        {
            round.push(pairs.swap_remove(at));
        }
        run.round(&round, options.fault).await;
        is_whole |= pairs.is_empty();
    }
    run.end(descriptors).await
}

/// Every fault of every store once.
fn shuffled(random: &mut Random, only: Option<&str>) -> Vec<(usize, &'static Weather)> {
    static ALL: [Weather; 14] = weather::ALL;
    let wanted: Vec<&str> = only.unwrap_or_default().split('+').collect();
    let is_wanted = |at: usize, fault: &Weather| {
        only.is_none() || wanted.contains(&KINDS[at].name) || wanted.contains(&fault.name)
    };
    let mut pairs: Vec<_> = (0..KINDS.len())
        .flat_map(|at| ALL.iter().map(move |fault| (at, fault)))
        .filter(|(at, fault)| is_wanted(*at, fault))
        .collect();
    assert!(!pairs.is_empty(), "no fault or store is called {wanted:?}");
    for at in (1..pairs.len()).rev() {
        let other = random.draw() % (at as u64 + 1);
        pairs.swap(at, usize::try_from(other).expect("below a usize"));
    }
    pairs
}

struct Run {
    site: Site,
    load: Load,
    nonces: Nonces,
    promise: Promise,
    /// Those that a call which has not been judged may have met.
    faults: Vec<Fault>,
    counts: Counts,
    begun: Instant,
    outcome: Outcome,
}

impl Run {
    /// Before that, any store may not have been reached yet.
    async fn stores_are_reached(&mut self) {
        self.faults = KINDS.iter().map(|kind| begins(kind.name, false)).collect();
        let begun = self.begun;
        for name in &self.promise.stores {
            let reached = timeout(PATIENCE, self.whole(name, begun)).await;
            assert!(
                reached.is_ok(),
                "{name} is not used: {:?}",
                self.load.take().last()
            );
        }
        self.faults
            .iter_mut()
            .for_each(|fault| fault.until = Instant::now());
        sleep(CALM).await;
    }

    /// Waits for a value of this store in a call that is sent from `since` on.
    async fn whole(&self, store: &str, since: Instant) {
        while !self.load.has_whole(store, since) {
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn round(&mut self, faulty: &[(usize, &'static Weather)], lasts: Duration) {
        let places = |site: &Site| -> Vec<usize> {
            site.places
                .iter()
                .map(|place| place.proxy.accepted())
                .collect()
        };
        let (before, begun) = (places(&self.site), Instant::now());
        let mut faults = Vec::new();
        for (at, weather) in faulty {
            let Place {
                kind,
                proxy,
                scripted,
            } = &self.site.places[*at];
            faults.push(begins(kind.name, weather.damages));
            weather.begin(proxy, scripted.as_ref());
        }
        sleep(lasts).await;
        for ((at, weather), fault) in faulty.iter().zip(&mut faults) {
            let Place {
                proxy, scripted, ..
            } = &self.site.places[*at];
            weather.end(proxy, scripted.as_ref()).await;
            fault.until = Instant::now();
        }
        for fault in &faults {
            // The judge decides whether it took too long.
            let again = self.whole(fault.store, fault.until);
            let _late = timeout(RECOVERY_MAX * 2, again).await;
        }
        let calm = Instant::now();
        sleep(CALM).await;
        let after = places(&self.site);
        let made = |(at, _): &(usize, _)| Connections {
            made: after[*at] - before[*at],
            within: begun.elapsed(),
            at_once: KINDS[*at].connections.unwrap_or(self.load.depth()) + SECOND_ATTEMPTS,
            given_up: 0,
        };
        let made: Vec<Connections> = faulty.iter().map(made).collect();
        self.judge(faulty, &faults, &made, calm).await;
    }

    /// Judges all calls that have ended, and the recovery from this round's faults.
    async fn judge(
        &mut self,
        faulty: &[(usize, &'static Weather)],
        faults: &[Fault],
        made: &[Connections],
        calm: Instant,
    ) {
        self.faults.extend_from_slice(faults);
        let calls = self.load.take();
        let stalls = self.load.stalls();
        let mut found = Vec::new();
        let judge = Judge {
            nonces: self.nonces,
            promise: &self.promise,
            faults: &self.faults,
            made: self.load.made(),
            stalls: &stalls,
        };
        for (at, call) in calls.iter().enumerate() {
            // Stores, proxies and callers are tasks of this thread.
            if at % SLICE == 0 {
                yield_now().await;
            }
            let wrong = judge.call(call);
            let is_wrong = !wrong.is_empty();
            count(&mut self.counts, call);
            for (fault, (_, weather)) in faults.iter().zip(faulty) {
                if fault.from <= call.sent && call.sent < fault.until {
                    self.outcome
                        .table
                        .during(weather.name, fault, call, is_wrong);
                }
            }
            if call.sent >= calm {
                self.outcome.table.undisturbed(call);
            }
            let with_call = |violation| Found {
                call: Some(call.clone()),
                violation,
            };
            found.extend(wrong.into_iter().map(with_call));
        }
        for ((fault, (at, weather)), made) in faults.iter().zip(faulty).zip(made) {
            let given_up = calls.iter().filter(|call| call.gave_up(fault.store));
            let made = Connections {
                given_up: if KINDS[*at].gives_up {
                    given_up.count()
                } else {
                    0
                },
                ..*made
            };
            found.extend(judge.connections(fault, &made).map(|violation| Found {
                call: None,
                violation,
            }));
            match judge.recovery(fault, &calls) {
                Ok(after) => self
                    .outcome
                    .table
                    .after(weather.name, fault.store, after, made.made),
                Err(violation) => found.push(Found {
                    call: None,
                    violation,
                }),
            }
        }
        self.outcome.rounds += 1;
        self.found(found);
        let kept = self.faults.len().saturating_sub(2 * KINDS.len());
        self.faults.drain(..kept);
    }

    fn found(&mut self, found: Vec<Found>) {
        self.outcome.violations += found.len();
        let room = FIRST - self.outcome.first.len();
        self.outcome.first.extend(found.into_iter().take(room));
    }

    async fn end(mut self, descriptors: usize) -> Outcome {
        let ends = self.load.end().await;
        self.found(ends);
        self.judge(&[], &[], &[], Instant::now()).await;
        let mut found = differences(&self.counts, &self.site.counts());
        for Place { kind, scripted, .. } in &self.site.places {
            let times = scripted.as_ref().map_or(0, Scripted::dirty);
            if times > 0 {
                found.push(Violation::Dirty {
                    store: kind.name,
                    times,
                });
            }
        }
        found.extend(grown(
            "descriptors",
            descriptors,
            self.site.descriptors(),
            32,
        ));
        let without_call = |violation| Found {
            call: None,
            violation,
        };
        self.found(found.into_iter().map(without_call).collect());
        self.outcome.log = self.site.stop();
        self.outcome.calls = self.load.made();
        self.outcome.took = self.begun.elapsed();
        self.outcome
    }
}

/// A fault of `store` that begins now.
fn begins(store: &'static str, damages: bool) -> Fault {
    let now = Instant::now();
    Fault {
        store,
        damages,
        from: now,
        until: now,
    }
}
