//! README is short and true: its example is a configuration without problems, and the report of a mistake in it is what
//! `check` prints.

use std::fs;
use std::path::Path;

use tributary::program::{Registry, check};

const README: &str = include_str!("../../README.md");

/// The first code block in `language` after `heading`.
fn block(heading: &str, language: &str) -> &'static str {
    let (_, section) = README
        .split_once(heading)
        .unwrap_or_else(|| panic!("README has `{heading}`"));
    let (_, block) = section
        .split_once(&format!("```{language}\n"))
        .expect("a block");
    block.split("```").next().expect("its end")
}

/// What `check` says of README's example, in which `is` stands where `was` did.
fn problems(was: &str, is: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).expect("the folder is ours");
    };
    let config = block("## Your own service", "toml");
    assert!(config.contains(was), "the example has no `{was}`");
    write("greet.thrift", block("## Your own service", "thrift"));
    write("tributary.toml", &config.replacen(was, is, 1));
    let path = dir.path().join("tributary.toml");
    let program = check(path.to_str().expect("UTF-8"), &Registry::new());
    let problems = program.err().unwrap_or_default();
    let rendered = problems.iter().map(|problem| problem.render(false));
    let folder = format!("{}/", dir.path().display());
    rendered.map(|text| text.replace(&folder, "")).collect()
}

#[test]
fn the_readme_is_read_in_five_minutes() {
    assert!(README.lines().count() <= 300);
}

#[test]
fn the_example_has_no_problems() {
    assert_eq!(problems("id", "id"), Vec::<String>::new());
}

#[test]
fn a_mistake_is_reported_as_shown() {
    let shown = block("A mistake is reported", "text").trim_end();
    assert_eq!(
        problems("backend = \"people\"", "backend = \"poeple\"").join("\n"),
        shown
    );
}

#[test]
fn every_link_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README.split("](").skip(1);
    for link in links.filter_map(|rest| rest.split([')', '#']).next()) {
        assert!(root.join(link).exists(), "README links to {link}");
    }
}
