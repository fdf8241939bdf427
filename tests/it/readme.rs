//! README is true: its table of codes is the enum, its example is a configuration without problems, its
//! commands exist, and its recipe for a backend names things that are there.

use std::process::Command;

use tributary::error::Code;
use tributary::program::{Registry, check};
use tributary::timeline::Fate;

pub(crate) const README: &str = include_str!("../../README.md");

/// The cells of the table rows between two headings.
pub(crate) fn rows(from: &str, to: &str) -> Vec<Vec<String>> {
    let start = README
        .find(from)
        .unwrap_or_else(|| panic!("README has a heading `{from}`"));
    let end = README[start..]
        .find(to)
        .map_or(README.len(), |end| start + end);
    README[start..end]
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// The first code block in `language` after `heading`.
fn block(heading: &str, language: &str) -> &'static str {
    let start = README
        .find(heading)
        .unwrap_or_else(|| panic!("README has `{heading}`"));
    let fence = format!("```{language}\n");
    let open = start + README[start..].find(&fence).expect("a block") + fence.len();
    let end = open + README[open..].find("```").expect("its end");
    &README[open..end]
}

#[test]
fn the_table_of_codes_is_the_enum() {
    let documented = rows("## Error codes", "\n## ");
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
fn the_table_of_fates_is_the_enum() {
    let documented: Vec<String> = rows("## Fates", "\n## ")
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
fn the_example_has_no_problems() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("greet.thrift"),
        block("## Your own service", "thrift"),
    )
    .unwrap();
    let config = dir.path().join("tributary.toml");
    std::fs::write(&config, block("## Your own service", "toml")).unwrap();
    let program = check(config.to_str().unwrap(), &Registry::new());
    let problems = program.err().unwrap_or_default();
    let rendered: Vec<String> = problems
        .iter()
        .map(|problem| problem.render(false))
        .collect();
    assert!(rendered.is_empty(), "{}", rendered.join("\n"));
}

#[test]
fn every_command_of_the_table_has_help() {
    for row in rows("## The command line", "\nExit codes") {
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
