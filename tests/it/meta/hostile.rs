//! Hostile values: each gets a reply or closes its connection, and the server keeps running.

use std::fmt::Write as _;

use super::doors::{fetch, message};
use crate::support::airports::{CONFIG, FILES};
use crate::support::{Tributary, Wire, bytes};

/// A `fetch` of `get` whose parameter `code` is the union with these bytes.
fn with_code(union: &[u8]) -> Vec<u8> {
    let whole = fetch("get", "");
    // The union of an empty text, its end, and the end of the parameters.
    let before = &whole[..whole.len() - 9];
    let body = [before, union, &[0]].concat();
    message(1, "Tributary:fetch", &body)
}

fn ask(wire: &mut Wire, message: &[u8]) -> String {
    wire.send_frame(message);
    let reply = wire.read_frame();
    reply.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            byte => write!(text, "\\{byte:02x}").expect("memory"),
        }
        text
    })
}

#[test]
fn invalid_values_are_answered_and_the_connection_stays_open() {
    let config = CONFIG.replace("4KiB", "4MiB");
    let server = Tributary::start(&config, &FILES);
    let mut wire = server.connect();
    let list = bytes("0f 00 07 0c 00 00 00 01");
    let nested = |depth: usize| {
        let mut union = list.repeat(depth);
        union.extend(bytes("0c 00 01 00"));
        union.extend(vec![0; depth + 1]);
        union
    };
    let wide = |count: u32| {
        let mut union = bytes("0f 00 07 0c");
        union.extend(count.to_be_bytes());
        union.extend(bytes("02 00 02 01 00").repeat(count as usize));
        union.push(0);
        union
    };
    for (union, says) in [
        (bytes("00"), "has no field set"),
        (
            bytes("02 00 02 01 0a 00 03 00 00 00 00 00 00 00 05 00"),
            "several fields",
        ),
        (bytes("02 00 09 01 00"), "has no field 9"),
        (bytes("08 00 03 00 00 00 05 00"), "has no field 3 of type"),
        (
            bytes("0d 00 08 08 0c 00 00 00 01 00 00 00 05 00 00"),
            "are not strings and `tributary.Value`",
        ),
        (
            bytes("0d 00 08 0b 0c 00 00 00 01 00 00 00 01 ff 00 00"),
            "text is not UTF-8",
        ),
        (bytes("0b 00 05 00 00 00 01 ff 00"), "text is not UTF-8"),
        (bytes("0f 00 07 0c 7f ff ff ff"), "bytes are left"),
        (
            bytes("0f 00 07 0c ff ff ff ff 00"),
            "declares a negative size: -1",
        ),
        (bytes("0b 00 05 00 00 ff ff"), "bytes are left"),
        (nested(10), "code: a list can't fill string"),
        (nested(40), "nested deeper than the limit"),
        (nested(100_000), "nested deeper than the limit"),
        (wide(1000), "code: a list can't fill string"),
        (wide(90_000), "code: a list can't fill string"),
        (bytes("0c 00 01 00 00"), "call.required_empty"),
    ] {
        let reply = ask(&mut wire, &with_code(&union));
        assert!(reply.contains(says), "{says}: {reply}");
    }
    // More than a message may have.
    let many = ask(&mut wire, &with_code(&wide(700_000)));
    assert!(many.contains("more values than the limit"), "{many}");
    let reply = ask(
        &mut wire,
        &message(1, "Tributary:fetch", &fetch("get", "JFK")),
    );
    assert!(reply.contains("Kennedy"), "{reply}");
    let (status, log) = server.stop("TERM");
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

/// A valid call, cut at every position and changed at every byte: each time there is an answer, never that of the
/// valid call.
#[test]
fn damaged_calls_are_answered() {
    let server = Tributary::start(CONFIG, &FILES);
    let good = message(1, "Tributary:fetch", &fetch("get", "JFK"));
    let head = good.len() - fetch("get", "JFK").len();
    let mut wire = server.connect();
    for end in head..good.len() {
        let reply = ask(&mut wire, &good[..end]);
        assert!(reply.contains("call."), "cut at {end}: {reply}");
        assert!(!reply.contains("Kennedy"), "cut at {end}: {reply}");
    }
    for at in head..good.len() {
        for change in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= change;
            // Some changes give a different valid call.
            let reply = ask(&mut wire, &bad);
            assert!(reply.starts_with("\\80\\01\\00"), "{at}: {reply}");
        }
    }
    let reply = ask(&mut wire, &good);
    assert!(reply.contains("Kennedy"), "{reply}");
}

/// A full server refuses fetches too.
#[test]
fn a_full_server_refuses_a_fetch() {
    let config = CONFIG.replace(
        "limits = { frame_bytes_max = \"4KiB\" }",
        "limits = { calls_max = 1 }",
    );
    let config = config.replace("60ms", "30s");
    let config = config.replace(
        "[views.slow.lookups]",
        "[views.slow]\ndeadline = \"60s\"\n[views.slow.lookups]",
    );
    let server = Tributary::start(&config, &FILES);
    let mut waiting = server.connect();
    waiting.send_frame(&message(1, "Tributary:fetch", &fetch("slow", "JFK")));
    // The calls of one connection are admitted in order, and replies come in that order.
    waiting.send_frame(&message(4, "Tributary:fetch", &fetch("get", "JFK")));
    let mut wire = server.connect();
    // Until the first call arrives, this one is served; then it is refused while that one waits.
    let refused = (0..10_000).any(|_| {
        let reply = ask(
            &mut wire,
            &message(1, "Tributary:fetch", &fetch("get", "JFK")),
        );
        reply.contains("server.overloaded")
    });
    assert!(refused, "the server was never full");
    // Methods that need no lookup are still answered.
    let health = ask(&mut wire, &message(1, "Tributary:health", &[0]));
    assert!(health.contains("airports"), "{health}");
}
