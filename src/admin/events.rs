//! Sends what happens once a second: `GET /events`, as server-sent events.
//!
//! An event has what changed since the one before it: the calls of each method and how long they took, the state of
//! backends, endpoints and loops, what was refused, and some of the calls that the recorder kept. It is computed once for
//! all clients, and only while there are some. A client that does not read is disconnected.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, Response, StatusCode};
use serde_json::{Map, Value as Json, json};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::body::Answer;
use super::call_json::call_json;
use super::calls::gains_json;
use super::response::{not_allowed, text, with_type};
use crate::metrics::{BOUNDS, MethodNow, Metrics, Snapshot};
use crate::recorder::{List, RecordedCall};
use crate::timeline::Source;

const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
pub(super) const PATH: &str = "/events";
/// Additional clients are refused.
pub(super) const CLIENTS_MAX: usize = 8;
/// Events that a client may be behind.
const BEHIND_MAX: usize = 4;
const PERIOD: Duration = Duration::from_secs(1);
/// Calls per event, so that a client can follow.
const CALLS_MAX: usize = 30;
/// Every so many events the gains of all methods are sent.
const GAINS_EVERY: u64 = 5;

/// A client that listens.
#[derive(Debug)]
struct Client {
    sender: mpsc::Sender<Bytes>,
    /// Ends its connection.
    end: CancellationToken,
    /// It has had no event yet, and needs the whole state.
    is_new: bool,
}

/// The clients that listen.
#[derive(Debug, Default)]
pub(super) struct Events(RefCell<Vec<Client>>);

impl Events {
    /// The answer to a request, with what ends it.
    pub(super) fn answer(&self, method: &Method) -> (Response<Answer>, Option<CancellationToken>) {
        if method != Method::GET {
            return (not_allowed("GET"), None);
        }
        let Some((pieces, end)) = self.listen() else {
            let why = "too many listen already\n";
            return (text(StatusCode::SERVICE_UNAVAILABLE, why), None);
        };
        let mut response = with_type(StatusCode::OK, "", EVENTS);
        *response.body_mut() = Answer::Pieces(pieces);
        (response, Some(end))
    }

    /// Another client; `None` if there are too many. Its connection ends with the token.
    fn listen(&self) -> Option<(mpsc::Receiver<Bytes>, CancellationToken)> {
        let mut clients = self.0.borrow_mut();
        clients.retain(|client| !client.sender.is_closed());
        if clients.len() >= CLIENTS_MAX {
            return None;
        }
        let (sender, receiver) = mpsc::channel(BEHIND_MAX);
        let end = CancellationToken::new();
        clients.push(Client {
            sender,
            end: end.clone(),
            is_new: true,
        });
        Some((receiver, end))
    }

    /// Sends events for as long as it is polled.
    pub(super) async fn send(self: Rc<Self>, metrics: Arc<Metrics>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before: Option<State> = None;
        loop {
            ticks.tick().await;
            let mut clients = self.0.take();
            clients.retain(|client| !client.sender.is_closed());
            if clients.is_empty() {
                before = None;
                continue;
            }
            let mut now = State::of(&metrics, before.as_ref());
            let whole = clients.iter().any(|client| client.is_new);
            let whole = whole.then(|| event(&now.json(None)));
            let change = before.as_ref().map(|before| event(&now.json(Some(before))));
            now.calls.clear();
            before = Some(now);
            clients.retain_mut(|client| {
                let first = std::mem::take(&mut client.is_new);
                let event = if first { &whole } else { &change };
                let sent = event.clone().map(|event| client.sender.try_send(event));
                let keeps_up = sent.is_none_or(|sent| sent.is_ok());
                if !keeps_up {
                    client.end.cancel();
                }
                keeps_up
            });
            self.0.borrow_mut().append(&mut clients);
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        for client in self.0.get_mut() {
            client.end.cancel();
        }
    }
}

fn event(json: &Json) -> Bytes {
    Bytes::from(format!("data: {json}\n\n"))
}

/// What one event tells.
struct State {
    now: Snapshot,
    number: u64,
    metrics: Arc<Metrics>,
    /// Calls that were kept since the event before.
    calls: Vec<Arc<RecordedCall>>,
    /// The last call that was sent of each loop.
    sent: HashMap<usize, u64>,
}

impl State {
    fn of(metrics: &Arc<Metrics>, before: Option<&State>) -> Self {
        let mut sent = before.map_or_else(HashMap::new, |before| before.sent.clone());
        let recent = metrics.recorder().map(|of| of.list(List::Recent));
        let mut calls = recent.unwrap_or_default();
        calls.retain(|call| {
            sent.get(&call.of_loop)
                .is_none_or(|last| call.number > *last)
        });
        for call in &calls {
            let last = sent.entry(call.of_loop).or_default();
            *last = call.number.max(*last);
        }
        // Evenly, so that no moment and no loop is left out.
        let step = calls.len().div_ceil(CALLS_MAX).max(1);
        State {
            now: metrics.snapshot(),
            number: before.map_or(0, |before| before.number + 1),
            metrics: Arc::clone(metrics),
            calls: calls.into_iter().step_by(step).collect(),
            sent,
        }
    }

    /// The event. Without a state before, counts are those since the start.
    fn json(&self, before: Option<&State>) -> Json {
        let (now, health) = (&self.now, self.metrics.health());
        let state = health.readiness().as_str();
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut event = json!({
            "at_ms": time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(0)),
            "whole": before.is_none(),
            "version": env!("CARGO_PKG_VERSION"),
            "state": state,
            "calls_in_flight": now.calls_in_flight,
            "connections": now.connections,
            "config_loaded_at": self.metrics.effective().1,
            "reloads_refused": now.reloads_refused,
            "records": self.metrics.recorder().is_some(),
            "methods": self.methods(before),
            "backends": self.backends(before),
            "endpoints": self.endpoints(before),
            "loops": now.loops.iter().map(|of| json!({
                "loop": of.at, "lag_us": of.lag / 1000, "lag_max_us": of.lag_max / 1000,
                "busy_us": of.busy / 1000,
            })).collect::<Vec<Json>>(),
            "refused": self.refused(before),
            "calls": self.calls.iter().map(|call| call_json(call)).collect::<Vec<Json>>(),
        });
        if before.is_none() || self.number.is_multiple_of(GAINS_EVERY) {
            let gains = self.metrics.recorder().map(|of| of.gains());
            let gains = gains.unwrap_or_default();
            let gains = gains.iter().map(|(method, of)| gains_json(method, of));
            event["gains"] = gains.collect();
        }
        event
    }

    /// Methods with calls since `before`; all of them without it.
    fn methods(&self, before: Option<&State>) -> Vec<Json> {
        let each = self.now.methods.iter().filter_map(|now| {
            let then = before.and_then(|before| {
                let mut all = before.now.methods.iter();
                all.find(|of| of.name == now.name)
            });
            let none = MethodNow::default();
            let then = then.unwrap_or(&none);
            let calls = [
                now.ok.saturating_sub(then.ok),
                now.partial.saturating_sub(then.partial),
                now.failed.saturating_sub(then.failed),
            ];
            if before.is_some() && calls == [0; 3] {
                return None;
            }
            let durations: Vec<u64> = (now.durations.iter().enumerate())
                .map(|(at, count)| {
                    count.saturating_sub(then.durations.get(at).copied().unwrap_or(0))
                })
                .collect();
            Some(json!({
                "method": now.name,
                "ok": calls[0], "partial": calls[1], "failed": calls[2],
                "p50_us": quantile(&durations, 0.5), "p99_us": quantile(&durations, 0.99),
            }))
        });
        each.collect()
    }

    fn backends(&self, before: Option<&State>) -> Vec<Json> {
        let each = self.now.backends.iter().map(|now| {
            let then = before.and_then(|before| {
                let mut all = before.now.backends.iter();
                all.find(|of| of.name == now.name)
            });
            let answers = Source::ALL.iter().zip(&now.answers).enumerate();
            let answers = answers.filter_map(|(at, (source, count))| {
                let count = count.saturating_sub(then.map_or(0, |then| then.answers[at]));
                (count > 0).then(|| (source.as_str().to_owned(), Json::from(count)))
            });
            json!({
                "backend": now.name, "up": now.up, "in_flight": now.in_flight,
                "waiting": now.waiting, "breakers_open": now.open,
                "answers": answers.collect::<Map<String, Json>>(),
            })
        });
        each.collect()
    }

    fn endpoints(&self, before: Option<&State>) -> Vec<Json> {
        let each = self.now.endpoints.iter().map(|now| {
            let then = before.and_then(|before| {
                let mut all = before.now.endpoints.iter();
                all.find(|of| of.backend == now.backend && of.endpoint == now.endpoint)
            });
            let (ok, failed) = then.map_or((0, 0), |then| (then.ok, then.failed));
            json!({
                "backend": now.backend, "endpoint": now.endpoint, "up": now.up,
                // A reload may have started its counts anew.
                "ok": now.ok.saturating_sub(ok), "failed": now.failed.saturating_sub(failed),
            })
        });
        each.collect()
    }

    /// What was refused since `before`, by reason; reasons that never occurred are left out.
    fn refused(&self, before: Option<&State>) -> Map<String, Json> {
        let each = self.now.refused.iter().enumerate();
        let each = each.filter(|(_, (_, count))| *count > 0);
        let each = each.map(|(at, (reason, count))| {
            let then = before.map_or(0, |before| before.now.refused[at].1);
            (reason.clone(), Json::from(count.saturating_sub(then)))
        });
        each.collect()
    }
}

/// The quantile of durations in microseconds, by their counts in buckets; `None` if there are none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate between two bounds"
)]
fn quantile(counts: &[u64], share: f64) -> Option<u64> {
    let all: u64 = counts.iter().sum();
    let mut rank = all as f64 * share;
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let count = *count as f64;
        if rank <= count {
            let from = at.checked_sub(1).map_or(0, |before| BOUNDS[before]) as f64;
            let last = BOUNDS.len() - 1;
            let to = BOUNDS[at.min(last)] as f64;
            return Some(((from + (to - from).max(0.0) * (rank / count)) / 1000.0) as u64);
        }
        rank -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_the_bounds_of_its_bucket() {
        let mut counts = vec![0; BOUNDS.len() + 1];
        assert_eq!(quantile(&counts, 0.5), None);
        counts[0] = 90;
        counts[5] = 10;
        assert_eq!(quantile(&counts, 0.5), Some(277));
        let p99 = quantile(&counts, 0.99).expect("there are calls");
        assert!((10_000..=25_000).contains(&p99), "{p99}");
        counts[BOUNDS.len()] = 1000;
        assert_eq!(quantile(&counts, 0.99), Some(5_000_000));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn clients_get_a_whole_state_then_changes_and_a_silent_one_is_left_out() {
        let metrics = Metrics::new(1, CancellationToken::new());
        let events = Rc::new(Events::default());
        let sending = tokio::task::spawn_local(Rc::clone(&events).send(Arc::clone(&metrics)));
        let (mut reader, _end) = events.listen().expect("there is room");
        let (silent, end) = events.listen().expect("there is room");
        let mut wholes = Vec::new();
        for _ in 0..BEHIND_MAX + 2 {
            let event = reader.recv().await.expect("an event");
            let text = std::str::from_utf8(&event).expect("text");
            let json = text.strip_prefix("data: ").expect("an event");
            let json: Json = serde_json::from_str(json).expect("JSON");
            assert_eq!(json["state"], "starting");
            wholes.push(json["whole"].as_bool().expect("a bool"));
        }
        assert!(wholes[0] && !wholes[1..].contains(&true), "{wholes:?}");
        assert!(end.is_cancelled());
        drop(silent);
        let more: Vec<_> = (0..CLIENTS_MAX).map(|_| events.listen()).collect();
        assert_eq!(more.iter().flatten().count(), CLIENTS_MAX - 1);
        sending.abort();
    }
}
