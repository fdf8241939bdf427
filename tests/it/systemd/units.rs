//! `docker/systemd`: systemd itself finds nothing wrong with the units, and they fit the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::run;

const PACKAGE: &str = "the Debian package `systemd`";

/// The most that `systemd-analyze security` may count: from 0, nothing is exposed, to 100.
const EXPOSURE_MAX: &str = "15";

/// The units, for the program that was built.
fn units() -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let names = ["tributary.service", "tributary.socket"];
    let units = names.map(|name| {
        let text = unit(name).replace("/usr/local/bin/tributary", env!("CARGO_BIN_EXE_tributary"));
        let path = folder.path().join(name);
        fs::write(&path, text).expect("the folder is ours");
        path
    });
    (folder, units.to_vec())
}

fn unit(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docker/systemd")
        .join(name);
    fs::read_to_string(path).expect("a unit file")
}

/// The value of a key of a unit.
fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    let mut lines = unit.lines();
    let line = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no `{key}`"))
}

#[test]
fn systemd_verifies_the_units() {
    let (_folder, units) = units();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]).args(&units);
    let output = command
        .output()
        .unwrap_or_else(|err| panic!("{err}: install {PACKAGE}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let about_ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("tributary.s"))
        .collect();
    assert!(output.status.success() && about_ours.is_empty(), "{said}");
}

#[test]
fn the_service_exposes_little() {
    let (_folder, units) = units();
    let mut command = Command::new("systemd-analyze");
    command.args([
        "security",
        "--no-pager",
        "--offline=true",
        "--threshold",
        EXPOSURE_MAX,
    ]);
    let said = run(command.arg(&units[0]), PACKAGE);
    assert!(
        said.contains("Overall exposure level for tributary.service"),
        "{said}"
    );
}

#[test]
fn the_units_fit_the_program_and_each_other() {
    let service = unit("tributary.service");
    assert_eq!(value(&service, "Type"), "notify");
    assert_eq!(value(&service, "ExecReload"), "/bin/kill -HUP $MAINPID");
    let words: Vec<&str> = value(&service, "ExecStart").split(' ').collect();
    assert_eq!(
        words,
        [
            "/usr/local/bin/tributary",
            "serve",
            "-c",
            "/etc/tributary/tributary.toml"
        ]
    );
    // A loop that is stuck for half of it ends the signs of life: not for what `/livez` calls alive.
    let watchdog: u64 = value(&service, "WatchdogSec").parse().expect("seconds");
    assert!(watchdog / 2 >= 10);
    assert_eq!(
        value(&unit("tributary.socket"), "FileDescriptorName"),
        "tributary"
    );
}
