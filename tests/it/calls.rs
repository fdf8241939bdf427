//! Calls byte by byte over a real socket: the replies, their order, and what closes a connection.
//!
//! All messages are strict binary, written by hand, so that no codec tests itself. The Python clients
//! ([`crate::clients`]) cover the other protocols.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::airports::{CONFIG, IDL, airport, airports};
use crate::support::message::{
    CALL, EXCEPTION, ONEWAY, REPLY, assert_exception, message, sized, with_body,
};
use crate::support::{Tributary, Wire, answer_airports, bytes};

/// Checks that the connection still works.
#[track_caller]
fn assert_serves(wire: &mut Wire) {
    wire.send_frame(&message(CALL, "get", 99, "JFK"));
    assert_eq!(wire.read_frame(), airport("get", 99, "JFK", "Kennedy"));
}

#[test]
fn a_call_is_answered_with_its_name_and_sequence_id() {
    let server = airports();
    let mut wire = server.connect();
    wire.send_frame(&message(CALL, "get", -7, "LAX"));
    assert_eq!(wire.read_frame(), airport("get", -7, "LAX", "Los Angeles"));
    wire.send_frame(&message(CALL, "Airports:get", 8, "JFK"));
    assert_eq!(wire.read_frame(), airport("get", 8, "JFK", "Kennedy"));
}

#[test]
fn a_call_may_arrive_in_single_bytes() {
    let server = airports();
    let mut wire = server.connect();
    for byte in message(CALL, "get", 1, "JFK") {
        wire.send(&[byte]);
    }
    let expected = airport("get", 1, "JFK", "Kennedy");
    assert_eq!(wire.read(expected.len()), expected);
}

#[test]
fn a_call_with_garbage_right_behind_it_is_answered() {
    let server = airports();
    let mut wire = server.connect();
    let call = sized(&message(CALL, "get", 7, "JFK"));
    wire.send(&[&call[..], b"\xff\xff\xff\xffgarbage"].concat());
    assert_eq!(wire.read_frame(), airport("get", 7, "JFK", "Kennedy"));
    assert!(wire.read_to_end().is_empty());
}

#[test]
fn an_unknown_method_is_reported() {
    let server = airports();
    let mut wire = server.connect();
    wire.send_frame(&message(CALL, "nothing", 5, "JFK"));
    assert_exception(&wire.read_frame(), "nothing", 5, 1, "call.unknown_method");
    assert_serves(&mut wire);
    // A method of an unknown service. Replies have the bare name, as those of Apache's servers do.
    wire.send_frame(&message(CALL, "Trains:get", 6, "JFK"));
    assert_exception(&wire.read_frame(), "get", 6, 1, "call.unknown_method");
    assert_serves(&mut wire);
}

#[test]
fn an_unknown_method_leaves_an_unframed_connection_in_step() {
    let server = airports();
    let mut wire = server.connect();
    let both = [
        message(CALL, "nothing", 5, "JFK"),
        message(CALL, "get", 6, "JFK"),
    ]
    .concat();
    wire.send(&both);
    let exception = read_exception(&mut wire, "nothing");
    assert_exception(&exception, "nothing", 5, 1, "call.unknown_method");
    let expected = airport("get", 6, "JFK", "Kennedy");
    assert_eq!(wire.read(expected.len()), expected);
}

/// An exception without a frame: message, then type.
fn read_exception(wire: &mut Wire, name: &str) -> Vec<u8> {
    let mut reply = wire.read(4 + 4 + name.len() + 4 + 3 + 4);
    let len: [u8; 4] = reply[reply.len() - 4..].try_into().expect("four bytes");
    reply.extend(wire.read(u32::from_be_bytes(len) as usize + 3 + 4 + 1));
    reply
}

#[test]
fn parameters_that_do_not_decode_are_refused_and_the_connection_stays_open() {
    let server = airports();
    let mut wire = server.connect();
    let bodies = [
        (
            "a text longer than the frame",
            bytes("0b 00 01 7f ff ff ff 'JFK' 00"),
        ),
        (
            "a text of negative length",
            bytes("0b 00 01 ff ff ff ff 'JFK' 00"),
        ),
        ("no end", bytes("0b 00 01 00 00 00 03 'JFK'")),
        ("an unknown type", bytes("63 00 01 00 00 00 03 'JFK' 00")),
        (
            "text that is not UTF-8",
            bytes("0b 00 01 00 00 00 02 c3 28 00"),
        ),
        ("a list of a billion", bytes("0f 00 02 08 40 00 00 00 00")),
        ("nothing at all", Vec::new()),
    ];
    for (what, body) in bodies {
        wire.send_frame(&with_body(CALL, "get", 3, &body));
        let reply = wire.read_frame();
        assert!(
            String::from_utf8_lossy(&reply).contains("call.bad_params"),
            "{what}: {reply:02x?}"
        );
        assert_exception(&reply, "get", 3, 7, "call.bad_params");
        assert_serves(&mut wire);
    }
}

#[test]
fn a_parameter_of_another_type_counts_as_not_sent() {
    let server = airports();
    let mut wire = server.connect();
    // `code` as an i32 is skipped, as in every Apache server; the table then has no key to look up.
    wire.send_frame(&with_body(
        CALL,
        "get",
        4,
        &bytes("08 00 01 00 00 00 05 00"),
    ));
    let reply = wire.read_frame();
    assert_eq!(reply[3], EXCEPTION, "{}", String::from_utf8_lossy(&reply));
    assert_serves(&mut wire);
}

#[test]
fn a_reply_is_not_a_call() {
    let server = airports();
    let mut wire = server.connect();
    wire.send_frame(&message(REPLY, "get", 5, "JFK"));
    assert_exception(&wire.read_frame(), "get", 5, 2, "call.message_type");
    assert_serves(&mut wire);
}

#[test]
fn pipelined_calls_are_answered_in_order() {
    let server = airports();
    let mut wire = server.connect();
    for seqid in (0..20).step_by(2) {
        wire.send_frame(&message(CALL, "slow", seqid, "LAX"));
        wire.send_frame(&message(CALL, "get", seqid + 1, "JFK"));
    }
    for seqid in (0..20).step_by(2) {
        assert_eq!(
            wire.read_frame(),
            airport("slow", seqid, "LAX", "Los Angeles")
        );
        assert_eq!(
            wire.read_frame(),
            airport("get", seqid + 1, "JFK", "Kennedy")
        );
    }
}

/// More complete messages than a connection may have in flight, each answered immediately. The rest used to stay
/// unread until the client was treated as slow.
#[test]
fn a_pipeline_longer_than_the_limit_is_answered_whole() {
    let server = airports();
    let mut wire = server.connect();
    let mut sent = Vec::new();
    for seqid in 0..100 {
        let method = if seqid % 2 == 0 { "nosuch" } else { "get" };
        let call = message(CALL, method, seqid, "JFK");
        sent.extend(u32::try_from(call.len()).expect("short").to_be_bytes());
        sent.extend(call);
    }
    wire.send(&sent);
    for seqid in 0..100 {
        let reply = wire.read_frame();
        if seqid % 2 == 0 {
            assert_exception(&reply, "nosuch", seqid, 1, "call.unknown_method");
        } else {
            assert_eq!(reply, airport("get", seqid, "JFK", "Kennedy"));
        }
    }
}

/// A client that read no replies used to stop its own calls halfway, while they held slots of a backend.
#[test]
fn a_client_that_does_not_read_delays_no_other_client() {
    let http = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", http.local_addr().expect("bound"));
    let (asked, asks) = std::sync::mpsc::channel();
    std::thread::spawn(move || answer_airports(&http, &asked));
    let config = format!(
        r#"{CONFIG}
[backends.large]
kind = "file"
path = "large.json"
[backends.one_by_one]
kind = "http"
url = "{url}"
in_flight_max = 1
[lookups.large]
backend = "large"
rows = "one"
[lookups.turn]
backend = "one_by_one"
get = "/{{code}}"
"#
    );
    let config = config
        .replace(
            "airport = { use = \"airport\",",
            "airport = { use = \"large\",",
        )
        .replace("airport = { use = \"far\",", "airport = { use = \"turn\",");
    // More than fits into any socket buffer.
    let name = "x".repeat(15 << 20);
    let large = format!(r#"[{{"code": "BIG", "name": "{name}"}}]"#);
    let files = [
        ("airports.thrift", IDL),
        ("airports.csv", "code,name\n"),
        ("large.json", &*large),
    ];
    let server = Tributary::start(&config, &files);
    let mut greedy = server.connect();
    // In one write: while a reply this large waits to be sent, no further call is read.
    let calls = [
        message(CALL, "get", 1, "BIG"),
        message(CALL, "slow", 2, "ONE"),
    ];
    greedy.send(
        &calls
            .iter()
            .flat_map(|call| sized(call))
            .collect::<Vec<u8>>(),
    );
    asks.recv_timeout(Duration::from_secs(30))
        .expect("its second call has the turn");
    let mut other = server.connect();
    other.send_frame(&message(CALL, "slow", 3, "TWO"));
    assert_eq!(other.read_frame(), airport("slow", 3, "TWO", "of HTTP"));
}

#[test]
fn a_oneway_method_never_gets_a_reply() {
    let server = airports();
    let mut wire = server.connect();
    wire.send_frame(&message(ONEWAY, "touch", 1, "JFK"));
    // Some clients send oneway calls as ordinary ones; the IDL decides.
    wire.send_frame(&message(CALL, "touch", 2, "JFK"));
    wire.send_frame(&message(ONEWAY, "get", 3, "JFK"));
    wire.send_frame(&message(ONEWAY, "nothing", 4, "JFK"));
    wire.send_frame(&with_body(
        ONEWAY,
        "touch",
        5,
        &bytes("0b 00 01 7f ff ff ff"),
    ));
    assert_serves(&mut wire);
}

#[test]
fn invalid_bytes_close_the_connection_without_a_reply() {
    let server = airports();
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"[1,\"get\",1,0,{}]",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        // A frame of 16 MiB, which exceeds this server's limit.
        b"\x01\x00\x00\x00\x80\x01\x00\x01",
    ] {
        let mut wire = server.connect();
        wire.send(garbage);
        assert_eq!(wire.read_to_end(), b"", "{garbage:02x?}");
    }
    assert_serves(&mut server.connect());
}
