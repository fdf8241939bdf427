//! Judges a history of calls. Pure.
//!
//! It promises to find, in the calls it is given: a call without exactly one reply of its own sequence id (I1), a value
//! that belongs to another call or another store, and a value that is damaged without a reason (I2), a reply after its
//! deadline (I3), a lookup without exactly one fate, or with a fate that its store's faults do not explain (I4), counts
//! that differ from the server's (I5), a store that is not used again in time (I6), a connection that is asked while
//! it is dirty (I7), and a storm of new connections (I8). `planted.rs` plants each of these.
//!
//! It does not promise to see what leaves no trace in a call: a store that is asked twice, a value of the same call that
//! is too old (`crate::outages` judges that), or who is to blame if the machine itself stands still. Time for which this
//! process got no processor is therefore added to every bound, that of a lookup included: the stores are part of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::nonce::{Nonces, answer};

/// A call and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) connection: usize,
    pub(super) sequence: i32,
    pub(super) sent: Instant,
    pub(super) done: Instant,
    /// All messages that came in its place, or why none did.
    pub(super) reply: Result<Reply, String>,
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) sequence: i32,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// An exception with this code.
    Refused(String),
    /// The lookups of the report, in its order.
    Parts(Vec<Part>),
}

/// A lookup in a report, and its value in the reply.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) store: String,
    pub(super) fate: String,
    pub(super) code: Option<String>,
    pub(super) value: Option<String>,
    /// When its fate was known, from the beginning of the call.
    pub(super) done: Duration,
}

/// A time in which something is wrong with a store, until it must be used again.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) store: &'static str,
    /// Whether it may damage values.
    pub(super) damages: bool,
    pub(super) from: Instant,
    pub(super) until: Instant,
}

/// What a run promises.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) stores: Vec<&'static str>,
    pub(super) deadline: Duration,
    /// How late a reply may be, and how long a store may stay unused after its fault.
    pub(super) late_max: Duration,
    pub(super) recovery_max: Duration,
    /// How many new connections to one store there may be in a second, beyond those that may be replaced at once.
    pub(super) connections_per_second: usize,
}

/// The connections that were made during one fault and until its store was used again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connections {
    pub(super) made: usize,
    /// In this time.
    pub(super) within: Duration,
    /// How many may be replaced at once.
    pub(super) at_once: usize,
    /// How many lookups were given up whose end costs a connection.
    pub(super) given_up: usize,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    NoReply(String),
    WrongSequence {
        expected: i32,
        got: i32,
    },
    /// Bytes that no call asked for, at the end of a connection.
    Unasked(usize),
    /// A value of the call with this number.
    MixedUp {
        store: String,
        of: u64,
    },
    Damaged {
        store: String,
        value: String,
    },
    Late(Duration),
    Fates(Vec<String>),
    /// A value beside a fate that has none, or the other way round.
    Contradiction {
        store: String,
        fate: String,
    },
    /// A fate that no fault explains.
    Unexplained {
        store: String,
        fate: String,
        code: Option<String>,
    },
    Refused(String),
    Count {
        what: String,
        history: usize,
        server: usize,
    },
    NotUsedAgain {
        store: &'static str,
        after: Duration,
    },
    Dirty {
        store: &'static str,
        times: usize,
    },
    Storm {
        store: &'static str,
        made: usize,
        allowed: usize,
    },
    /// The server holds more than before the faults, and more than is explained by busier connections.
    Grown {
        what: &'static str,
        before: usize,
        after: usize,
    },
}

/// A violation, and where it was found.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) call: Option<Call>,
    pub(super) violation: Violation,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.violation)?;
        match &self.call {
            Some(call) => write!(f, "\n    on connection {}: {call:?}", call.connection),
            None => Ok(()),
        }
    }
}

/// A lookup may run out of time while this process, with its stores and proxies, stands still for so long.
const STILL: Duration = Duration::from_millis(100);

/// Fates of a failed lookup with their codes.
const FAILURES: [(&str, &str); 5] = [
    ("error", "lookup.unavailable"),
    ("error", "lookup.bad_answer"),
    ("timeout", "lookup.timeout"),
    ("timeout_pool", "lookup.timeout_pool"),
    ("breaker_open", "lookup.breaker_open"),
];

/// Judges calls.
pub(super) struct Judge<'a> {
    pub(super) nonces: Nonces,
    pub(super) promise: &'a Promise,
    pub(super) faults: &'a [Fault],
    /// How many calls have been made: no other call has a number from here on.
    pub(super) made: u64,
    /// When this process stood still: from, until.
    pub(super) stalls: &'a [(Instant, Instant)],
}

impl Judge<'_> {
    /// Everything wrong with one call.
    pub(super) fn call(&self, call: &Call) -> Vec<Violation> {
        let mut wrong = Vec::new();
        let waited = call.done - call.sent;
        if waited > self.promise.deadline + self.promise.late_max + self.stalled(call) {
            wrong.push(Violation::Late(waited));
        }
        let reply = match &call.reply {
            Err(why) => {
                wrong.push(Violation::NoReply(why.clone()));
                return wrong;
            }
            Ok(reply) => reply,
        };
        if reply.sequence != call.sequence {
            wrong.push(Violation::WrongSequence {
                expected: call.sequence,
                got: reply.sequence,
            });
        }
        match &reply.content {
            Content::Refused(code) if code == "server.overloaded" => {}
            Content::Refused(code) => wrong.push(Violation::Refused(code.clone())),
            Content::Parts(parts) => {
                let names = parts.iter().map(|part| part.store.as_str());
                if !names.eq(self.promise.stores.iter().copied()) {
                    let names = parts.iter().map(|part| part.store.clone());
                    wrong.push(Violation::Fates(names.collect()));
                }
                wrong.extend(parts.iter().filter_map(|part| self.part(call, part)));
            }
        }
        wrong
    }

    fn part(&self, call: &Call, part: &Part) -> Option<Violation> {
        let store = || part.store.clone();
        if let Some(value) = &part.value
            && *value != answer(&part.store, &self.nonces.token(call.number))
        {
            return self.foreign(call, &part.store, value);
        }
        if (part.fate == "ok") != part.value.is_some() {
            return Some(Violation::Contradiction {
                store: store(),
                fate: part.fate.clone(),
            });
        }
        if part.value.is_some() {
            return None;
        }
        let failure = (part.fate.as_str(), part.code.as_deref().unwrap_or_default());
        let explained = |fault: &Fault| fault.damages || FAILURES.contains(&failure);
        let out_of_time = failure.0.starts_with("timeout");
        if self.during(call, &part.store).any(explained)
            || out_of_time && self.stalled(call) >= STILL
        {
            return None;
        }
        Some(Violation::Unexplained {
            store: store(),
            fate: part.fate.clone(),
            code: part.code.clone(),
        })
    }

    /// A value that is not the call's own: another call's is never excused.
    fn foreign(&self, call: &Call, store: &str, value: &str) -> Option<Violation> {
        // The last 25 bytes, if the store's name before them is damaged.
        let token = value.get(value.len().saturating_sub(25)..);
        let of = token.and_then(|token| self.nonces.number(token));
        if let Some(of) = of.filter(|of| *of < self.made && *of != call.number) {
            return Some(Violation::MixedUp {
                store: store.to_owned(),
                of,
            });
        }
        if self.during(call, store).any(|fault| fault.damages) {
            return None;
        }
        Some(Violation::Damaged {
            store: store.to_owned(),
            value: value.to_owned(),
        })
    }

    /// The faults of a store that a call may have met.
    fn during<'a>(&'a self, call: &'a Call, store: &'a str) -> impl Iterator<Item = &'a Fault> {
        let until = |fault: &Fault| fault.until + self.promise.recovery_max + self.stalled(call);
        let of_store = self.faults.iter().filter(move |fault| fault.store == store);
        of_store.filter(move |fault| fault.from <= call.done && call.sent <= until(fault))
    }

    /// How long this process stood still during a call.
    fn stalled(&self, call: &Call) -> Duration {
        let met = self
            .stalls
            .iter()
            .filter(|(from, until)| *from <= call.done && call.sent <= *until);
        met.map(|(from, until)| *until - *from).sum()
    }

    /// How long after its end each fault's store was used again, and which was not in time. All calls of the time after
    /// the fault must be there.
    pub(super) fn recovery(&self, fault: &Fault, calls: &[Call]) -> Result<Duration, Violation> {
        let again = |call: &&Call| call.sent >= fault.until && call.whole(fault.store);
        let first = calls.iter().filter(again).map(|call| call.done).min();
        let stalled = self.stalls.iter().filter(|(from, _)| *from >= fault.until);
        let stalled: Duration = stalled.map(|(from, until)| *until - *from).sum();
        let after = first.map_or(Duration::MAX, |first| first - fault.until);
        if after > self.promise.recovery_max + stalled {
            return Err(Violation::NotUsedAgain {
                store: fault.store,
                after,
            });
        }
        Ok(after)
    }

    /// Whether there were too many new connections to a fault's store.
    pub(super) fn connections(&self, fault: &Fault, of: &Connections) -> Option<Violation> {
        let per_second = self.promise.connections_per_second;
        let tenths = usize::try_from(of.within.as_millis() / 100).unwrap_or(usize::MAX);
        let allowed = of.at_once + of.given_up + per_second * tenths / 10;
        (of.made > allowed).then_some(Violation::Storm {
            store: fault.store,
            made: of.made,
            allowed,
        })
    }
}

impl Call {
    /// Whether this store's lookup was given up because it took too long.
    pub(super) fn gave_up(&self, store: &str) -> bool {
        let mut parts = self.parts().iter();
        parts.any(|part| part.store == store && part.fate.starts_with("timeout"))
    }

    /// When the lookups of all other stores were done, from the beginning of the call.
    pub(super) fn others_done(&self, store: Option<&str>) -> Option<Duration> {
        let others = self.parts().iter();
        let others = others.filter(|part| Some(part.store.as_str()) != store);
        others.map(|part| part.done).max()
    }

    /// Whether this store's lookup has a value.
    pub(super) fn whole(&self, store: &str) -> bool {
        self.parts()
            .iter()
            .any(|part| part.store == store && part.value.is_some())
    }

    /// The lookups of its reply; none if it is refused or has no reply.
    pub(super) fn parts(&self) -> &[Part] {
        match &self.reply {
            Ok(Reply {
                content: Content::Parts(parts),
                ..
            }) => parts,
            _ => &[],
        }
    }
}

/// The counts of a history by name, as the server's metrics have them.
pub(super) type Counts = BTreeMap<String, usize>;

/// Adds a call's.
pub(super) fn count(counts: &mut Counts, call: &Call) {
    let Ok(reply) = &call.reply else { return };
    let mut one = |what: String| *counts.entry(what).or_default() += 1;
    match &reply.content {
        Content::Refused(code) => one(format!("call {code}")),
        Content::Parts(parts) => {
            let whole = parts
                .iter()
                .all(|part| part.fate == "ok" || part.fate == "empty");
            one(format!("call {}", if whole { "ok" } else { "partial" }));
            for part in parts {
                one("planned".into());
                one(format!("{} {}", part.store, part.fate));
            }
        }
    }
}

/// Every count in which history and server differ.
pub(super) fn differences(history: &Counts, server: &Counts) -> Vec<Violation> {
    let names: std::collections::BTreeSet<&String> = history.keys().chain(server.keys()).collect();
    let of = |counts: &Counts, name: &String| counts.get(name).copied().unwrap_or_default();
    let differs = names
        .into_iter()
        .filter(|name| of(history, name) != of(server, name));
    differs
        .map(|name| Violation::Count {
            what: name.clone(),
            history: of(history, name),
            server: of(server, name),
        })
        .collect()
}

/// More than twice as much, and more than so many more.
pub(super) fn grown(
    what: &'static str,
    before: usize,
    after: usize,
    slack: usize,
) -> Option<Violation> {
    (after > 2 * before && after > before + slack).then_some(Violation::Grown {
        what,
        before,
        after,
    })
}
