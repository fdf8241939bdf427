//! Signals: SIGTERM finishes the calls that clients have sent, SIGHUP reloads the configuration.

mod delay;
mod tls;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;

use crate::admin::patiently;
use crate::support::airports::{CONFIG, FILES, airports};
use crate::support::message::message;
use crate::support::{PATIENCE, Tributary, Wire, send_signal};

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
    assert!(!stopped(&log).contains("calls_cut_off"), "{log}");
}

/// The last line of the log.
#[track_caller]
fn stopped(log: &str) -> &str {
    let last = log.lines().last().expect("a line");
    let (_, drain) = last.split_once("stopped drain_ms=").expect(log);
    let took = drain
        .split(' ')
        .next()
        .and_then(|ms| ms.parse::<u64>().ok());
    assert!(took.is_some(), "{last}");
    last
}

#[test]
fn a_call_longer_than_the_drain_is_told_so() {
    let config = CONFIG
        .replace("[server]", "[server]\ndrain_timeout = \"100ms\"")
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
    let reply = wire.read_frame();
    assert!(String::from_utf8_lossy(&reply).contains("server.draining"));
    assert_eq!(wire.read_to_end(), b"");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(stopped(&log).ends_with("calls_cut_off=1"), "{log}");
}

#[test]
fn sigint_ends_an_idle_server_immediately() {
    let server = airports();
    let mut idle = server.connect();
    let (status, log) = server.stop("INT");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(idle.read_to_end(), b"");
}

const CLIENTS: usize = 50;

/// A call with its length before it.
fn frame(method: &str, seqid: i32) -> Vec<u8> {
    let call = message(1, method, seqid, "JFK");
    let len = u32::try_from(call.len()).expect("a small message");
    [&len.to_be_bytes()[..], &call].concat()
}

/// A connection whose socket the test can look at.
fn connect(server: &Tributary) -> (Wire, TcpStream) {
    let stream = TcpStream::connect(server.addr).expect("it listens");
    let socket = stream.try_clone().expect("a descriptor");
    (Wire::over(stream), socket)
}

/// Expects the reply to `get`, then the end of the connection, which must not be a reset.
#[track_caller]
fn assert_served_and_closed((wire, socket): &mut (Wire, TcpStream)) {
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    let mut rest = [0; 1];
    let end = socket.read(&mut rest);
    assert!(matches!(end, Ok(0)), "{end:?}");
}

#[test]
fn connections_that_wait_to_be_accepted_are_served_after_sigterm() {
    let server = airports();
    // The kernel completes the connections of a stopped process, and keeps what their clients send.
    server.signal("STOP");
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(&server)).collect();
    for (wire, _) in &mut clients {
        wire.send_frame(&message(1, "get", 1, "JFK"));
    }
    server.signal("TERM");
    server.signal("CONT");
    clients.iter_mut().for_each(assert_served_and_closed);
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn calls_that_were_sent_and_not_read_are_served_after_sigterm() {
    let server = airports();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(&server)).collect();
    for (wire, _) in &mut clients {
        wire.send_frame(&message(1, "get", 1, "JFK"));
        wire.read_frame();
    }
    server.signal("STOP");
    for (wire, _) in &mut clients {
        // In one write: the client's kernel would keep the second message back until the first is acknowledged.
        wire.send(&[frame("slow", 2), frame("get", 3)].concat());
    }
    server.signal("TERM");
    server.signal("CONT");
    for client in &mut clients {
        assert!(String::from_utf8_lossy(&client.0.read_frame()).contains("Kennedy"));
        assert_served_and_closed(client);
    }
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_call_of_which_a_part_was_sent_is_served_after_sigterm() {
    let mut server = airports();
    let mut client = connect(&server);
    let frame = frame("get", 1);
    let (begin, rest) = frame.split_at(10);
    server.signal("STOP");
    client.0.send(begin);
    server.signal("TERM");
    server.signal("CONT");
    server.wait_for_line("draining");
    client.0.send(rest);
    assert_served_and_closed(&mut client);
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_connection_that_waits_to_be_accepted_may_still_send_its_first_call_after_sigterm() {
    let mut server = airports();
    server.signal("STOP");
    let mut client = connect(&server);
    server.signal("TERM");
    server.signal("CONT");
    server.wait_for_line("draining");
    client.0.send_frame(&message(1, "get", 1, "JFK"));
    assert_served_and_closed(&mut client);
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_client_that_called_a_moment_ago_may_call_once_more_after_sigterm() {
    let mut server = airports();
    let mut client = connect(&server);
    client.0.send_frame(&message(1, "get", 1, "JFK"));
    client.0.read_frame();
    server.signal("TERM");
    server.wait_for_line("draining");
    client.0.send_frame(&message(1, "get", 2, "JFK"));
    assert_served_and_closed(&mut client);
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// A server with so many methods that its start takes a while, on a Unix socket: there is nothing to connect to before it
/// listens.
fn start_slowly(folder: &Path) -> Child {
    let mut idl = "service S {\n".to_owned();
    let mut config = format!(
        "[server]\nidl = \"s.thrift\"\nlisten = \"unix://{}\"\n\
         [backends.table]\nkind = \"file\"\npath = \"who.csv\"\n\
         [lookups.who]\nbackend = \"table\"\nkey = {{ who = \"{{who}}\" }}\nrows = \"value\"\n",
        folder.join("socket").display()
    );
    for at in 0..300 {
        writeln!(idl, "  string m{at}(1: string who)").expect("a String takes everything");
        writeln!(config, "[views.m{at}.lookups]\nwho = \"who\"")
            .expect("a String takes everything");
    }
    idl.push('}');
    let files = [
        ("s.thrift", &*idl),
        ("who.csv", "who\nann\n"),
        ("tributary.toml", &*config),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).expect("the folder is ours");
    }
    Command::new(env!("CARGO_BIN_EXE_tributary"))
        .arg("serve")
        .arg("-c")
        .arg(folder.join("tributary.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program itself")
}

/// Starts it, sends it these signals as soon as a client can connect, and waits for its end; returns the log too.
fn signalled_at_once(signals: &[&str]) -> (ExitStatus, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = start_slowly(folder.path());
    let socket = folder.path().join("socket");
    patiently(|| UnixStream::connect(&socket).is_ok());
    for signal in signals {
        send_signal(server.id(), signal);
    }
    let mut log = String::new();
    let mut lines = BufReader::new(server.stderr.take().expect("piped"));
    if signals.contains(&"HUP") {
        while !log.contains("serving the reloaded configuration") {
            assert!(lines.read_line(&mut log).expect("text") > 0, "{log}");
        }
        send_signal(server.id(), "TERM");
    }
    lines.read_to_string(&mut log).expect("text");
    (server.wait().expect("our child"), log)
}

#[test]
fn signals_wait_for_a_server_that_has_just_begun_to_listen() {
    for _ in 0..3 {
        let (status, log) = signalled_at_once(&["TERM"]);
        assert_eq!(status.code(), Some(0), "{log}");
    }
    let (status, log) = signalled_at_once(&["HUP"]);
    assert_eq!(status.code(), Some(0), "{log}");
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
    while !line.contains("listening") {
        let read = log.read_line(&mut line).expect("text");
        assert!(read > 0, "{line}");
    }
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
