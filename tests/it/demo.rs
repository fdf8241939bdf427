//! `tributary demo` as users see it: in a terminal, in a container, and with its files kept.

use std::process::Command;

use crate::support::run;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tributary");

fn demo(options: &[&str], env: &[(&str, &str)]) -> String {
    let mut command = Command::new(PROGRAM);
    command
        .args(["demo", "--once", "--port", "0"])
        .args(options);
    run(command.envs(env.iter().copied()), "nothing")
}

#[test]
fn the_pictures_are_as_wide_as_the_terminal() {
    for width in [80, 120] {
        let typed = format!("stty cols {width}; {PROGRAM} demo --once --port 0 --color never");
        let mut script = Command::new("script");
        script.args(["-qec", &typed, "/dev/null"]);
        script.env_remove("COLUMNS");
        let shown = run(&mut script, "the Debian package `bsdutils`");
        let longest = shown.lines().map(|line| line.trim_end().chars().count());
        assert_eq!(longest.max(), Some(width), "{shown}");
    }
}

#[test]
fn a_container_needs_no_temporary_folder() {
    // Like an empty image: there is no folder for temporary files. `/proc` takes no files from anyone.
    let shown = demo(&[], &[("TMPDIR", "/proc")]);
    assert!(shown.contains("the replies are equal"), "{shown}");
    assert!(
        shown.contains("\n  airline      {\"carrier\":\"UA\","),
        "{shown}"
    );
}

#[test]
fn its_files_can_be_kept_and_checked() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let kept = dir.path().join("demo");
    let kept = kept.to_str().expect("UTF-8");
    let shown = demo(&["--dir", kept], &[]);
    assert!(
        shown.contains(&format!("{kept}/tributary.toml\n")),
        "{shown}"
    );
    let mut check = Command::new(PROGRAM);
    let checked = run(
        check.args(["check", "-c", &format!("{kept}/tributary.toml")]),
        "nothing",
    );
    assert!(checked.contains("getDeparture: 8 lookups"), "{checked}");
    let again = Command::new(PROGRAM)
        .args(["demo", "--once", "--port", "0", "--dir", kept])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(said.contains("there are files in"), "{said}");
}
