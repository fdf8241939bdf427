//! Signals: SIGTERM finishes calls in flight, SIGHUP reloads the configuration.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use crate::support::airports::{CONFIG, FILES, airports};
use crate::support::message::message;
use crate::support::{PATIENCE, Tributary, send_signal};

#[test]
fn sigterm_finishes_calls_in_flight() {
    let server = airports();
    let mut wire = server.connect();
    wire.send_frame(&message(1, "slow", 1, "JFK"));
    // Its reply shows that the server has also read the slow call before it.
    let mut other = server.connect();
    other.send_frame(&message(1, "get", 2, "JFK"));
    other.read_frame();
    let (status, log) = server.stop("TERM");
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    assert_eq!(wire.read_to_end(), b"");
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_call_longer_than_the_drain_gets_no_reply() {
    let config = CONFIG
        .replace("[server]", "[server]\ndrain_timeout = \"50ms\"")
        .replace("60ms", "1h")
        .replace(
            "[views.slow.lookups]",
            "[views.slow]\ndeadline = \"1h\"\n[views.slow.lookups]",
        );
    let server = Tributary::start(&config, &FILES);
    let mut wire = server.connect();
    wire.send_frame(&message(1, "slow", 1, "JFK"));
    // As above.
    let mut other = server.connect();
    other.send_frame(&message(1, "get", 2, "JFK"));
    other.read_frame();
    let (status, log) = server.stop("TERM");
    assert_eq!(wire.read_to_end(), b"");
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn sigint_ends_an_idle_server_immediately() {
    let server = airports();
    let mut idle = server.connect();
    let (status, log) = server.stop("INT");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(idle.read_to_end(), b"");
}

#[test]
fn sighup_loads_a_new_configuration_and_keeps_the_old_one_if_it_is_invalid() {
    let mut server = airports();
    let mut wire = server.connect();
    let mut name = |code: &str| {
        wire.send_frame(&message(1, "get", 1, code));
        String::from_utf8_lossy(&wire.read_frame()).into_owned()
    };
    assert!(name("JFK").contains("Kennedy"));

    fs::write(
        server.folder().join("airports.csv"),
        "code,name\nJFK,Idlewild\n",
    )
    .expect("the folder is ours");
    server.reload("reloaded");
    assert!(
        name("JFK").contains("Idlewild"),
        "the same connection sees the new table"
    );

    fs::write(server.folder().join("airports.csv"), "code\nJFK\n").expect("the folder is ours");
    let config = server.folder().join("tributary.toml");
    let text = fs::read_to_string(&config).expect("it is there");
    fs::write(
        &config,
        text.replace("[views.get.lookups]", "[views.got.lookups]"),
    )
    .expect("the folder is ours");
    server.reload("not reloaded");
    assert!(name("JFK").contains("Idlewild"), "the old one goes on");
    let (_, log) = server.stop("TERM");
    let reported = log.lines().find(|line| line.contains("views.got"));
    let reported = reported.expect("the problem's key");
    assert!(
        reported.contains("help=") && reported.contains("`get`"),
        "{reported}"
    );
}

/// Reporting that stderr was closed used to panic in the task that handles signals, and the server never stopped.
#[test]
fn a_server_with_an_unread_log_still_stops() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    file("s.thrift", "service S { string get(1: string who) }");
    file("who.csv", "who\nann\n");
    file(
        "tributary.toml",
        r#"
[server]
idl = "s.thrift"
listen = "127.0.0.1:0"
[backends.table]
kind = "file"
path = "who.csv"
[lookups.who]
backend = "table"
key = { who = "{who}" }
rows = "value"
[views.get.lookups]
who = "who"
"#,
    );
    let mut server = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .arg("serve")
        .arg("-c")
        .arg(folder.path().join("tributary.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program itself");
    let mut log = BufReader::new(server.stderr.take().expect("piped"));
    let mut line = String::new();
    log.read_line(&mut line).expect("its first line");
    assert!(line.contains("listening"), "{line}");
    drop(log);
    send_signal(server.id(), "TERM");
    let (ended, end) = channel();
    let id = server.id();
    std::thread::spawn(move || ended.send(server.wait()));
    match end.recv_timeout(PATIENCE) {
        Ok(status) => assert!(status.expect("our child").success()),
        Err(_) => {
            send_signal(id, "KILL");
            panic!("it still runs");
        }
    }
}
