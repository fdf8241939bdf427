//! Access control: names in certificates and tokens in headers, on ports and sockets that accept them or do not.

use std::io::{Read, Write};

use crate::secure::Secured;
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;
use crate::support::{Tributary, Wire, bytes};

const CALL: u8 = 1;
const TOKEN: &str = "0123456789abcdef-batch";
const OTHER: &str = "0123456789abcdef-other";

/// The airports' configuration: `get` is restricted, `slow` is open to everyone.
fn guarded(keys: &str, allow: &str) -> String {
    let tokens = r#"tokens = { batch = "file:batch.token", other = "file:other.token" }"#;
    CONFIG
        .replace("[server]", &format!("[server]\n{tokens}\n{keys}"))
        .replace(
            "[views.get.lookups]",
            &format!("[views.get]\nallow = {allow}\n[views.get.lookups]"),
        )
}

fn serve(keys: &str, allow: &str) -> Tributary {
    let tokens = [("batch.token", TOKEN), ("other.token", OTHER)];
    let files = [&FILES[..], &tokens].concat();
    Tributary::start(&guarded(keys, allow), &files)
}

/// The reply to a call of `get` with this `authorization` in its frame.
fn ask<S: Read + Write>(wire: &mut Wire<S>, authorization: &str) -> String {
    ask_in_block(wire, 1, authorization)
}

/// The same, in a block of pairs with this id.
fn ask_in_block<S: Read + Write>(wire: &mut Wire<S>, block: u8, authorization: &str) -> String {
    let len = u8::try_from(authorization.len()).expect("a short text");
    let mut header = [&[0, 0, block, 1, 13][..], b"Authorization", &[len]].concat();
    header.extend(authorization.as_bytes());
    ask_with(wire, header)
}

fn ask_with<S: Read + Write>(wire: &mut Wire<S>, mut header: Vec<u8>) -> String {
    header.resize(header.len().next_multiple_of(4), 0);
    let words = u8::try_from(header.len() / 4).expect("a short header");
    let mut frame = bytes("0f ff 00 00 00 00 00 01 00");
    frame.push(words);
    frame.extend(header);
    frame.extend(message(CALL, "get", 1, "JFK"));
    wire.send_frame(&frame);
    String::from_utf8_lossy(&wire.read_frame()).into_owned()
}

#[track_caller]
fn assert_says(reply: &str, words: &str) {
    assert!(reply.contains(words), "expected {words}: {reply}");
}

#[test]
fn tokens_over_a_unix_socket_and_over_a_plain_port() {
    let listeners = r#"listeners = [{ listen = "unix://socket" }]"#;
    let server = serve(listeners, r#"["token:batch"]"#);
    let mut wire = Wire::connect_unix(&server.folder().join("socket"));
    for (authorization, says) in [
        (format!("Bearer {TOKEN}"), "Kennedy"),
        (format!("bearer  {TOKEN}"), "Kennedy"),
        (format!("Bearer {OTHER}"), "call.forbidden"),
        (format!("Bearer {TOKEN}x"), "not a known token"),
        (format!("Basic {TOKEN}"), "call.unauthenticated"),
        ("Bearer".into(), "call.unauthenticated"),
    ] {
        assert_says(&ask(&mut wire, &authorization), says);
    }
    // On a connection that others can read, the token is refused, and the reply says so.
    let mut plain = server.connect();
    let reply = ask(&mut plain, &format!("Bearer {TOKEN}"));
    assert_says(&reply, "call.unauthenticated");
    assert_says(&reply, "over an unencrypted connection");
    // A caller without a token is unauthenticated; unrestricted methods are open to everyone.
    let mut framed = server.connect();
    framed.send_frame(&message(CALL, "get", 1, "JFK"));
    let reply = String::from_utf8_lossy(&framed.read_frame()).into_owned();
    assert_says(&reply, "call.unauthenticated");
    framed.send_frame(&message(CALL, "slow", 2, "JFK"));
    let reply = String::from_utf8_lossy(&framed.read_frame()).into_owned();
    assert_says(&reply, "Kennedy");
    let (_, log) = server.stop("TERM");
    assert!(
        !log.contains("0123456789abcdef"),
        "a secret is in the log: {log}"
    );
}

#[test]
fn a_persistent_token_holds_for_the_rest_of_the_connection() {
    let listeners = r#"listeners = [{ listen = "unix://socket" }]"#;
    let server = serve(listeners, r#"["token:batch"]"#);
    let path = server.folder().join("socket");
    let mut wire = Wire::connect_unix(&path);
    assert_says(
        &ask_in_block(&mut wire, 2, &format!("Bearer {TOKEN}")),
        "Kennedy",
    );
    assert_says(&ask_with(&mut wire, vec![0, 0]), "Kennedy");
    let mut other = Wire::connect_unix(&path);
    assert_says(&ask_with(&mut other, vec![0, 0]), "call.unauthenticated");
}

#[test]
fn a_plain_port_accepts_tokens_if_configured() {
    let listeners = r#"listeners = [{ listen = "127.0.0.1:0", plain_tokens = true }]"#;
    let mut server = serve(listeners, r#"["token:batch"]"#);
    let mut wire = Wire::connect(server.next_port());
    assert_says(&ask(&mut wire, &format!("Bearer {TOKEN}")), "Kennedy");
}

#[test]
fn tokens_are_read_again_by_a_reload() {
    let listeners = r#"listeners = [{ listen = "unix://socket" }]"#;
    let mut server = serve(listeners, r#"["token:batch"]"#);
    let mut wire = Wire::connect_unix(&server.folder().join("socket"));
    let new = "fedcba9876543210-batch";
    assert_says(
        &ask(&mut wire, &format!("Bearer {new}")),
        "call.unauthenticated",
    );
    std::fs::write(server.folder().join("batch.token"), new).expect("the folder is ours");
    server.reload("serving the reloaded configuration");
    assert_says(&ask(&mut wire, &format!("Bearer {new}")), "Kennedy");
    assert_says(
        &ask(&mut wire, &format!("Bearer {TOKEN}")),
        "call.unauthenticated",
    );
}

#[test]
fn names_in_certificates() {
    let allow = r#"["spiffe://test/web", "spiffe://batch/*", "host.test"]"#;
    let config = guarded("", allow);
    let config: Vec<&str> = config
        .lines()
        .filter(|line| !line.starts_with("tokens"))
        .collect();
    let secured = Secured::serve(
        &config.join("\n"),
        ", client_ca = \"clients.pem\", client = \"optional\"",
    );
    for (name, says) in [
        ("spiffe://test/web", "Kennedy"),
        ("spiffe://batch/nightly/1", "Kennedy"),
        ("host.test", "Kennedy"),
        ("spiffe://test/webs", "call.forbidden"),
        ("spiffe://test", "call.forbidden"),
        ("other.host.test", "call.forbidden"),
        ("*.test", "call.unauthenticated"),
    ] {
        let identity = secured.authority.issue(name);
        let mut wire = secured.client(Some(&identity)).connect(secured.addr);
        wire.send_frame(&message(CALL, "get", 1, "JFK"));
        let reply = String::from_utf8_lossy(&wire.read_frame()).into_owned();
        assert!(reply.contains(says), "{name}: {reply}");
        // The connection stays open.
        wire.send_frame(&message(CALL, "slow", 2, "JFK"));
        assert_says(&String::from_utf8_lossy(&wire.read_frame()), "Kennedy");
    }
    let mut wire = secured.client(None).connect(secured.addr);
    wire.send_frame(&message(CALL, "get", 1, "JFK"));
    let reply = String::from_utf8_lossy(&wire.read_frame()).into_owned();
    assert_says(&reply, "call.unauthenticated");
}
