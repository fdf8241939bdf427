//! The manual is true: its tables of codes and fates are the enums, its example is a configuration without problems, its
//! commands exist, and `tributary manual` shows and searches it.

use std::process::{Command, Output};

use tributary::backend::KINDS;
use tributary::error::Code;
use tributary::manual::page;
use tributary::program::{Registry, check};
use tributary::timeline::Fate;

/// The cells of all rows of the tables of a page whose head begins with `head`.
#[track_caller]
pub(crate) fn rows(topic: &str, head: &str) -> Vec<Vec<String>> {
    let page = page(topic).unwrap_or_else(|| panic!("the manual has no page `{topic}`"));
    let mut rows = Vec::new();
    let mut inside = false;
    for line in page.text.lines() {
        inside = line.starts_with('|') && (inside || line.starts_with(head));
        if inside && !line.starts_with(head) && !line.starts_with("|---") {
            let cells = line.trim_matches('|').split('|');
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
    }
    assert!(!rows.is_empty(), "`{topic}` has no table `{head}`");
    rows
}

fn manual(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.arg("manual").args(args);
    command.output().expect("the program runs")
}

#[test]
fn the_table_of_codes_is_the_enum() {
    let documented = rows("error-codes", "| code |");
    let shown: Vec<String> = documented.iter().map(|row| row[..4].join(" | ")).collect();
    let known = Code::ALL.iter().map(|code| {
        let retry = if code.retryable() { "yes" } else { "no" };
        format!(
            "`{code}` | {} | {retry} | {}",
            code.fault().as_str(),
            code.meaning()
        )
    });
    assert_eq!(shown, known.collect::<Vec<String>>());
    assert!(
        documented
            .iter()
            .all(|row| row.len() == 5 && !row[4].is_empty()),
        "what to do is said"
    );
}

#[test]
fn the_tests_of_promises_exist() {
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for row in rows("promises", "| promise |") {
        let [promise, bound, tests] = &row[..] else {
            panic!("{row:?}");
        };
        assert!(!promise.is_empty() && !bound.is_empty(), "{row:?}");
        let paths: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!paths.is_empty(), "nothing tests: {promise}");
        for path in paths {
            assert!(repository.join(path).exists(), "`{path}` of: {promise}");
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}

#[test]
fn the_table_of_fates_is_the_enum() {
    let documented: Vec<String> = rows("fates", "| fate |")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let known: Vec<String> = Fate::ALL
        .iter()
        .map(|fate| format!("`{}`", fate.as_str()))
        .collect();
    assert_eq!(documented, known);
}

#[test]
fn every_command_of_the_table_has_help() {
    for row in rows("command-line", "| command |") {
        let command = row[0]
            .trim_matches('`')
            .split(' ')
            .nth(1)
            .expect("`tributary COMMAND`");
        let status = Command::new(env!("CARGO_BIN_EXE_tributary"))
            .args([command, "--help"])
            .output()
            .unwrap()
            .status;
        assert!(status.success(), "`tributary {command} --help`");
    }
}

#[test]
fn every_kind_of_store_has_a_page() {
    for kind in KINDS {
        let page = page(kind).unwrap_or_else(|| panic!("the manual has no page `{kind}`"));
        let title = page.text.lines().next().expect("a title");
        assert!(title.contains(&format!("`kind = \"{kind}\"`")), "{title}");
    }
}

#[test]
fn the_example_has_no_problems() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (_, toml) = page("configuration")
        .expect("a page")
        .text
        .split_once("```toml\n")
        .expect("an example");
    let (toml, _) = toml.split_once("```").expect("its end");
    let idl = "struct Person { 1: i32 id, 2: string name, 3: string city }\n\
        struct Greeting { 1: required Person person }\n\
        service Greeter { Greeting greet(1: i32 id) }";
    std::fs::write(dir.path().join("greet.thrift"), idl).expect("the folder is ours");
    let config = dir.path().join("tributary.toml");
    std::fs::write(&config, toml).expect("the folder is ours");
    let program = check(config.to_str().expect("UTF-8"), &Registry::new());
    assert_eq!(program.err().unwrap_or_default().len(), 0);
}

#[test]
fn a_page_is_printed_as_markdown_into_a_pipe() {
    let shown = manual(&["redis"]);
    assert!(shown.status.success());
    assert_eq!(
        String::from_utf8_lossy(&shown.stdout),
        page("redis").expect("a page").text
    );
}

#[test]
fn an_unknown_page_is_misuse() {
    let shown = manual(&["reddis"]);
    assert_eq!(shown.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&shown.stderr),
        "error: the manual has no page `reddis`\n  help: did you mean `redis`?\n"
    );
}

#[test]
fn a_search_prints_page_line_and_text() {
    let found = manual(&["--search", "ketama"]);
    assert_eq!(found.status.code(), Some(0));
    let text = String::from_utf8_lossy(&found.stdout);
    let line = text.lines().find(|line| line.starts_with("memcached:"));
    assert!(line.is_some_and(|line| line.contains(": ")), "{text}");
    let nothing = manual(&["--search", "no such word anywhere"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(nothing.stdout.is_empty());
}
