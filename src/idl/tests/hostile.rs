//! Text that no person would write: too deep, too large, full of mistakes, or mutated from the corpus.
//!
//! Whatever the text is, it loads or is refused with problems.

use proptest::prelude::*;

use super::super::load_from;
use super::{corpus, refused};
use crate::value::Value;

#[test]
fn files_of_more_than_16_mib_are_refused() {
    let problems = refused(&" ".repeat(16 * 1024 * 1024 + 1));
    assert!(
        problems[0].message.contains("larger than 16 MiB"),
        "{}",
        problems[0].message
    );
}

#[test]
fn hostile_nesting_is_a_problem_not_a_crash() {
    for (open, close) in [("list<", ">"), ("map<i32,", ">"), ("set<", ">")] {
        let text = format!(
            "struct S {{ 1: {}i32{} a }}",
            open.repeat(20_000),
            close.repeat(20_000)
        );
        assert!(refused(&text)[0].message.contains("nested deeper than 64"));
    }
    for (open, close) in [("[", "]"), ("{1:", "}")] {
        let text = format!(
            "const i32 A = {}{}",
            open.repeat(20_000),
            close.repeat(20_000)
        );
        assert!(refused(&text)[0].message.contains("nested deeper than 64"));
    }
    let attrs = "1: i32 a xsd_attrs { ".repeat(20_000);
    assert!(
        refused(&format!("struct S {{ {attrs}"))[0]
            .message
            .contains("nested deeper than 64")
    );
}

/// Paths grow with each folder on the way: a thousand files would cost a million parts of paths.
#[test]
fn a_file_that_includes_itself_through_folders_is_refused_early() {
    let text = "include 'parts/one.thrift'\ninclude 'parts/two.thrift'";
    let mut problems = Vec::new();
    let cost = allocation_counter::measure(|| {
        let read = |_: &str| Some(text.to_owned());
        problems = load_from("t.thrift", &read).expect_err("it has no end");
    });
    let reported = &problems[0].message;
    assert!(
        reported.contains("`parts/one.thrift` is included through more than 64 files"),
        "{reported}"
    );
    assert!(cost.bytes_total < 4 << 20, "{} bytes", cost.bytes_total);
}

/// `count` definitions created by `each`.
fn chain(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect()
}

#[test]
fn long_chains_of_references_are_a_problem_not_a_crash() {
    let typedefs = chain(20_000, |i| format!("typedef T{} T{i}\n", i + 1));
    refused(&format!("{typedefs}typedef i32 T20000"));
    let constants = chain(20_000, |i| format!("const i32 C{i} = C{}\n", i + 1));
    refused(&format!("{constants}const i32 C20000 = 1"));
    let nested = chain(20_000, |i| {
        format!("const N C{} = {{\"n\": C{i}}}\n", i + 1)
    });
    refused(&format!(
        "struct N {{ 1: optional N n }} const N C0 = {{}}\n{nested}"
    ));
    let services = chain(20_000, |i| {
        format!("service S{i} extends S{} {{ void m{i}() }}\n", i + 1)
    });
    refused(&format!("{services}service S20000 {{}}"));
    let required = chain(20_000, |i| {
        format!("struct R{i} {{ 1: required R{} r }}\n", i + 1)
    });
    let text = format!("{required}struct R20000 {{ 1: required R0 r }}");
    let schema = load_from("t.thrift", &|_| Some(text.clone())).expect("it is valid");
    assert_eq!(schema.warnings.len(), 1);
}

#[test]
fn backward_chains_may_be_long() {
    let typedefs = chain(5_000, |i| format!("typedef T{i} T{}\n", i + 1));
    let constants = chain(5_000, |i| format!("const T{i} C{} = C{i}\n", i + 1));
    let text = format!(
        "typedef i32 T0\n{typedefs}const i32 C0 = 7\n{constants}struct S {{ 1: T5000 a = C5000 }}"
    );
    let schema = load_from("t.thrift", &|_| Some(text.clone())).expect("it loads");
    assert_eq!(schema.structs[0].fields[0].default, Some(Value::I64(7)));
}

#[test]
fn only_the_first_mistakes_are_reported() {
    let text = chain(5_000, |i| format!("struct S{i} {{ 1: Nope{i} a }}\n"));
    assert_eq!(refused(&text).len(), 100);
}

fn everything() -> Vec<String> {
    let folders = ["good", "newer", "doubtful", "bad", "good/parts"];
    let paths = folders.into_iter().flat_map(corpus);
    paths
        .map(|path| std::fs::read_to_string(path).expect("readable"))
        .collect()
}

/// Pieces of text with a meaning for the parser.
const BITS: [&str; 24] = [
    "{", "}", "(", ")", "<", ">", "[", "]", ",", ":", "=", "\"", "'", "/*", "*/", "struct ",
    "service ", "list<", "-1", "0x", "1e9", ".", "é", "\\",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..6usize, 0..BITS.len()), 1..6),
    ) {
        let files = everything();
        let mut text: Vec<char> = file.get(&files).chars().collect();
        for (at, removed, bit) in changes {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, BITS[bit].chars());
        }
        let text: String = text.into_iter().collect();
        check_loads_or_explains(&text);
    }

    #[test]
    fn joined_pieces_never_panic(
        first in any::<(prop::sample::Index, prop::sample::Index)>(),
        second in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let files = everything();
        let piece = |(file, at): (prop::sample::Index, prop::sample::Index)| {
            let text: Vec<char> = file.get(&files).chars().collect();
            let at = at.index(text.len() + 1);
            (text[..at].iter().collect::<String>(), text[at..].iter().collect::<String>())
        };
        check_loads_or_explains(&(piece(first).0 + &piece(second).1));
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}") {
        check_loads_or_explains(&text);
    }
}

/// Checks that the text either loads, or gives problems whose positions lie inside the text.
fn check_loads_or_explains(text: &str) {
    let read = |name: &str| (name == "t.thrift").then(|| text.to_owned());
    match load_from("t.thrift", &read) {
        Ok(schema) => assert_eq!(schema.sources[0].text, text),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.message.is_empty() && problem.help.is_some());
                assert!(problem.line().is_some());
                assert!(!problem.render(false).is_empty());
            }
        }
    }
}
