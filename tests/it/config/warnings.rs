//! What is valid and probably a mistake.

use super::{CONFIG, IDL, checked};

/// The warnings of a valid configuration.
#[track_caller]
fn warnings(config: &str, idl: &str) -> Vec<String> {
    let (program, _) = checked(config, idl);
    let program = program.unwrap_or_else(|problems| panic!("{}", problems[0].render(false)));
    let lines = program.warnings.iter().map(|warning| {
        let key = match &*warning.key {
            "" => String::new(),
            key => format!("{key}, "),
        };
        let line = warning.line().expect("a place");
        format!("{key}line {line}: {}", warning.message)
    });
    lines.collect()
}

#[test]
fn a_configuration_that_uses_all_it_declares_has_no_warnings() {
    assert!(warnings(CONFIG, IDL).is_empty());
}

#[test]
fn an_unused_lookup_and_a_backend_that_nothing_asks() {
    let config = CONFIG.replace("airline = \"airline\"\n", "");
    assert_eq!(
        warnings(&config, IDL),
        ["lookups.airline, line 36: no view uses the lookup `airline`"]
    );
    let config =
        format!("{CONFIG}\n[backends.old]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:1\"\n");
    assert_eq!(
        warnings(&config, IDL),
        ["backends.old, line 56: no lookup asks the backend `old`"]
    );
}

#[test]
fn what_is_asked_elsewhere_too_late() {
    let idl = "struct R { 1: optional string a } service S { R get(1: string id) }";
    let config = |of_use: &str, of_lookup: &str| {
        let of = "kind = 'redis'\nurl = 'redis://127.0.0.1:1'";
        format!(
            "[server]\nidl = 'flights.thrift'\n[backends.main]\n{of}\n[backends.other]\n{of}\n\
             [lookups.a]\nbackend = 'main'\nget = 'a:{{id}}'\n{of_lookup}\n\
             [views.get]\ndeadline = '300ms'\n[views.get.lookups]\n\
             a = {{ use = 'a', else = ['other']{of_use} }}\n"
        )
    };
    let warned = |of_use: &str, of_lookup: &str| {
        let (program, _) = checked(&config(of_use, of_lookup), idl);
        let program = program.unwrap_or_else(|problems| panic!("{}", problems[0].render(false)));
        let keys = program.warnings.iter().map(|warning| warning.key.clone());
        keys.collect::<Vec<String>>()
    };
    let late = ["views.get.lookups.a.else[0]"];
    assert_eq!(warned("", ""), late);
    assert_eq!(warned(", timeout = '300ms'", ""), late);
    assert!(warned(", timeout = '100ms'", "").is_empty());
    assert!(warned("", "timeout = '100ms'").is_empty());
}

#[test]
fn what_looks_like_a_parameter_inside_quoted_sql() {
    let config = CONFIG.replace(
        "where origin = :origin",
        "where origin = :origin and note <> 'see :note'",
    );
    assert_eq!(
        warnings(&config, IDL),
        ["lookups.board.sql, line 28: `:note` in quotes is text, not a parameter"]
    );
}

#[test]
fn what_apaches_compiler_accepts_in_an_idl() {
    let idl = format!("{IDL}\nconst Airport NONE = {{}}\n");
    assert_eq!(
        warnings(CONFIG, &idl),
        [
            "line 21: this value is never used: the required field `name` of `flights.Airport` is not set"
        ]
    );
}
