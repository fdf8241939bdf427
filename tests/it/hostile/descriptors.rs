//! Few file descriptors, and none left.

use std::fs;
use std::process::Command;

use super::{Victim, assert_serves, patiently};
use crate::support::{Tributary, run};

#[test]
fn clients_leave_enough_descriptors_for_everything_else() {
    let victim = Victim::start_with("", |config, files| {
        Tributary::start_with_open_files(256, config, files)
    });
    // 256 / 2 - 64
    let mut held: Vec<_> = (0..64).map(|_| victim.connect()).collect();
    held.iter_mut().for_each(assert_serves);
    for _ in 0..300 {
        assert_eq!(victim.connect().read_to_end(), b"");
    }
    assert_eq!(victim.closed("refused"), 300);
    held.iter_mut().for_each(assert_serves);
    drop(held);
    patiently(|| victim.count("tributary_connections_open") == 0);
    victim.assert_serves();
    assert_eq!(victim.count("tributary_accept_errors_total"), 0);
    let (_, log) = victim.server.stop("TERM");
    assert!(log.contains("connections_max=4096 taken=64"), "{log}");
    let told = log.matches("too many connections").count();
    assert!(told < 300, "a line for each would fill the log");
}

#[test]
fn without_a_descriptor_the_loop_waits_and_the_admin_port_answers() {
    let victim = Victim::start("");
    let mut old = victim.connect();
    assert_serves(&mut old);
    let process = victim.server.id();
    let open = fs::read_dir(format!("/proc/{process}/fd"))
        .expect("it runs")
        .count();
    limit(process, open);
    // The kernel completes the connections; the server does not accept them.
    let mut waiting: Vec<_> = (0..10).map(|_| victim.connect()).collect();
    patiently(|| victim.count("tributary_accept_errors_total") > 0);
    assert_serves(&mut old);
    for _ in 0..10 {
        victim.scrape();
    }
    limit(process, 1024);
    waiting.iter_mut().for_each(assert_serves);
    // The server retried only when it could succeed.
    assert_eq!(victim.count("tributary_accept_errors_total"), 1);
    let (_, log) = victim.server.stop("TERM");
    assert_eq!(log.matches("can't accept connections").count(), 1, "{log}");
    assert!(log.contains("accepting connections again"), "{log}");
}

/// Limits the descriptors of a running process.
fn limit(process: u32, open_files: usize) {
    let mut command = Command::new("prlimit");
    command.arg(format!("--pid={process}"));
    // Keep the hard limit, because a lowered one could not be raised again.
    command.arg(format!("--nofile={open_files}:"));
    run(&mut command, "util-linux");
}
