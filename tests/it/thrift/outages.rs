//! A service is killed and restarted during calls: first typed errors, then answers again, never a wrong one.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

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

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    Its,
    None,
}

/// Calls continuously, eight at a time on one connection, and compares each reply with its call, until the receiver is
/// gone.
fn calls(mut wire: Wire, outcomes: &Sender<Cover>) {
    for round in (0..10).cycle() {
        let titles = (0..8).map(|n| format!("t{round}{n}"));
        for title in titles.clone() {
            wire.send_frame(&get(&title));
        }
        for title in titles {
            let reply = wire.read_frame();
            let reply = String::from_utf8_lossy(&reply);
            assert!(reply.contains(&title), "another call's: {reply:?}");
            let own = format!("cover of {title}");
            let outcome = if reply.contains("cover of") {
                Cover::Its
            } else {
                Cover::None
            };
            assert!(
                outcome == Cover::None || reply.contains(&own),
                "another lookup's: {reply:?}"
            );
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
    }
}

fn get(title: &str) -> Vec<u8> {
    bytes(&format!(
        "80 01 00 01 00 00 00 03 'get' 00 00 00 01 0b 00 01 00 00 00 03 '{title}' 00"
    ))
}

/// Waits for this many calls with this outcome.
fn wait_for(outcomes: &Receiver<Cover>, wanted: Cover, mut count: usize) {
    while count > 0 {
        let outcome = outcomes.recv_timeout(PATIENCE).expect("calls go on");
        count -= usize::from(outcome == wanted);
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
    // The service is down at first.
    let server = Tributary::start(&config(port, keys), &files);
    let (sender, outcomes) = channel();
    let callers: Vec<_> = (0..2)
        .map(|_| (server.connect(), sender.clone()))
        .map(|(wire, sender)| thread::spawn(move || calls(wire, &sender)))
        .collect();
    drop(sender);
    wait_for(&outcomes, Cover::None, 50);
    for _ in 0..3 {
        let stock = start();
        wait_for(&outcomes, Cover::Its, 200);
        drop(stock);
        wait_for(&outcomes, Cover::None, 50);
    }
    drop(outcomes);
    for caller in callers {
        caller.join().expect("every reply is its call's");
    }
}
