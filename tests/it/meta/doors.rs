//! The names of the service, its listeners and its callers, byte by byte in strict binary.

use crate::support::airports::{CONFIG, FILES};
use crate::support::{Tributary, Wire, bytes};

const CALL: u8 = 1;
const ONEWAY: u8 = 4;
const TOKEN: &str = "0123456789abcdef-batch";

/// Text after its length.
fn sized(text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len()).expect("a short text");
    [&len.to_be_bytes()[..], text.as_bytes()].concat()
}

/// A call with this body.
pub(super) fn message(kind: u8, name: &str, body: &[u8]) -> Vec<u8> {
    let head = [&[0x80, 1, 0, kind][..], &sized(name), &[0, 0, 0, 7]];
    [&head.concat()[..], body].concat()
}

/// The parameters of a `fetch` of `view` with `code`.
pub(super) fn fetch(view: &str, code: &str) -> Vec<u8> {
    [
        &bytes("0b 00 01")[..],
        &sized(view),
        &bytes("0d 00 02 0b 0c 00 00 00 01"),
        &sized("code"),
        &bytes("0b 00 05"),
        &sized(code),
        &[0, 0],
    ]
    .concat()
}

/// The reply to a call, as text.
fn ask(wire: &mut Wire, name: &str, body: &[u8]) -> String {
    wire.send_frame(&message(CALL, name, body));
    String::from_utf8_lossy(&wire.read_frame()).into_owned()
}

#[track_caller]
fn assert_says(reply: &str, words: &str) {
    assert!(reply.contains(words), "expected {words}: {reply}");
}

#[test]
fn it_is_served_together_with_the_operators_service() {
    let server = Tributary::start(CONFIG, &FILES);
    let mut wire = server.connect();
    assert_says(
        &ask(&mut wire, "Tributary:describe", &[0]),
        "airports.Airport",
    );
    assert_says(&ask(&mut wire, "Tributary:idl", &[0]), "oneway void touch");
    let reply = ask(&mut wire, "Tributary:fetch", &fetch("get", "JFK"));
    assert_says(&reply, "Kennedy");
    // Replies have the method's bare name.
    assert_says(&reply, "\u{0}\u{5}fetch");
    for unknown in [
        "describe",
        "Airports:describe",
        "Tributary:get",
        "Tributary:",
    ] {
        assert_says(&ask(&mut wire, unknown, &[0]), "call.unknown_method");
    }
    // A oneway view runs to completion.
    let reply = ask(&mut wire, "Tributary:fetch", &fetch("touch", "JFK"));
    assert!(
        reply.ends_with("\u{c}\0\0\u{c}\0\u{1}\0\0\0"),
        "a null: {reply:?}"
    );
    // A oneway call gets no reply, whatever its method.
    for name in ["Tributary:fetch", "Tributary:health"] {
        wire.send_frame(&message(ONEWAY, name, &fetch("get", "JFK")));
    }
    assert_says(&ask(&mut wire, "Tributary:health", &[0]), "airports");
    assert_says(&ask(&mut wire, "get", &fetch("JFK", "")), "Kennedy");
}

/// The operator's service extends it.
fn extended(keys: &str) -> Tributary {
    let idl = FILES[0].1.replace(
        "service Airports {",
        "service Airports extends tributary.Tributary {",
    );
    let idl = format!("include 'tributary.thrift'\n{idl}");
    let config = CONFIG.replace("[server]", &format!("[server]\n{keys}"));
    Tributary::start(&config, &[("airports.thrift", &idl), FILES[1]])
}

#[test]
fn a_service_that_extends_it_has_it_without_a_prefix() {
    let server = extended("");
    let mut wire = server.connect();
    for name in ["fetch", "Airports:fetch", "Tributary:fetch"] {
        assert_says(&ask(&mut wire, name, &fetch("get", "LAX")), "Los Angeles");
    }
    assert_says(&ask(&mut wire, "get", &fetch("JFK", "")), "Kennedy");
    assert_says(&ask(&mut wire, "health", &[0]), "airports");
}

#[test]
fn a_method_of_it_may_be_unserved() {
    let server = extended(r#"unserved = ["fetch"]"#);
    let mut wire = server.connect();
    for name in ["fetch", "Tributary:fetch"] {
        let reply = ask(&mut wire, name, &fetch("get", "LAX"));
        assert_says(&reply, "call.unknown_method");
    }
    assert_says(&ask(&mut wire, "idl", &[0]), "tributary.Tributary");
}

#[test]
fn a_listener_can_disable_it() {
    let listeners = "meta = false\nlisteners = [{ listen = \"127.0.0.1:0\", meta = true }]";
    let mut server = extended(listeners);
    let mut without = server.connect();
    for name in ["Tributary:health", "health", "Tributary:fetch"] {
        assert_says(&ask(&mut without, name, &[0]), "call.unknown_method");
    }
    assert_says(&ask(&mut without, "get", &fetch("JFK", "")), "Kennedy");
    let mut with = Wire::connect(server.next_port());
    assert_says(&ask(&mut with, "health", &[0]), "airports");
}

/// A caller that may not call a view may not fetch it either, and is refused before its parameters are read.
#[test]
fn a_caller_that_may_not_call_a_view_may_not_fetch_it() {
    let keys = r#"tokens = { batch = "file:batch.token" }
        listeners = [{ listen = "127.0.0.1:0", plain_tokens = true }]"#;
    let config = CONFIG
        .replace("[server]", &format!("[server]\n{keys}"))
        .replace(
            "[views.get.lookups]",
            "[views.get]\nallow = [\"token:batch\"]\n[views.get.lookups]",
        );
    let files = [FILES[0], FILES[1], ("batch.token", TOKEN)];
    let mut server = Tributary::start(&config, &files);
    let private = server.next_port();
    let mut wire = Wire::connect(private);
    let nobody = ask(&mut wire, "Tributary:fetch", &fetch("get", "JFK"));
    assert_says(&nobody, "call.unauthenticated");
    let unreadable = [&fetch("get", "JFK")[..11], &bytes("0c 00 02 00 00")].concat();
    let nobody = ask(&mut wire, "Tributary:fetch", &unreadable);
    assert_says(&nobody, "call.unauthenticated");
    // An unrestricted view is unrestricted here too.
    assert_says(
        &ask(&mut wire, "Tributary:fetch", &fetch("slow", "JFK")),
        "Kennedy",
    );
    let mut wire = Wire::connect(server.addr);
    for (token, says) in [
        (TOKEN, "over an unencrypted connection"),
        ("0123456789abcdef-wrong", "call.unauthenticated"),
    ] {
        assert_says(&with_token(&mut wire, token), says);
    }
    let mut wire = Wire::connect(private);
    assert_says(&with_token(&mut wire, TOKEN), "Kennedy");
}

/// A `fetch` of `get` in a THeader frame with a token.
fn with_token(wire: &mut Wire, token: &str) -> String {
    let value = format!("Bearer {token}");
    let len = u8::try_from(value.len()).expect("a short text");
    let mut header = [&[0, 0, 1, 1, 13][..], b"authorization", &[len]].concat();
    header.extend(value.as_bytes());
    header.resize(header.len().next_multiple_of(4), 0);
    let mut frame = bytes("0f ff 00 00 00 00 00 01 00");
    frame.push(u8::try_from(header.len() / 4).expect("a short header"));
    frame.extend(header);
    frame.extend(message(CALL, "Tributary:fetch", &fetch("get", "JFK")));
    wire.send_frame(&frame);
    String::from_utf8_lossy(&wire.read_frame()).into_owned()
}
