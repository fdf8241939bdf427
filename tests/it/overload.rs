//! What is admitted is served whole, and what can't be served is refused as a whole.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use tokio::time::Instant;
use tributary::{Server, Value};

use crate::admin::{get, patiently, scrape, status_of};
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::{EXCEPTION, message};
use crate::support::{Redis, Tributary, Wire};

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

/// Ends the clients of a scope, even if a test fails before that.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends a server more than its loop can do until `until`, which hears whether a call was served whole. Returns how many calls it
/// refused.
fn flood(server: &Tributary, until: impl Fn(bool) -> bool) -> usize {
    // What these connections send is read in one turn of the loop, and takes longer than a call may, also in a fast build.
    let (connections, depth) = (64, 64);
    let (stop, any_whole) = (AtomicBool::new(false), AtomicBool::new(false));
    let greedy = |mut client: Wire| {
        let (mut sent, mut replies, mut of_server) = (0, 0, 0);
        loop {
            while sent - replies < depth && !stop.load(Ordering::Relaxed) {
                sent += 1;
                client.send_frame(&message(1, "page", sent, "k"));
            }
            if sent == replies {
                return of_server;
            }
            let reply = client.read_frame();
            replies += 1;
            if String::from_utf8_lossy(&reply).contains("server.overloaded") {
                of_server += 1;
            } else if reply[3] != EXCEPTION && parts(&reply) == 3 {
                any_whole.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let ends = Ends(&stop);
        let clients: Vec<_> = (0..connections).map(|_| server.connect()).collect();
        let clients: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(|| greedy(client)))
            .collect();
        patiently(|| until(any_whole.load(Ordering::Relaxed)));
        drop(ends);
        let refused = clients.into_iter().map(ScopedJoinHandle::join);
        refused.map(|refused| refused.expect("replies")).sum()
    })
}

#[test]
fn a_loop_with_more_work_than_it_can_do_refuses_calls_whole_and_serves_the_others() {
    let redis = Redis::start();
    redis.run("SET k found");
    // Much less than a flood takes, and much more than a call takes alone: a build without optimization is ten times slower.
    let deadline = if cfg!(debug_assertions) {
        "100ms"
    } else {
        "10ms"
    };
    let config = config(&redis, &redis, "").replace("60s", deadline);
    let mut server = Tributary::start(&config, &[("s.thrift", IDL)]);
    let admin = server.admin();
    let labels = [("reason", "loop")];
    let refused = || scrape(admin).count("tributary_calls_overloaded_total", &labels);
    assert!(flood(&server, |any_whole| any_whole && refused() > 0) > 0);
    server.wait_for_line("calls refused: the event loop has more work than it can do");
    // Once there is time, calls are served as before.
    patiently(|| {
        let mut client = server.connect();
        client.send_frame(&message(1, "page", 1, "k"));
        parts(&client.read_frame()) == 3
    });
}

/// A call with much time is not late, so it is refused only because the rounds of the loop have become long.
#[test]
fn calls_are_refused_before_they_are_late_if_the_loop_has_more_work_than_it_can_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let idl = "struct Page { 1: optional string a } service S { Page page(1: string code) }";
    std::fs::write(at("s.thrift"), idl).expect("the folder is ours");
    let config = r#"
[server]
idl = "s.thrift"
listen = "127.0.0.1:0"
workers = 1
[views.page]
deadline = "1h"
[views.page.lookups]
a = "work"
"#;
    std::fs::write(at("s.toml"), config).expect("the folder is ours");
    let server = Server::new(at("s.toml"))
        .lookup("work", &[], async |_| {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(4) {
                std::hint::spin_loop();
            }
            Ok(Value::from("found"))
        })
        .spawn()
        .expect("it starts");
    let refused = AtomicBool::new(false);
    // A round takes an eighth of a second.
    let greedy = || {
        let mut wire = Wire::connect(server.addr());
        let (mut sent, mut replies, mut served) = (0, 0, 0_usize);
        while replies < sent || !refused.load(Ordering::Relaxed) {
            while sent - replies < 8 && !refused.load(Ordering::Relaxed) {
                sent += 1;
                wire.send_frame(&message(1, "page", sent, "k"));
            }
            let reply = wire.read_frame();
            replies += 1;
            assert_eq!(reply[12..16], replies.to_be_bytes(), "in their order");
            if reply[3] == EXCEPTION {
                assert!(String::from_utf8_lossy(&reply).contains("server.overloaded"));
                refused.store(true, Ordering::Relaxed);
            } else {
                assert!(String::from_utf8_lossy(&reply).contains("found"));
                served += 1;
            }
        }
        served
    };
    let served: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(greedy)).collect();
        let served = clients.into_iter().map(ScopedJoinHandle::join);
        served.map(|served| served.expect("replies")).sum()
    });
    assert!(served > 0);
    // Once there is time, calls are served as before.
    patiently(|| {
        let mut wire = Wire::connect(server.addr());
        wire.send_frame(&message(1, "page", 1, "k"));
        wire.read_frame()[3] != EXCEPTION
    });
    server.stop().expect("it stops");
}

#[test]
fn a_limit_that_only_measures_counts_what_it_would_refuse_and_refuses_nothing() {
    let redis = Redis::start();
    redis.run("SET k found");
    let config = config(&redis, &redis, "").replace("60s", "10ms").replace(
        "workers = 1",
        "workers = 1\noverload = { mode = \"measure\" }",
    );
    let mut server = Tributary::start(&config, &[("s.thrift", IDL)]);
    let admin = server.admin();
    // All of them are late then, as they would be without the limit.
    flood(&server, |_| {
        scrape(admin).count("tributary_calls_overload_measured_total", &[]) > 0
    });
    let labels = [("reason", "loop")];
    let refused = scrape(admin).count("tributary_calls_overloaded_total", &labels);
    assert_eq!(refused, 0);
}

#[test]
fn a_server_that_refuses_most_calls_is_not_ready_until_that_is_over() {
    let unready = r#"unready_refusals = { share = 0.5, count = 3, within = "1s", for = "1s" }"#;
    let config = CONFIG
        .replace("limits = { ", "limits = { calls_max = 1, ")
        .replace("60ms", "1h")
        .replace(
            "[views.slow.lookups]",
            "[views.slow]\ndeadline = \"1h\"\n[views.slow.lookups]",
        );
    let config = format!("admin = {{ listen = \"127.0.0.1:0\", {unready} }}\n{config}");
    let mut server = Tributary::start(&config, &FILES);
    let admin = server.admin();
    let answer = |path| {
        let (head, body) = get(admin, path);
        (status_of(&head), body)
    };
    assert_eq!(answer("/readyz"), (200, "ready\n".to_owned()));
    let mut slow = server.connect();
    slow.send_frame(&message(1, "slow", 1, "JFK"));
    patiently(|| scrape(admin).count("tributary_calls_in_flight", &[]) == 1);
    patiently(|| {
        let mut wire = server.connect();
        wire.send_frame(&message(1, "get", 2, "JFK"));
        let reply = wire.read_frame();
        assert!(String::from_utf8_lossy(&reply).contains("server.overloaded"));
        answer("/readyz") == (503, "refusing calls\n".to_owned())
    });
    assert_eq!(answer("/livez").0, 200);
    assert_eq!(scrape(admin).count("tributary_ready", &[]), 0);
    patiently(|| answer("/readyz").0 == 200);
    drop(slow);
    let (_, log) = server.stop("TERM");
    let said = "not ready: too many calls are refused";
    assert_eq!(log.matches(said).count(), 1, "{log}");
    let said = "calls refused: `calls_max` are in flight";
    assert_eq!(log.matches(said).count(), 1, "one line of many: {log}");
}
