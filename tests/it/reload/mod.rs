//! A reload says which of the changed keys take a restart, and all others take effect. What did not change is kept.

mod kept;
mod watched;

use std::fs;

use crate::support::Tributary;
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;

/// Replaces `from` in the configuration that `server` was started with.
pub(crate) fn change(server: &Tributary, from: &str, to: &str) {
    let path = server.folder().join("tributary.toml");
    let text = fs::read_to_string(&path).expect("it is there");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).expect("the folder is ours");
}

#[test]
fn changed_keys_that_take_a_restart_are_named() {
    let mut server = Tributary::start(CONFIG, &FILES);
    change(&server, "4KiB\"", "5KiB\", calls_max = 7");
    server.reload("serving the reloaded configuration");
    change(
        &server,
        "frame_bytes_max = \"5KiB\", calls_max = 7",
        "frame_bytes_max = \"4KiB\"",
    );
    server.reload("serving the reloaded configuration");
    let (_, log) = server.stop("TERM");
    let mut warnings = log.lines().filter(|line| line.contains("restart"));
    let warning = warnings.next().expect("a warning");
    assert!(
        warning.ends_with(
            "changed keys take effect only after a restart \
             keys=\"`server.limits.frame_bytes_max`, `server.limits.calls_max`\""
        ),
        "{warning}"
    );
    assert_eq!(warnings.next(), None, "the second reload undoes the first");
}

#[test]
fn a_reload_changes_how_long_a_drain_may_take() {
    let config = CONFIG
        .replace("[server]", "[server]\ndrain_timeout = \"1h\"")
        .replace("60ms", "1h")
        .replace(
            "[views.slow.lookups]",
            "[views.slow]\ndeadline = \"1h\"\n[views.slow.lookups]",
        );
    let mut server = Tributary::start(&config, &FILES);
    change(
        &server,
        "drain_timeout = \"1h\"",
        "drain_timeout = \"50ms\"",
    );
    server.reload("serving the reloaded configuration");
    let mut wire = server.connect();
    wire.send_frame(&message(1, "slow", 1, "JFK"));
    // Its reply shows that the server has also read the slow call before it.
    let mut other = server.connect();
    other.send_frame(&message(1, "get", 2, "JFK"));
    other.read_frame();
    let (status, log) = server.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("drain timed out"), "{log}");
}

#[test]
fn what_all_loops_do_is_logged_once() {
    let config = CONFIG.replace("[server]", "[server]\nworkers = 4");
    let config = format!("{config}\n[lookups.unused]\nbackend = \"airports\"\n");
    let mut server = Tributary::start_with_open_files(512, &config, &FILES);
    let mut wires: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for wire in &mut wires {
        wire.send_frame(&message(1, "get", 1, "JFK"));
        wire.read_frame();
    }
    server.reload("serving the reloaded configuration");
    let (_, log) = server.stop("TERM");
    for (line, expected) in [
        ("listening", 1),
        ("the limit of open files allows fewer", 1),
        ("a warning about the configuration", 2),
        ("serving the reloaded configuration", 1),
        ("draining open=8", 1),
        ("stopped", 1),
    ] {
        assert_eq!(log.matches(line).count(), expected, "{line}\n{log}");
    }
}
