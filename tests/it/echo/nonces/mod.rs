//! Many concurrent pipelined calls, with a unique nonce in every value: each reply must belong to its call.
//!
//! Connections of every protocol and transport, on a port, on a Unix socket and with TLS, send mixed calls as fast as
//! the server accepts them, and read replies at the same time. Lookups of a real Redis are batched across connections;
//! closures answer after varying delays. `ECHO_CALLS` sets the number of calls; `tests/run --million` makes a million.

mod calls;
mod service;
mod talk;

use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio::time::Instant;
use tributary::thrift::{Protocol, Transport, WireFormat};

use calls::{Calls, Numbers};
use service::{Nonces, PLACES};
use talk::talk;

/// How many calls every test run makes.
const ORDINARY: u32 = 20_000;

const WIRE_FORMATS: [(Transport, Protocol); 7] = [
    (Transport::Framed, Protocol::Binary),
    (Transport::Framed, Protocol::BinaryOld),
    (Transport::Framed, Protocol::Compact),
    (Transport::Unframed, Protocol::Binary),
    (Transport::Unframed, Protocol::BinaryOld),
    (Transport::Unframed, Protocol::Compact),
    // Alternates between binary and compact.
    (Transport::Header, Protocol::Binary),
];

#[test]
fn every_reply_belongs_to_its_call() {
    let calls = std::env::var("ECHO_CALLS").map_or(ORDINARY, |calls| {
        calls.parse().expect("ECHO_CALLS is a number")
    });
    let nonces = Nonces::start(calls);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("a runtime");
    let began = Instant::now();
    let sent = runtime.block_on(talk_to(&nonces, calls));
    let took = began.elapsed();
    let lookups = sent.stored;
    let reads = nonces.reads_of_redis();
    println!(
        "{calls} calls on {} connections in {:.1} s: {} answered, {} oneway, {lookups} lookups of Redis in {reads} reads",
        WIRE_FORMATS.len() * PLACES.len(),
        took.as_secs_f64(),
        sent.answered,
        sent.told.len(),
    );
    assert_eq!(sent.answered + sent.told.len(), calls as usize);
    assert!(
        reads * 4 < lookups,
        "{lookups} lookups did not travel together: Redis read {reads} times"
    );
    nonces.stop(&sent.told);
}

/// What all connections did.
#[derive(Default)]
struct Sent {
    /// Calls that got their own reply.
    answered: usize,
    /// The nonces of oneway calls.
    told: Vec<i64>,
    /// The Redis lookups that the calls cause.
    stored: u64,
}

/// Each connection makes its share of the calls in its own task, so that none delays others.
async fn talk_to(nonces: &Nonces, calls: u32) -> Sent {
    let connections = u32::try_from(WIRE_FORMATS.len() * PLACES.len()).expect("few");
    let part = |at: u32| i64::from(calls) * i64::from(at) / i64::from(connections);
    let mut conversations = Vec::new();
    for (at, (place, (transport, protocol))) in (0..).zip(all_connections()) {
        let wire_format = WireFormat {
            transport,
            protocol,
        };
        // Some libraries number their calls, others always use 0.
        let numbers = if at % 3 == 0 {
            Numbers::Zero
        } else {
            Numbers::Random
        };
        let series = Calls::new(wire_format, part(at)..part(at + 1), numbers);
        let schema = nonces.schema();
        let talking = match place {
            "tcp" => spawn_local(talk(nonces.connect().await, series, schema)),
            "unix" => spawn_local(talk(nonces.connect_unix().await, series, schema)),
            _ => spawn_local(talk(nonces.connect_tls().await, series, schema)),
        };
        conversations.push((place, wire_format, talking));
    }
    let mut sum = Sent::default();
    for (place, wire_format, talking) in conversations {
        let talked = talking.await.expect("it does not panic");
        let sent = talked.unwrap_or_else(|err| panic!("{wire_format}, {place}: {err}"));
        sum.answered += sent.answered;
        sum.told.extend(sent.told);
        sum.stored += sent.stored;
    }
    sum
}

fn all_connections() -> impl Iterator<Item = (&'static str, (Transport, Protocol))> {
    PLACES
        .into_iter()
        .flat_map(|place| WIRE_FORMATS.map(|wire_format| (place, wire_format)))
}
