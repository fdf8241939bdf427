//! Where the includes of an IDL are looked for, and copies of the standard include.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::{load, load_from};

fn laid_out(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("the folder is ours");
    }
    folder
}

fn at(folder: &TempDir, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| folder.path().join(name)).collect()
}

#[test]
fn includes_are_looked_for_beside_the_file_and_then_in_each_folder() {
    let folder = laid_out(&[
        (
            "main/s.thrift",
            "include 'a.thrift' include 'b.thrift' include 'shared/c.thrift' include 'd.thrift'
             service S { a.T get(1: b.T b, 2: c.T c, 3: d.T d) }",
        ),
        ("main/a.thrift", "struct T { 1: i32 own }"),
        ("one/a.thrift", "struct T { 1: i32 one }"),
        // Its own include is beside it, not beside the first file.
        ("one/b.thrift", "include 'e.thrift' struct T { 1: e.T one }"),
        ("one/e.thrift", "struct T { 1: i32 one }"),
        ("two/b.thrift", "struct T { 1: i32 two }"),
        ("two/shared/c.thrift", "struct T { 1: i32 two }"),
        ("two/d.thrift", "struct T { 1: i32 two }"),
        ("three/d.thrift", "struct T { 1: i32 three }"),
    ]);
    let folders = at(&folder, &["one", "two", "three"]);
    let here = load(&folder.path().join("main/s.thrift"), &folders).expect("it loads");
    for (name, field) in [
        ("a.T", "own"),
        ("b.T", "one"),
        ("e.T", "one"),
        ("c.T", "two"),
        ("d.T", "two"),
    ] {
        let of = here.get(here.id_of(name));
        assert_eq!(&*of.fields[0].name, field, "{name}");
    }
    // A client that has no include path finds each file by the paths under which the server sends it.
    let read = |name: &str| {
        let mut sources = here.sources.iter();
        let source = sources.find(|source| source.paths.iter().any(|path| path == name));
        source.map(|source| source.text.clone())
    };
    let there = load_from("s.thrift", &read).expect("it loads");
    assert_eq!(there.sources.len(), here.sources.len());
}

#[test]
fn a_missing_include_lists_where_it_was_looked_for() {
    let folder = laid_out(&[("s.thrift", "include 'a.thrift'")]);
    let folders = at(&folder, &["one", "two"]);
    let problems = load(&folder.path().join("s.thrift"), &folders).expect_err("it is missing");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code.as_str(), "config.file");
    let help = problems[0].help.as_deref().expect("a remedy");
    for name in ["a.thrift", "one/a.thrift", "two/a.thrift"] {
        let tried = folder.path().join(name).display().to_string();
        assert!(help.contains(&format!("`{tried}`")), "{help}");
    }
}

#[test]
fn the_first_file_and_absolute_includes_are_not_looked_for() {
    let folder = laid_out(&[("one/s.thrift", ""), ("s.thrift", "include '/a.thrift'")]);
    let folders = at(&folder, &["one"]);
    assert!(load(Path::new("no-such-folder/s.thrift"), &folders).is_err());
    let problems = load(&folder.path().join("s.thrift"), &folders).expect_err("it is missing");
    let help = problems[0].help.as_deref().expect("a remedy");
    assert!(help.starts_with("looked for `/a.thrift`; "), "{help}");
}

#[test]
fn two_files_that_clients_could_not_tell_apart() {
    let folder = laid_out(&[
        ("s.thrift", "include 'a.thrift' include 'b.thrift'"),
        ("a.thrift", ""),
        ("one/b.thrift", "include 'a.thrift'"),
        ("one/a.thrift", ""),
    ]);
    let folders = at(&folder, &["one"]);
    let problems = load(&folder.path().join("s.thrift"), &folders).expect_err("it is refused");
    let message = &problems[0].message;
    assert!(message.starts_with("`a.thrift` is `"), "{message}");
    assert!(message.contains("could not tell them apart"), "{message}");
}

/// The warnings of an IDL beside which there is a `tributary.thrift` with this text.
fn warnings(standard: &str) -> Vec<String> {
    let own = "include 'tributary.thrift' service S { void get() }";
    let folder = laid_out(&[("s.thrift", own), ("one/tributary.thrift", standard)]);
    let schema = load(&folder.path().join("s.thrift"), &at(&folder, &["one"])).expect("it loads");
    let warnings = schema.warnings.into_iter();
    warnings.map(|warning| warning.message).collect()
}

#[test]
fn a_copy_of_the_standard_include_may_be_older() {
    let current = &super::super::standard().sources[0].text;
    assert_eq!(warnings(current), Vec::<String>::new());
    let older = "// An older version.
        enum Mode { EVENTED = 0 }
        struct Context { 1: string request_id, 4: optional Mode mode }
        service Tributary { void describe() }";
    assert_eq!(warnings(older), Vec::<String>::new());
}

#[test]
fn a_file_of_that_name_that_differs_is_named() {
    for (text, what) in [
        ("struct Order {}", "there is no such `Order`"),
        ("union Context {}", "there is no such `Context`"),
        (
            "struct Context { 1: string request_id, 7: i32 tenant }",
            "there is no such field `Context.tenant`",
        ),
        (
            "struct Context { 3: string budget_ms }",
            "there is no such field `Context.budget_ms`",
        ),
        (
            "enum Mode { EVENTED = 0, SERIAL = 2 }",
            "there is no such value `Mode.SERIAL`",
        ),
        ("enum Color { RED }", "there is no such `Color`"),
        ("service Orders {}", "there is no such service `Orders`"),
    ] {
        assert_eq!(
            warnings(text),
            [format!(
                "{what}: this `tributary.thrift` differs from the one that the program has"
            )]
        );
    }
}
