//! A service that is killed and started again under calls: typed errors, then answers again, never a wrong one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::apache::STOCK;
use crate::support::{PATIENCE, Stock, Tributary, Wire, bytes, free_port, stubs};

const FRONT: &str = "
struct Reply { 1: required string title, 2: optional string cover }
service Front { Reply get(1: string title) }";

fn config(port: u16, keys: &str) -> String {
    format!(
        r#"
[server]
idl = "front.thrift"

[backends.stock]
kind = "thrift"
url = "thrift://127.0.0.1:{port}"
idl = "stock.thrift"
{keys}

[backends.titles]
kind = "file"
path = "titles.csv"

[lookups.title]
backend = "titles"
key = {{ title = "{{title}}" }}
rows = "value"

[lookups.cover]
backend = "stock"
call = "cover"

[views.get.lookups]
title = {{ use = "title", required = true }}
cover = "cover"
"#
    )
}

/// What came of all calls so far.
#[derive(Default)]
struct Tally {
    whole: AtomicUsize,
    without: AtomicUsize,
    stop: AtomicBool,
}

/// Calls without a pause, eight at a time on one connection, and compares each reply with its call.
fn calls(mut wire: Wire, tally: &Tally) {
    for round in (0..10).cycle() {
        if tally.stop.load(Ordering::Relaxed) {
            return;
        }
        let titles = (0..8).map(|n| format!("t{round}{n}"));
        for title in titles.clone() {
            wire.send_frame(&get(&title));
        }
        for title in titles {
            let reply = wire.read_frame();
            let reply = String::from_utf8_lossy(&reply);
            assert!(reply.contains(&title), "another call's: {reply:?}");
            let count = if reply.contains("cover of") {
                let own = format!("cover of {title}");
                assert!(reply.contains(&own), "another lookup's: {reply:?}");
                &tally.whole
            } else {
                &tally.without
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn get(title: &str) -> Vec<u8> {
    bytes(&format!(
        "80 01 00 01 00 00 00 03 'get' 00 00 00 01 0b 00 01 00 00 00 03 '{title}' 00"
    ))
}

/// Waits until `count` has grown by so much.
fn grows(count: &AtomicUsize, by: usize) {
    let (start, since) = (count.load(Ordering::Relaxed), Instant::now());
    while count.load(Ordering::Relaxed) < start + by {
        assert!(since.elapsed() < PATIENCE, "it stands still");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn one_at_a_time() {
    killed_and_started_again("connections = 4");
}

#[test]
fn pipelined() {
    killed_and_started_again("connections = 2\npipelined_max = 16");
}

fn killed_and_started_again(keys: &str) {
    let stubs = stubs("tests/clients/stock.thrift");
    let port = free_port();
    let start = || Stock::start(port, ["framed", "binary", "plain"], stubs.path());
    let titles = (0..10).flat_map(|round| (0..8).map(move |n| format!("t{round}{n}\n")));
    let titles = format!("title\n{}", titles.collect::<String>());
    let files = [
        ("front.thrift", FRONT),
        ("stock.thrift", STOCK),
        ("titles.csv", titles.as_str()),
    ];
    // Down at first.
    let server = Tributary::start(&config(port, keys), &files);
    let tally = Tally::default();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|_| server.connect())
            .map(|wire| scope.spawn(|| calls(wire, &tally)))
            .collect();
        let stop = Stop(&tally);
        grows(&tally.without, 50);
        for _ in 0..3 {
            let stock = start();
            grows(&tally.whole, 200);
            drop(stock);
            grows(&tally.without, 50);
        }
        drop(stop);
        for caller in callers {
            caller.join().expect("every reply is its call's");
        }
    });
}

/// Has the callers stop, also when a test fails.
struct Stop<'t>(&'t Tally);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
