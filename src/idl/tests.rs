//! The corpus of `tests/idl`: what must load, what it then means, what must not load and why.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Field, Schema, load, load_from};
use crate::config::Problem;
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

/// The schema as text, to compare with what was found right before.
fn outline(schema: &Schema) -> String {
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{}", words.trim_end()).expect("memory");
    for source in &schema.sources {
        line(format!("file {}", source.name));
    }
    for of in &schema.structs {
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
    for service in &schema.services {
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
fn good_files_load_and_mean_what_they_say() {
    for path in corpus("good").into_iter().chain(corpus("newer")) {
        let schema = load(&path)
            .unwrap_or_else(|problems| panic!("{}:\n{}", path.display(), rendered(&problems)));
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        insta::with_settings!({
            snapshot_path => "../../tests/idl/outlines",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, outline(&schema));
        });
    }
}

/// The problems that the first lines of a bad file promise: `// [file ]line: words`.
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
fn bad_files_are_refused_with_place_and_remedy() {
    for path in corpus("bad") {
        let text = std::fs::read_to_string(&path).expect("readable");
        let promised = promised(&text);
        assert!(!promised.is_empty(), "{} promises nothing", path.display());
        let problems = load(&path).expect_err(&format!("{} is refused", path.display()));
        let all = rendered(&problems);
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
}

#[track_caller]
fn refused(text: &str) -> Vec<Problem> {
    load_from("t.thrift", &|name| {
        (name == "t.thrift").then(|| text.to_owned())
    })
    .expect_err("it is refused")
}

#[test]
fn problems_of_all_kinds_are_told_at_once_and_in_order() {
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
            "no `t.S` can ever be built: it requires itself",
            "unknown constant `B`",
            "unknown service `U`",
            "`m` is oneway, but has a result",
            "`t.S` can't be thrown: it is not an exception",
            "`m` is oneway, but throws",
        ]
    );
}

#[test]
fn a_missing_file_is_named() {
    let problems = load(Path::new("/no/such/file.thrift")).expect_err("it does not exist");
    assert_eq!(problems[0].code.as_str(), "config.file");
    assert!(problems[0].message.contains("/no/such/file.thrift"));
}

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
fn what_a_server_sends_loads_without_its_folders() {
    let path = corpus("good")
        .into_iter()
        .find(|path| path.ends_with("services.thrift"));
    let here = load(&path.expect("in the corpus")).expect("it loads");
    let there = load_from("services.thrift", &|name| {
        let source = here.sources.iter().find(|source| source.name == name);
        source.map(|source| source.text.clone())
    });
    assert_eq!(outline(&there.expect("it loads")), outline(&here));
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

/// `count` definitions made by `each`, in an order where each needs the one behind it.
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
    let problems = refused(&format!("{required}struct R20000 {{ 1: required R0 r }}"));
    assert_eq!(problems.len(), 1);
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
fn many_mistakes_are_cut_off() {
    let text = chain(5_000, |i| format!("struct S{i} {{ 1: Nope{i} a }}\n"));
    assert_eq!(refused(&text).len(), 100);
}

fn everything() -> Vec<String> {
    let folders = ["good", "newer", "bad", "good/parts"];
    let paths = folders.into_iter().flat_map(corpus);
    paths
        .map(|path| std::fs::read_to_string(path).expect("readable"))
        .collect()
}

/// Bits that mean something to the parser.
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

/// Either a schema comes of it, or problems whose places lie inside the text and can be shown.
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
