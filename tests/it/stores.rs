//! Real stores that come and go: a server outlives them and finds them again by itself.

use crate::support::{Redis, Tributary, Wire, bytes, free_port};

const IDL: &str = "struct Reply { 1: required string who, 2: optional string note } service S { Reply get(1: string who) }";

fn config(url: &str) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"

[backends.cache]
kind = "redis"
url = "{url}"

[backends.table]
kind = "file"
path = "who.csv"

[lookups.who]
backend = "table"
key = {{ who = "{{who}}" }}
rows = "value"

[lookups.note]
backend = "cache"
get = "note:{{who}}"
inject = {{ delay = "5ms" }}

[views.get.lookups]
who = {{ use = "who", required = true }}
note = "note"
"#
    )
}

/// `get("ann")`, and whether `text` is in its reply.
fn note_is(wire: &mut Wire, text: &str) -> bool {
    wire.send_frame(&bytes(
        "80 01 00 01 00 00 00 03 'get' 00 00 00 01 0b 00 01 00 00 00 03 'ann' 00",
    ));
    let reply = wire.read_frame();
    let reply = String::from_utf8_lossy(&reply);
    assert!(
        reply.contains("ann"),
        "the required part is always there: {reply}"
    );
    reply.contains(text)
}

#[test]
fn redis_down_at_start_and_gone_in_between() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}/0");
    let server = Tributary::start(
        &config(&url),
        &[("s.thrift", IDL), ("who.csv", "who\nann\n")],
    );
    let mut wire = server.connect();
    assert!(!note_is(&mut wire, "hello"));

    for _ in 0..2 {
        let redis = Redis::start_on(port).expect("the port is still free");
        redis.run("set note:ann hello");
        // A connection is tried again after a pause, so the first answers may still be without a note. The
        // injected delay keeps the tries apart.
        assert!(
            (0..2000).any(|_| note_is(&mut wire, "hello")),
            "it finds Redis again"
        );
        drop(redis);
        assert!(
            (0..2000).any(|_| !note_is(&mut wire, "hello")),
            "it sees that Redis is gone"
        );
    }
}
