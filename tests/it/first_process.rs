//! The server as the first process of a container, as an unprivileged user without anything to write to: in namespaces that
//! this test makes, so that it needs no container engine. It needs root; without, it says so and passes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use tempfile::TempDir;

use crate::admin::patiently;
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;
use crate::support::{Process, Wire, send_signal};

/// Makes everything read-only, leaves a child behind that ends as an orphan, drops all privileges, and becomes the server.
const SCRIPT: &str = r#"
set -e
mount --make-rprivate /
mount --rbind / /
mount -t proc proc /proc
for at in $(cut -d' ' -f5 /proc/self/mountinfo | grep -v '^/proc'); do
    mount -o remount,ro,bind "$at" 2>/dev/null || true
done
! touch "$1/x" 2>/dev/null
(true &)
exec setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$2" serve -c "$1/tributary.toml"
"#;

fn status(process: u32, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key}")).trim().to_owned()
}

fn children(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(path).expect("it runs");
    let children = children.split_whitespace();
    children.map(|id| id.parse().expect("an id")).collect()
}

/// A folder that anybody may read, with the program in it.
fn laid_out() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mode = |of: &str, mode| {
        let path = folder.path().join(of);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    mode("", 0o755);
    let config = CONFIG.replace(
        "[server]",
        "[admin]\nlisten = \"127.0.0.1:0\"\n[server]\nlisten = \"127.0.0.1:0\"",
    );
    for (name, text) in FILES.into_iter().chain([("tributary.toml", &*config)]) {
        fs::write(folder.path().join(name), text).expect("the folder is ours");
        mode(name, 0o644);
    }
    // Anybody may run it there.
    let program = folder.path().join("tributary");
    fs::copy(env!("CARGO_BIN_EXE_tributary"), &program).expect("the folder is ours");
    mode("tributary", 0o755);
    folder
}

#[test]
fn as_the_first_process_it_reaps_orphans_reloads_and_drains_without_privileges_or_a_writable_file()
{
    let folder = laid_out();
    let mut made = Command::new("unshare");
    made.args([
        "--mount", "--pid", "--fork", "setpriv", "--reuid", "65532", "true",
    ]);
    if !made.output().is_ok_and(|output| output.status.success()) {
        eprintln!("no namespaces can be made: the server was not run in them");
        return;
    }
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        SCRIPT,
        "sh",
    ]);
    let mut process = Process::start(
        command
            .arg(folder.path())
            .arg(folder.path().join("tributary")),
        "util-linux",
    );
    let addr = |line: &str| {
        let (_, addr) = line.split_once("addr=")?;
        addr.split(' ').next()?.parse().ok()
    };
    let listening = process.wait_for(addr);
    let listening = listening.unwrap_or_else(|| panic!("{}", process.written()));
    let admin = process.wait_for(|line| addr(line).filter(|_| line.contains("admin")));
    let admin: std::net::SocketAddr = admin.expect("an admin port");

    let [server] = children(process.id())[..] else {
        panic!("one child: {}", process.written());
    };
    assert!(
        status(server, "NSpid").ends_with("\t1"),
        "the first process"
    );
    assert_eq!(status(server, "Uid"), "65532\t65532\t65532\t65532");
    assert_eq!(status(server, "CapEff"), "0000000000000000");
    patiently(|| children(server).is_empty());

    let mut wire = Wire::connect(listening);
    wire.send_frame(&message(1, "get", 1, "JFK"));
    assert!(String::from_utf8_lossy(&wire.read_frame()).contains("Kennedy"));
    let mut health = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let health = health
        .args(["health", "--addr", &admin.to_string()])
        .output();
    assert!(health.expect("the program itself").status.success());
    send_signal(server, "HUP");
    let reloaded = "serving the reloaded configuration";
    let found = process.wait_for(|line| line.contains(reloaded).then_some(()));
    assert!(found.is_some(), "{}", process.written());
    send_signal(server, "TERM");
    let (status, log) = process.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
}
