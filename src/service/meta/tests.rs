//! The plans of the service's own methods, and their answers about a program.

use super::method::{METHODS, schema};
use super::*;
use crate::cli::testing::program;
use crate::program::Program;

const IDL: &str = r#"
include "tributary.thrift"
enum Color { RED = 1, BLUE = 2 }
/** A leaf. */
struct Leaf { 1: required Color color, 2: optional list<Leaf> leaves }
exception Gone { 1: string why }
/** Trees. */
service Trees {
  /** Any leaf. */
  Leaf leaf(1: required string name, 2: map<i32, Color> colors, 3: tributary.Context context)
    throws (1: Gone gone)
  oneway void touch(1: string name)
  void hidden()
}
"#;

const TOML: &str = r#"
[server]
idl = "test.thrift"
unserved = ["hidden"]
[backends.ops]
kind = "sqlite"
path = "ops.sqlite"
[lookups.leaf]
backend = "ops"
sql = "select color from leaves where name = :name"
rows = "one"
[views.leaf]
deadline = "800ms"
[views.leaf.lookups]
first = { use = "leaf", emit = false }
leaf = { use = "leaf", into = ".", required = true, with = { name = "first.color" } }
[views.touch.lookups]
leaf = "leaf"
"#;

fn typed(method: Method, value: Value) -> Value {
    let ReplyShape::Whole(ty) = &method.plan().reply else {
        panic!("a result")
    };
    let typed = Coercion::new(schema(), false).value(value, ty);
    typed.expect("it fits its type")
}

fn served() -> Program {
    program(IDL, TOML)
}

fn names(list: Option<&Value>) -> Vec<String> {
    let Some(Value::List(items)) = list else {
        panic!("a list")
    };
    let name = |item: &Value| {
        item.get("name")
            .and_then(Value::as_str)
            .map(ToOwned::to_owned)
    };
    items.iter().filter_map(name).collect()
}

#[test]
fn every_method_of_the_include_is_known_and_no_other() {
    let service = schema().service("Tributary").expect("it is declared");
    let declared: Vec<&str> = service.methods.iter().map(|method| &*method.name).collect();
    assert_eq!(declared, METHODS.map(|(name, _)| name));
    for (name, method) in METHODS {
        assert_eq!((Method::named(name), method.name()), (Some(method), name));
        assert_eq!(&*method.plan().method, name);
    }
    assert_eq!(Method::named("fetched"), None);
    assert_eq!(Method::Fetch.plan().throws.len(), 4);
}

#[test]
fn describe_lists_methods_lookups_and_the_types_that_they_use() {
    let value = typed(
        Method::Describe,
        describe::describe(&served(), &served().services),
    );
    assert_eq!(value.get("service_name"), Some(&"Trees".into()));
    assert_eq!(value.get("doc"), Some(&"Trees.".into()));
    assert_eq!(names(value.get("methods")), ["leaf", "touch"]);
    // Each type appears once, and types that only the include has do not appear.
    let types = names(value.get("types"));
    let expected = [
        "tributary.Context",
        "test.Gone",
        "test.Leaf",
        "test.Color",
        "tributary.Mode",
    ];
    assert_eq!(types, expected);
    let Some(Value::List(methods)) = value.get("methods") else {
        panic!("methods")
    };
    let leaf = &methods[0];
    assert_eq!(leaf.get("result"), Some(&"test.Leaf".into()));
    assert_eq!(leaf.get("deadline_ms"), Some(&800.into()));
    assert_eq!(names(leaf.get("params")), ["name", "colors", "context"]);
    assert_eq!(names(leaf.get("exceptions")), ["gone"]);
    let Some(Value::List(params)) = leaf.get("params") else {
        panic!("parameters")
    };
    assert_eq!(params[1].get("type"), Some(&"map<i32, test.Color>".into()));
    assert_eq!(params[0].get("requiredness"), Some(&"required".into()));
    let stages = Value::List(vec![vec!["first"].into(), vec!["leaf"].into()]);
    assert_eq!(leaf.get("stages"), Some(&stages));
    let Some(Value::List(lookups)) = leaf.get("lookups") else {
        panic!("lookups")
    };
    assert_eq!(lookups[1].get("kind"), Some(&"sqlite".into()));
    assert_eq!(lookups[1].get("after"), Some(&vec!["first"].into()));
    assert_eq!(methods[1].get("result"), Some(&"void".into()));
    assert_eq!(methods[1].get("is_oneway"), Some(&true.into()));
}

#[test]
fn describe_names_what_is_asked_instead() {
    let toml = TOML
        .replace(
            "[lookups.leaf]",
            "[backends.old]\nkind = \"sqlite\"\npath = \"old.sqlite\"\n[lookups.leaf]",
        )
        .replace("leaf = \"leaf\"", "leaf = { else = [\"old\"] }");
    let program = program(IDL, &toml);
    let described = describe::describe(&program, &program.services);
    let value = typed(Method::Describe, described);
    let Some(Value::List(methods)) = value.get("methods") else {
        panic!("methods")
    };
    let fallbacks = |method: &Value, at: usize| match method.get("lookups") {
        Some(Value::List(lookups)) => lookups[at].get("fallbacks").cloned(),
        _ => panic!("lookups"),
    };
    assert_eq!(fallbacks(&methods[1], 0), Some(vec!["old"].into()));
    assert_eq!(fallbacks(&methods[0], 0), Some(Value::Null));
}

#[test]
fn idl_gives_all_files_by_their_paths() {
    let value = typed(Method::Idl, idl::idl(&served().services));
    assert_eq!(value.get("root"), Some(&"test.thrift".into()));
    assert_eq!(value.get("service_name"), Some(&"Trees".into()));
    let files = value.get("files").expect("files");
    assert_eq!(files.get("test.thrift"), Some(&IDL.into()));
    let standard = include_str!("../../../idl/tributary.thrift");
    assert_eq!(files.get("tributary.thrift"), Some(&standard.into()));
}

#[test]
fn explain_returns_the_text_and_the_data() {
    let program = served();
    let params = Value::Map(vec![("method".into(), "leaf".into())]);
    let value = explain::explain(&program, &program.services, &params).expect("a view");
    let value = typed(Method::Explain, value);
    let text = crate::explain::Explanation::of(&program, program.plan("leaf").expect("a view"))
        .to_string();
    assert_eq!(value.get("text"), Some(&text.into()));
    assert_eq!(
        value.get("longest_chain"),
        Some(&vec!["first", "leaf"].into())
    );
    let Some(Value::List(stages)) = value.get("stages") else {
        panic!("stages")
    };
    let Value::List(second) = &stages[1] else {
        panic!("a stage")
    };
    let Some(Value::List(bindings)) = second[0].get("bindings") else {
        panic!("bindings")
    };
    assert_eq!(bindings[0].get("param"), Some(&"name".into()));
    assert_eq!(bindings[0].get("bound_to"), Some(&"first.color".into()));
}

#[test]
fn an_unknown_view_is_reported_with_the_nearest_name() {
    let program = served();
    for (method, says) in [
        ("laef", "there is no view `laef`; did you mean `leaf`?"),
        ("hidden", "there is no view `hidden`"),
        ("", "there is no view ``"),
    ] {
        let params = Value::Map(vec![("method".into(), method.into())]);
        let err = explain::explain(&program, &program.services, &params).expect_err("no view");
        assert_eq!(err.code, Code::CallUnknownMethod);
        assert_eq!(err.about.as_deref(), Some(says));
        let (_, of, value) = err
            .declared(Method::Explain.plan(), schema())
            .expect("declared");
        assert_eq!(Some(of), schema().standard.invalid_request);
        assert_eq!(value.get("code"), Some(&"call.unknown_method".into()));
    }
}
