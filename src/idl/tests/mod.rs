//! Tests with the corpus of `tests/idl`: files that must load, with their meaning, and files that must be refused, with
//! the reason.

mod hostile;
mod include_path;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Field, Schema, load, load_from};
use crate::diagnostic::Problem;
use crate::value::Value;

/// The `.thrift` files of one folder of the corpus.
fn corpus(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/idl")
        .join(folder);
    let entries = std::fs::read_dir(&folder).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "thrift")
        })
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no IDL", folder.display());
    paths
}

fn rendered(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| problem.render(false) + "\n")
        .collect()
}

/// The schema as text, for snapshots.
fn outline(schema: &Schema) -> String {
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{}", words.trim_end()).expect("memory");
    for source in &schema.sources {
        line(format!("file {}", source.name));
    }
    // The standard include may grow without changing these snapshots.
    let own = |name: &str| !name.starts_with("tributary.");
    for of in schema.structs.iter().filter(|of| own(&of.name)) {
        line(format!(
            "{:?} {} {}",
            of.kind,
            of.name,
            doc(of.doc.as_ref())
        ));
        assert!(
            of.names
                .iter()
                .eq(of.fields.iter().map(|field| &field.name))
        );
        for field in &of.fields {
            line(format!("  {}", field_line(schema, field)));
        }
    }
    for service in schema.services.iter().filter(|of| *of.file != *"tributary") {
        line(format!(
            "service {}.{} {}",
            service.file,
            service.name,
            doc(service.doc.as_ref())
        ));
        for method in &service.methods {
            assert_eq!(
                service.method(&method.name).map(|found| found.params),
                Some(method.params)
            );
            let result = method
                .result
                .as_ref()
                .map_or("void".into(), |ty| schema.describe(ty));
            let oneway = if method.oneway { "oneway " } else { "" };
            let params = &schema.get(method.params).name;
            line(format!(
                "  {oneway}{result} {} ({params}) {}",
                method.name,
                doc(method.doc.as_ref())
            ));
            for field in &method.throws {
                line(format!("    throws {}", field_line(schema, field)));
            }
        }
    }
    text
}

fn field_line(schema: &Schema, field: &Field) -> String {
    let default = field
        .default
        .as_ref()
        .map_or(String::new(), |value| format!(" = {}", show(value)));
    format!(
        "{}: {:?} {} {}{default} {}",
        field.id,
        field.requiredness,
        schema.describe(&field.ty),
        field.name,
        doc(field.doc.as_ref())
    )
}

fn doc(doc: Option<&String>) -> String {
    doc.map_or(String::new(), |doc| format!("/* {doc:?} */"))
}

fn show(value: &Value) -> String {
    let join = |items: Vec<String>| items.join(", ");
    match value {
        Value::List(items) => format!("[{}]", join(items.iter().map(show).collect())),
        Value::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!("{}: {}", show(key), show(value)));
            format!("{{{}}}", join(pairs.collect()))
        }
        Value::Record(record) => {
            let fields = record.names.iter().zip(&record.values);
            let fields = fields.map(|(name, value)| format!("{name}: {}", show(value)));
            format!("({})", join(fields.collect()))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn good_files_load_with_the_expected_meaning() {
    for path in corpus("good").into_iter().chain(corpus("newer")) {
        let schema = load(&path, &[])
            .unwrap_or_else(|problems| panic!("{}:\n{}", path.display(), rendered(&problems)));
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        insta::with_settings!({
            snapshot_path => "../../../tests/idl/outlines",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, outline(&schema));
        });
    }
}

/// The problems announced in the first lines of a bad file: `// [file ]line: words`.
fn promised(text: &str) -> Vec<(Option<String>, usize, String)> {
    let lines = text.lines().map_while(|line| line.strip_prefix("// "));
    lines
        .map_while(|line| {
            let (place, words) = line.split_once(": ")?;
            let (file, line) = match place.split_once(' ') {
                Some((file, line)) => (Some(file.to_owned()), line),
                None => (None, place),
            };
            Some((file, line.parse().ok()?, words.to_owned()))
        })
        .collect()
}

#[test]
fn bad_files_are_refused_with_position_and_remedy() {
    for path in corpus("bad") {
        let problems = load(&path, &[]).expect_err(&format!("{} is refused", path.display()));
        check_promises(&path, &problems);
    }
}

#[test]
fn doubtful_files_load_with_warnings() {
    for path in corpus("doubtful") {
        let schema = load(&path, &[]).expect("it is valid");
        check_promises(&path, &schema.warnings);
    }
    for path in corpus("good") {
        let warnings = load(&path, &[]).expect("it is valid").warnings;
        assert!(warnings.is_empty(), "{}", rendered(&warnings));
    }
}

#[test]
fn a_default_without_a_required_field_is_no_default() {
    let idl = "struct S { 1: required i32 a } struct T { 1: S s = {}, 2: i32 n = 5 }";
    let schema = load_from("t.thrift", &|_| Some(idl.to_owned())).expect("it is valid");
    let of = schema.get(schema.id_of("t.T"));
    let defaults = of.fields.iter().map(|field| field.default.clone());
    assert_eq!(defaults.collect::<Vec<_>>(), [None, Some(Value::I64(5))]);
}

/// What a file announces is what was found, at its lines and with remedies.
fn check_promises(path: &Path, problems: &[Problem]) {
    let text = std::fs::read_to_string(path).expect("readable");
    let promised = promised(&text);
    assert!(!promised.is_empty(), "{} promises nothing", path.display());
    let all = rendered(problems);
    assert_eq!(problems.len(), promised.len(), "{}:\n{all}", path.display());
    for (problem, (file, line, words)) in problems.iter().zip(promised) {
        let help = problem.help.as_deref().expect("a remedy");
        let said = format!("{}; {help}", problem.message);
        assert!(
            said.contains(&words),
            "{}: promised {words}\n{all}",
            path.display()
        );
        assert_eq!(problem.line(), Some(line), "{}:\n{all}", path.display());
        let place = &problem.place.as_ref().expect("a place").0.path;
        let own = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(
            place.ends_with(&file.unwrap_or(own)),
            "{}: {place}",
            path.display()
        );
    }
}

#[track_caller]
fn refused(text: &str) -> Vec<Problem> {
    load_from("t.thrift", &|name| {
        (name == "t.thrift").then(|| text.to_owned())
    })
    .expect_err("it is refused")
}

#[test]
fn problems_of_all_kinds_are_reported_together_and_in_order() {
    let problems = refused(
        "struct S { 1: Nope a, 1: i32 b = \"x\", 3: required S c }\n\
         const i32 A = B\n\
         service T extends U { oneway i32 m() throws (1: S s) }\n",
    );
    let messages: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
    assert_eq!(
        messages,
        [
            "unknown type `Nope`",
            "the id 1 is taken by `a`",
            "text is not of type `i32`",
            "unknown constant `B`",
            "unknown service `U`",
            "`m` is oneway, but has a result",
            "`t.S` cannot be thrown: it is not an exception",
            "`m` is oneway, but throws",
        ]
    );
}

#[test]
fn a_missing_file_is_named() {
    let problems = load(Path::new("/no/such/file.thrift"), &[]).expect_err("it does not exist");
    assert_eq!(problems[0].code.as_str(), "config.file");
    assert!(problems[0].message.contains("/no/such/file.thrift"));
}

#[test]
fn the_standard_include_needs_no_file() {
    let text = "include \"tributary.thrift\"\nstruct S { 1: tributary.Context context }";
    let schema = load_from("t.thrift", &|name| {
        (name == "t.thrift").then(|| text.to_owned())
    })
    .expect("it loads");
    let standard = schema.standard;
    let name = |id: Option<super::StructId>| schema.get(id.expect("declared")).name.to_string();
    assert_eq!(name(standard.context), "tributary.Context");
    assert_eq!(name(standard.report), "tributary.Report");
    assert_eq!(name(standard.lookup_report), "tributary.LookupReport");
    assert_eq!(name(standard.invalid_request), "tributary.InvalidRequest");
    assert_eq!(name(standard.lookup_failed), "tributary.LookupFailed");
    assert_eq!(
        name(standard.deadline_exceeded),
        "tributary.DeadlineExceeded"
    );
    assert_eq!(name(standard.overloaded), "tributary.Overloaded");
    assert_eq!(schema.sources[1].name, "tributary.thrift");
}

#[test]
fn files_from_a_server_load_without_their_folders() {
    let path = corpus("good")
        .into_iter()
        .find(|path| path.ends_with("services.thrift"));
    let here = load(&path.expect("in the corpus"), &[]).expect("it loads");
    let there = load_from("services.thrift", &|name| {
        let source = here.sources.iter().find(|source| source.name == name);
        source.map(|source| source.text.clone())
    });
    assert_eq!(outline(&there.expect("it loads")), outline(&here));
}

/// A server sends its files by these paths, and a client finds each by the path in another file's `include`.
#[test]
fn files_are_known_by_every_path_that_leads_to_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("the folder is ours");
    };
    write(
        "main/s.thrift",
        "include '../common/a.thrift' include './sub/b.thrift' include '../other/a.thrift'
         service S { a.T get(1: b.U u) }",
    );
    write(
        "common/a.thrift",
        "include '../main/sub/b.thrift' struct T { 1: b.U u }",
    );
    write("main/sub/b.thrift", "struct U { 1: i32 n }");
    std::os::unix::fs::symlink(folder.path().join("common"), folder.path().join("other"))
        .expect("the folder is ours");
    let here = load(&folder.path().join("main/s.thrift"), &[]).expect("it loads");
    let paths: Vec<&[String]> = here.sources.iter().map(|source| &*source.paths).collect();
    let expected: [&[&str]; 3] = [
        &["s.thrift"],
        &["../common/a.thrift", "../other/a.thrift"],
        &["sub/b.thrift", "../main/sub/b.thrift"],
    ];
    assert_eq!(paths, expected);
    let read = |name: &str| {
        let mut sources = here.sources.iter();
        let source = sources.find(|source| source.paths.iter().any(|path| path == name));
        source.map(|source| source.text.clone())
    };
    let there = load_from("s.thrift", &read).expect("it loads");
    assert_eq!(there.services[0].methods.len(), 1);
}
