//! A few hostile clients of each kind, and a well-behaved one beside them.
//!
//! `tests/hostile/run` measures memory and latency with a thousand times as many.

mod descriptors; // none left
mod frames; // invalid lengths
mod memory; // the memory of clients is accounted and bounded
mod silence; // clients that stop halfway, do not read, or are gone

use std::net::SocketAddr;

use crate::admin::{patiently, scrape, scrape::Scrape};
use crate::support::message::message;
use crate::support::{Tributary, Wire};

const IDL: &str = r"
struct Airport { 1: required string code, 2: required string name }
struct Blank { 1: optional i32 a, 2: optional i32 b }
struct Deep { 1: optional Deep deep }
service Airports {
  Airport get(1: string code)
  Airport never(1: string code)
  Airport large(1: string code)
  Airport many(1: string code, 2: list<Blank> blanks, 3: map<string, i32> counts, 4: Deep deep)
}
";

/// `LIMITS` stands for more keys.
const CONFIG: &str = r#"
admin = { listen = "127.0.0.1:0" }
[server]
idl = "airports.thrift"
limits = { LIMITS }

[backends.airports]
kind = "file"
path = "airports.csv"
[backends.large]
kind = "file"
path = "large.json"

[lookups.airport]
backend = "airports"
key = { code = "{code}" }
rows = "one"
[lookups.never]
backend = "airports"
key = { code = "{code}" }
rows = "one"
inject = { delay = "1h" }
[lookups.large]
backend = "large"
rows = "one"

[views.get.lookups]
airport = { into = ".", required = true }
[views.many.lookups]
airport = { into = ".", required = true }
[views.large]
deadline = "60s"
[views.large.lookups]
large = { into = ".", required = true }
[views.never]
deadline = "1h"
[views.never.lookups]
never = { into = ".", required = true }
"#;

/// The approximate size of the reply of `large`.
const LARGE: usize = 12 << 20;
const CALL: u8 = 1;

struct Victim {
    server: Tributary,
    admin: SocketAddr,
}

impl Victim {
    fn start(limits: &str) -> Self {
        Victim::start_with(limits, Tributary::start)
    }

    fn start_with(limits: &str, start: impl Fn(&str, &[(&str, &str)]) -> Tributary) -> Self {
        let name = "x".repeat(LARGE);
        let large = format!(r#"[{{"code": "BIG", "name": "{name}"}}]"#);
        let files = [
            ("airports.thrift", IDL),
            ("airports.csv", "code,name\nJFK,Kennedy\n"),
            ("large.json", &*large),
        ];
        let mut server = start(&CONFIG.replace("LIMITS", limits), &files);
        let admin = server.admin();
        Victim { server, admin }
    }

    fn connect(&self) -> Wire {
        self.server.connect()
    }

    fn scrape(&self) -> Scrape {
        scrape(self.admin)
    }

    /// The only number with this name, without labels.
    fn count(&self, name: &str) -> usize {
        self.scrape().count(name, &[])
    }

    /// The memory of clients.
    fn buffered(&self) -> usize {
        self.count("tributary_buffered_bytes")
    }

    fn closed(&self, reason: &str) -> usize {
        let closed = "tributary_connections_closed_total";
        self.scrape().count(closed, &[("reason", reason)])
    }

    /// Checks that a well-behaved client is served on a new connection.
    #[track_caller]
    fn assert_serves(&self) {
        assert_serves(&mut self.connect());
    }
}

#[track_caller]
fn assert_serves(wire: &mut Wire) {
    wire.send_frame(&message(CALL, "get", 1, "JFK"));
    let reply = wire.read_frame();
    let text = String::from_utf8_lossy(&reply);
    assert!(text.contains("Kennedy"), "{text}");
}

/// The start of a frame that declares this length: the length and `first`.
fn beginning(declared: usize, first: &[u8]) -> Vec<u8> {
    let length = u32::try_from(declared).expect("a length");
    [&length.to_be_bytes()[..], first].concat()
}

/// A call of `get` with this many bytes, most of them in an unknown parameter.
fn long_call(seqid: i32, bytes: usize) -> Vec<u8> {
    let mut call = message(CALL, "get", seqid, "JFK");
    // Field 9, a string, in place of the end.
    call.pop();
    let padding = bytes - call.len() - 3 - 4 - 1;
    call.extend([11, 0, 9]);
    call.extend(u32::try_from(padding).expect("a length").to_be_bytes());
    call.resize(call.len() + padding, b'x');
    call.push(0);
    call
}
