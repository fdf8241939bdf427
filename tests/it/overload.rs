//! What is admitted is served whole, and what can't be served is refused as a whole.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use crate::admin::{patiently, scrape};
use crate::support::message::{EXCEPTION, message};
use crate::support::{Redis, Tributary};

const IDL: &str = "
struct Page { 1: optional string a, 2: optional string b, 3: optional string c, 4: optional string sick }
service S { Page page(1: string code), Page beside(1: string code) }
";

/// `page` asks one store three times; `beside` asks another one too.
fn config(good: &Redis, sick: &Redis, limits: &str) -> String {
    format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
[backends.good]
kind = "redis"
url = "redis://{}"
{limits}
[backends.sick]
kind = "redis"
url = "redis://{}"
in_flight_max = 1
[lookups.value]
backend = "good"
get = "{{code}}"
[lookups.sick]
backend = "sick"
get = "{{code}}"
[views.page]
deadline = "60s"
[views.page.lookups]
a = "value"
b = "value"
c = "value"
[views.beside]
deadline = "60s"
[views.beside.lookups]
a = "value"
b = "value"
c = "value"
sick = {{ use = "sick", timeout = "100ms" }}
"#,
        good.addr, sick.addr
    )
}

/// How many of the three parts a reply has.
fn parts(reply: &[u8]) -> usize {
    String::from_utf8_lossy(reply).matches("found").count()
}

fn outcomes(admin: std::net::SocketAddr, method: &str, outcome: &str) -> usize {
    let labels = [("method", method), ("outcome", outcome)];
    scrape(admin).count("tributary_calls_total", &labels)
}

#[test]
fn a_burst_of_more_lookups_than_may_wait_is_served_whole() {
    let redis = Redis::start();
    redis.run("SET k found");
    let limits = "in_flight_max = 4\nwaiting_max = 4\nbatch_max = 2";
    let config = config(&redis, &redis, limits);
    let mut server = Tributary::start(&config, &[("s.thrift", IDL)]);
    let admin = server.admin();
    // All begin before any lookup can leave.
    let calls = (1..=32).map(|n| {
        let call = message(1, "page", n, "k");
        [
            &u32::try_from(call.len()).expect("short").to_be_bytes()[..],
            &call,
        ]
        .concat()
    });
    let mut wire = server.connect();
    wire.send(&calls.collect::<Vec<_>>().concat());
    for _ in 0..32 {
        assert_eq!(parts(&wire.read_frame()), 3);
    }
    assert_eq!(outcomes(admin, "page", "ok"), 32);
    assert_eq!(outcomes(admin, "page", "partial"), 0);
}

#[test]
fn a_store_that_hangs_costs_only_its_own_lookups() {
    let (good, sick) = (Redis::start(), Redis::start());
    for redis in [&good, &sick] {
        redis.run("SET k found");
    }
    let mut server = Tributary::start(&config(&good, &sick, ""), &[("s.thrift", IDL)]);
    let admin = server.admin();
    let mut wire = server.connect();
    wire.send_frame(&message(1, "beside", 1, "k"));
    assert_eq!(parts(&wire.read_frame()), 4);
    sick.signal("STOP");
    for round in 0..8 {
        for n in 0..8 {
            wire.send_frame(&message(1, "beside", round * 8 + n, "k"));
        }
        for _ in 0..8 {
            assert_eq!(parts(&wire.read_frame()), 3);
        }
    }
    let refused =
        |reason| scrape(admin).count("tributary_calls_overloaded_total", &[("reason", reason)]);
    assert_eq!((refused("waiting"), refused("calls_max")), (0, 0));
    assert_eq!(outcomes(admin, "beside", "ok"), 1);
    assert_eq!(
        outcomes(admin, "beside", "partial"),
        64,
        "no such reply is `ok`"
    );
    sick.signal("CONT");
}

/// Answers one request after the other, each after 50 ms.
#[expect(clippy::disallowed_methods, reason = "a store of its own that is slow")]
fn slow_store() -> TcpListener {
    let store = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let accepts = store.try_clone().expect("a descriptor");
    std::thread::spawn(move || {
        for stream in accepts.incoming() {
            let mut stream = stream.expect("a connection");
            let lines = BufReader::new(stream.try_clone().expect("a descriptor")).lines();
            for line in lines.map_while(Result::ok) {
                if line.is_empty() {
                    std::thread::sleep(Duration::from_millis(50));
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n\"found\"";
                    if stream.write_all(answer).is_err() {
                        break;
                    }
                }
            }
        }
    });
    store
}

#[test]
fn calls_that_would_wait_too_long_are_refused_whole() {
    let store = slow_store();
    let config = format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
limits = {{ pipelined_max = 1000 }}
[backends.slow]
kind = "http"
url = "http://{}"
in_flight_max = 1
[lookups.value]
backend = "slow"
get = "/{{code}}"
[views.page]
deadline = "2s"
[views.page.lookups]
a = "value"
"#,
        store.local_addr().expect("bound")
    );
    let idl = "struct Page { 1: optional string a } service S { Page page(1: string code) }";
    let mut server = Tributary::start(&config, &[("s.thrift", idl)]);
    let admin = server.admin();
    let mut greedy = server.connect();
    for n in 0..200 {
        greedy.send_frame(&message(1, "page", n, "k"));
    }
    let waiting = || {
        let labels = [("backend", "slow")];
        scrape(admin).count("tributary_backend_waiting_lookups", &labels)
    };
    patiently(|| waiting() > 0);
    // As soon as it is known how fast the store is.
    let refused = loop {
        let mut polite = server.connect();
        polite.send_frame(&message(1, "page", 7, "k"));
        let reply = polite.read_frame();
        if reply[3] == EXCEPTION {
            break String::from_utf8_lossy(&reply).into_owned();
        }
        assert_eq!(parts(&reply), 1, "an admitted call has all its parts");
        if waiting() == 0 {
            for n in 0..200 {
                greedy.send_frame(&message(1, "page", n, "k"));
            }
        }
    };
    assert!(refused.contains("server.overloaded"), "{refused}");
    let reasons = [("reason", "waiting")];
    assert!(scrape(admin).count("tributary_calls_overloaded_total", &reasons) > 0);
    assert!(outcomes(admin, "page", "server.overloaded") > 0);
    server.wait_for_line("calls refused: their lookups would wait too long");
}
