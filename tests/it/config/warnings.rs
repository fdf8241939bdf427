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
