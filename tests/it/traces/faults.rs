//! Collectors that refuse, hang, answer late or with garbage: calls are answered as ever, and what is lost is counted.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::spans_of_calls;
use crate::admin::{patiently, scrape};
use crate::support::airports::{CONFIG, FILES, airport};
use crate::support::message::message;
use crate::support::stub::{Answer, Stub, answer};
use crate::support::{Tributary, Wire, free_port};

const CALL: u8 = 1;
const EXPORTED: &str = "tributary_traces_exported_total";
const DROPPED: &str = "tributary_traces_dropped_total";

struct Traced {
    server: Tributary,
    admin: SocketAddr,
}

impl Traced {
    fn start(collector: SocketAddr, keys: &str) -> Self {
        let config = format!(
            "admin = {{ listen = \"127.0.0.1:0\" }}\n[traces]\nendpoint = \"http://{collector}\"\nencoding = \"json\"\n\
             compression = \"none\"\nshare = 1.0\n{keys}\n{CONFIG}"
        );
        let mut server = Tributary::start(&config, &FILES);
        let admin = server.admin();
        Traced { server, admin }
    }

    /// Makes so many calls, each of which is answered well.
    fn call(&self, calls: i32) {
        let mut wire = Wire::connect(self.server.addr);
        for at in 0..calls {
            wire.send_frame(&message(CALL, "get", at, "JFK"));
            assert_eq!(wire.read_frame(), airport("get", at, "JFK", "Kennedy"));
        }
    }

    fn exported(&self) -> usize {
        scrape(self.admin).count(EXPORTED, &[])
    }

    fn dropped(&self, why: &str) -> usize {
        scrape(self.admin).count(DROPPED, &[("reason", why)])
    }
}

fn fine() -> Answer {
    answer("200 OK", "", "{}")
}

/// A queue that holds less than the calls that are made.
const SMALL: &str = "queue = 4\nbatch_max = 4";

/// The first batch and the queue are the only calls that are not dropped, until the server stops.
#[track_caller]
fn costs_only_its_own(traced: Traced) {
    traced.call(50);
    patiently(|| traced.dropped("queue_full") > 0);
    traced.call(50);
    assert_eq!(traced.exported(), 0);
    // Without the wait for the end, none would be dropped for any other reason.
    assert_eq!(traced.dropped("unreachable") + traced.dropped("refused"), 0);
    let (status, log) = traced.server.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("the last traces were not sent in time"),
        "{log}"
    );
}

#[test]
fn a_collector_that_is_not_there_costs_only_traces() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    costs_only_its_own(Traced::start(nobody, SMALL));
}

#[test]
fn a_collector_that_hangs_costs_only_traces() {
    let silent = Stub::start(|_| Answer::new());
    costs_only_its_own(Traced::start(silent.addr, SMALL));
}

#[test]
fn a_slow_collector_gets_what_the_queue_holds() {
    let (open, gate): (Sender<()>, Receiver<()>) = channel();
    #[expect(clippy::disallowed_types, reason = "threads of a test share it")]
    let gate = std::sync::Mutex::new(gate);
    let slow = Stub::start(move |_| {
        // Once its sender is gone, the gate is open.
        let _open = gate.lock().expect("no thread panics with it").recv();
        fine()
    });
    let traced = Traced::start(slow.addr, "");
    traced.call(1);
    let first = spans_of_calls(&slow, 1);
    assert!(!first.is_empty());
    traced.call(100);
    assert_eq!(traced.exported(), 0, "nothing is answered yet");
    drop(open);
    patiently(|| traced.exported() == 101);
    assert_eq!(traced.dropped("queue_full"), 0);
}

#[test]
fn a_batch_is_sent_again_when_the_collector_says_so() {
    let busy = Stub::start(|nth| match nth {
        0 => answer("503 Service Unavailable", "retry-after: 1\r\n", "later"),
        1 => b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        _ => fine(),
    });
    let mut traced = Traced::start(busy.addr, "");
    traced.call(3);
    let bodies = [busy.next().body, busy.next().body, busy.next().body];
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[1], bodies[2]);
    patiently(|| traced.exported() == 3);
    assert_eq!(traced.dropped("refused") + traced.dropped("unreachable"), 0);
    traced
        .server
        .wait_for_line("the collector takes traces again");
}

#[test]
fn a_batch_that_is_refused_is_dropped_and_the_next_one_is_sent() {
    let picky = Stub::start(|nth| match nth {
        0 => answer("400 Bad Request", "", "<html>"),
        _ => fine(),
    });
    let mut traced = Traced::start(picky.addr, "");
    traced.call(1);
    picky.next();
    patiently(|| traced.dropped("refused") == 1);
    traced.call(1);
    picky.next();
    patiently(|| traced.exported() == 1);
    // As with a collector that is down.
    traced
        .server
        .wait_for_line("the collector does not take traces");
    traced.server.wait_for_line("traces were dropped");
    traced
        .server
        .wait_for_line("the collector takes traces again");
}

#[test]
fn more_calls_in_a_second_than_are_allowed_are_dropped_where_they_ran() {
    let sink = Stub::start(|_| fine());
    let traced = Traced::start(sink.addr, "per_second_max = 1");
    traced.call(100);
    assert!(traced.dropped("rate") > 0);
    let all = |of: &Traced| of.exported() + of.dropped("rate");
    patiently(|| all(&traced) == 100);
}

#[test]
fn what_still_waits_is_sent_at_the_end() {
    let sink = Stub::start(|_| fine());
    let traced = Traced::start(sink.addr, "");
    traced.call(20);
    let (status, log) = traced.server.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    let posted = sink.rest();
    let sent: usize = posted
        .iter()
        .map(|of| {
            super::spans(of)
                .iter()
                .filter(|span| super::is_call(span))
                .count()
        })
        .sum();
    assert_eq!(sent, 20);
}
