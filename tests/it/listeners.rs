//! Several listeners of one server, each with its own settings, and Unix sockets.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;
use crate::support::{Tributary, Wire, bytes};

const CALL: u8 = 1;

/// The airports' server with additional keys in `[server]`.
fn serve(keys: &str) -> Tributary {
    let config = CONFIG.replace("[server]", &format!("[server]\n{keys}"));
    Tributary::start(&config, &FILES)
}

#[track_caller]
fn assert_serves<S: Read + Write>(wire: &mut Wire<S>) {
    wire.send_frame(&message(CALL, "get", 1, "JFK"));
    let reply = wire.read_frame();
    let text = String::from_utf8_lossy(&reply);
    assert!(text.contains("Kennedy"), "{text}");
}

#[test]
fn a_port_and_a_unix_socket_serve_the_same() {
    let server = serve(r#"listeners = [{ listen = "unix://socket", mode = "0640" }]"#);
    let path = server.folder().join("socket");
    assert_serves(&mut server.connect());
    let mut wire = Wire::connect_unix(&path);
    assert_serves(&mut wire);
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    // A call in flight is answered; then the connection closes and the file is removed.
    wire.send_frame(&message(CALL, "slow", 2, "LAX"));
    let (status, log, folder) = server.stop_in("TERM");
    assert!(status.success(), "{log}");
    assert!(
        log.contains(&format!("addr=unix://{}", path.display())),
        "{log}"
    );
    let reply = wire.read_frame();
    assert!(String::from_utf8_lossy(&reply).contains("Los Angeles"));
    assert!(folder.path().exists() && !path.exists());
}

#[test]
fn several_loops_share_a_unix_socket() {
    let server = serve("workers = 3\nlisteners = [{ listen = \"unix://socket\" }]");
    let path = server.folder().join("socket");
    let mut wires: Vec<_> = (0..20).map(|_| Wire::connect_unix(&path)).collect();
    for wire in &mut wires {
        assert_serves(wire);
    }
}

#[test]
fn a_listener_accepts_only_its_wire_formats() {
    let choosy = || {
        let mut server = serve(
            r#"listeners = [
                { listen = "127.0.0.1:0", transports = ["framed"] },
                { listen = "127.0.0.1:0", transports = ["header"], protocols = ["compact"] },
            ]"#,
        );
        let ports = (server.next_port(), server.next_port());
        (server, ports)
    };
    let (server, (framed, header)) = choosy();
    let get = message(CALL, "get", 1, "JFK");
    assert_serves(&mut server.connect());
    assert_serves(&mut Wire::connect(framed));
    let mut unframed = Wire::connect(framed);
    unframed.send(&get);
    assert_eq!(unframed.read_to_end(), b"");
    // A frame with the wrong protocol gets a reply, because its header has a sequence id.
    let mut wire = Wire::connect(header);
    wire.send_frame(
        &[
            &bytes("0f ff 00 00 00 00 00 01 00 01 00 00 00 00")[..],
            &get,
        ]
        .concat(),
    );
    let reply = wire.read_frame();
    let text = String::from_utf8_lossy(&reply);
    assert!(text.contains("wire.unknown_protocol"), "{text}");
    let compact =
        bytes("0f ff 00 00 00 00 00 02 00 01 02 00 00 00 82 21 01 03 'get' 18 03 'LAX' 00");
    wire.send_frame(&compact);
    let reply = wire.read_frame();
    assert!(String::from_utf8_lossy(&reply).contains("Los Angeles"));
    let (_, log) = server.stop("TERM");
    assert!(
        log.contains("this listener does not accept unframed binary"),
        "{log}"
    );
    // On a new server, because only the first of each kind is certain to be logged.
    let (server, (_, header)) = choosy();
    let mut plain = Wire::connect(header);
    plain.send_frame(&get);
    assert_eq!(plain.read_to_end(), b"");
    let (_, log) = server.stop("TERM");
    assert!(
        log.contains("this listener does not accept framed binary"),
        "{log}"
    );
}

#[test]
fn a_full_listener_does_not_affect_the_others() {
    let server = serve(r#"listeners = [{ listen = "unix://socket", connections_max = 1 }]"#);
    let path = server.folder().join("socket");
    let mut first = Wire::connect_unix(&path);
    assert_serves(&mut first);
    assert_eq!(Wire::connect_unix(&path).read_to_end(), b"");
    assert_serves(&mut server.connect());
    assert_serves(&mut first);
}

#[test]
fn the_limit_of_the_loop_covers_all_listeners_together() {
    let config = CONFIG.replace("limits = { ", "limits = { connections_max = 2, ");
    let config = config.replace(
        "[server]",
        "[server]\nlisteners = [{ listen = \"unix://socket\" }]",
    );
    let server = Tributary::start(&config, &FILES);
    let path = server.folder().join("socket");
    let (mut one, mut two) = (server.connect(), Wire::connect_unix(&path));
    assert_serves(&mut one);
    assert_serves(&mut two);
    assert_eq!(Wire::connect_unix(&path).read_to_end(), b"");
    assert_eq!(server.connect().read_to_end(), b"");
}

#[test]
fn a_killed_server_leaves_a_file_that_the_next_one_replaces() {
    let first = serve(r#"listeners = [{ listen = "unix://socket" }]"#);
    let folder = first.kill();
    assert!(folder.path().join("socket").exists());
    let second = Tributary::serve(folder, &[]);
    assert_serves(&mut Wire::connect_unix(&second.folder().join("socket")));
}

#[test]
fn addresses_and_event_loops_may_come_from_the_environment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keys = r#"listeners = [{ listen = "env:FURTHER" }]
workers = "env:LOOPS""#;
    let config = CONFIG.replace("[server]", &format!("[server]\n{keys}"));
    let admin = format!("admin = {{ listen = \"env:ADMIN\" }}\n{config}");
    for (name, text) in FILES.iter().chain(&[("tributary.toml", &*admin)]) {
        fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    let env = [
        ("FURTHER", "127.0.0.1:0"),
        ("ADMIN", "127.0.0.1:0"),
        ("LOOPS", "2"),
    ];
    let mut server = Tributary::serve(folder, &env);
    assert_serves(&mut Wire::connect(server.next_port()));
    server.admin();
    let checked = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["check", "-c"])
        .arg(server.folder().join("tributary.toml"))
        .envs(env)
        .output()
        .expect("the program runs");
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.contains("workers: 2 (env:LOOPS)\n"), "{checked}");
    let (_, log) = server.stop("TERM");
    assert!(log.contains("workers=2"), "{log}");
}

#[test]
fn an_address_that_is_taken_is_reported_with_its_key() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = holder.local_addr().expect("it is bound").to_string();
    let free = "listen = \"127.0.0.1:0\"";
    let used = format!("listen = \"{taken}\"");
    for (table, admin, server, port) in [
        ("server", free, used.clone(), ""),
        (
            "server.listeners[1]",
            free,
            format!("listeners = [{{ {free} }}, {{ {used} }}]"),
            "",
        ),
        ("admin", &used, free.to_owned(), "the admin port "),
    ] {
        let log = fail_to_start(&format!("admin = {{ {admin} }}"), &server);
        let says = format!(
            "error: can't serve: {port}can't listen on `{taken}` (`{table}.listen`): Address already in use"
        );
        assert!(log.contains(&says), "{log}");
        assert!(!log.contains("stopped"), "{log}");
    }
}

/// Starts a server with keys above and in `[server]`, which can't serve. Returns its log.
fn fail_to_start(above: &str, keys: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = CONFIG.replace("[server]", &format!("[server]\n{keys}"));
    let config = format!("{above}\n{config}");
    for (name, text) in FILES.iter().chain(&[("tributary.toml", &*config)]) {
        fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    let ended = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["serve", "-c"])
        .arg(folder.path().join("tributary.toml"))
        .output()
        .expect("the program runs");
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{log}");
    log
}

#[test]
fn a_second_server_does_not_share_the_port_of_several_loops() {
    let first = serve("workers = 4");
    let taken = first.addr;
    let log = fail_to_start("", &format!("workers = 4\nlisten = \"{taken}\""));
    let says = format!(
        "error: can't serve: can't listen on `{taken}` (`server.listen`): Address already in use"
    );
    assert!(log.contains(&says), "{log}");
    let mut wires: Vec<_> = (0..20).map(|_| first.connect()).collect();
    wires.iter_mut().for_each(assert_serves);
}
