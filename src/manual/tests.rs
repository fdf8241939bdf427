//! The manual is complete: every page is in the table and in the index, begins with what its reader can do, and has only
//! links that resolve.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual")
}

/// All pages and the index, with their files' names.
fn all() -> impl Iterator<Item = (String, &'static str)> {
    let pages = PAGES
        .iter()
        .map(|page| (format!("{}.md", page.topic), page.text));
    pages.chain([("README.md".to_owned(), INDEX)])
}

/// The target of each link.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

/// The anchor of a heading on a repository's web page.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches(['#', ' ']).chars();
    let kept = kept.filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_file_is_in_the_table() {
    let files = fs::read_dir(folder()).expect("the folder of the pages");
    let files = files.map(|file| {
        file.expect("a file")
            .file_name()
            .into_string()
            .expect("UTF-8")
    });
    let pages = files.filter_map(|name| Some(format!("{}.md", name.strip_suffix(".md")?)));
    assert_eq!(
        pages.collect::<HashSet<String>>(),
        all().map(|(name, _)| name).collect()
    );
}

#[test]
fn the_index_has_every_page_in_the_order_of_the_table() {
    let groups = groups();
    let listed = groups
        .iter()
        .flat_map(|group| group.pages.iter().map(|(topic, _)| *topic));
    let known = PAGES.iter().map(|page| page.topic);
    assert_eq!(listed.collect::<Vec<_>>(), known.collect::<Vec<_>>());
    for (topic, about) in groups.iter().flat_map(|group| &group.pages) {
        assert!(!about.is_empty() && about.len() <= 59, "{topic}: {about}");
    }
}

#[test]
fn every_page_has_a_title_a_lead_and_a_link_back() {
    for page in PAGES {
        let mut lines = page.text.lines();
        let title = lines.next().unwrap_or_default();
        assert!(title.starts_with("# "), "{}: {title}", page.topic);
        assert_eq!(lines.next(), Some(""), "{}", page.topic);
        let lead = lines.next().unwrap_or_default();
        assert!(
            lead.starts_with("After reading this page you "),
            "{}: {lead}",
            page.topic
        );
        let last = page.text.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("[Manual](README.md) · Related: ["),
            "{}: {last}",
            page.topic
        );
    }
}

#[test]
fn every_link_resolves() {
    for (name, text) in all() {
        for link in links(text).filter(|link| !link.starts_with("https://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { &name } else { file };
            let target = fs::read_to_string(folder().join(file));
            let target = target.unwrap_or_else(|err| panic!("{name} links to {link}: {err}"));
            let mut headings = target.lines().filter(|line| line.starts_with('#'));
            let found = heading.is_empty() || headings.any(|line| anchor(line) == heading);
            assert!(found, "{name} links to {link}, which has no such heading");
        }
    }
}

/// `view/run.rs`, `backend/net/`.
#[test]
fn paths_of_the_architecture_exist() {
    let source = folder().join("..");
    for topic in ["architecture", "adding-a-store", "adding-a-guard"] {
        let text = page(topic).expect("a page").text;
        let words = text.split('`').skip(1).step_by(2);
        let is_path = |word: &&str| {
            let begins = word
                .chars()
                .all(|c| c.is_ascii_lowercase() || "/_.".contains(c));
            begins && (word.ends_with('/') || word.strip_suffix(".rs").is_some())
        };
        for path in words.filter(is_path).filter(|path| *path != "src/") {
            let path = path.strip_prefix("src/").unwrap_or(path);
            assert!(
                source.join(path).exists() || path.contains("clock") || path.contains("third"),
                "{topic}: {path}"
            );
        }
    }
}

#[test]
fn a_search_ignores_hyphens() {
    let found = |words: &str| search(words).len();
    assert!(found("timeout") > 0 && found("time-out") >= found("timeout"));
    assert!(found("read-only") > 0 && found("read only") >= found("read-only"));
    assert!(found("readonly") >= found("read-only"));
}

#[test]
fn a_search_ignores_case() {
    let hits = search("GATHER AN IMPOSSIBLE WORD");
    assert_eq!(hits, []);
    let hits = search("Ketama");
    assert!(
        hits.iter()
            .any(|hit| hit.topic == "memcached" && hit.text.contains("ketama"))
    );
    let first = &hits[0];
    let page = page(first.topic).expect("a page");
    assert_eq!(page.text.lines().nth(first.line - 1), Some(first.text));
}
