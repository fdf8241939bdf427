//! Statements as stores describe them, compared with one view and its IDL. No store is asked.

use super::*;
use crate::backend::examine::Param;
use crate::coerce::ColumnValues;
use crate::program::{self, Program};
use crate::value::Value;

const IDL: &str = r"
enum Color { RED = 1 }
struct Bird { 1: required i32 id, 2: optional string name, 3: required Color color = Color.RED, 4: optional list<i64> years }
union Either { 1: i32 id, 2: string name }
struct Reply { 1: optional Bird bird, 2: optional list<Bird> flock, 3: optional i64 count, 4: optional map<string, i32> tags, 5: required string title, 6: optional Either either, 7: optional Bird other }
service S { Reply get(1: i32 id, 2: list<string> names, 3: Bird like) }
";

const TOML: &str = r#"
[server]
idl = "s.thrift"
[backends.db]
kind = "sqlite"
path = "nowhere.db"
[lookups.bird]
backend = "db"
sql = "select :id"
rows = "one"
[lookups.flock]
backend = "db"
sql = "select :name"
[lookups.count]
backend = "db"
sql = "select :year"
rows = "value"
[views.get.lookups]
bird = "bird"
flock = { use = "flock", with = { name = "bird.name" } }
count = { use = "count", with = { year = "bird.years" } }
tags = { use = "bird", with = { id = { value = 7 } } }
title = { use = "bird", into = ".", with = { id = "like.id" }, required = true }
either = { use = "bird" }
other = { use = "bird", when = "count.name" }
"#;

fn program(toml: &str) -> Program {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("tributary.toml");
    std::fs::write(folder.path().join("s.thrift"), IDL).expect("the folder is ours");
    std::fs::write(&path, toml).expect("the folder is ours");
    program::check(&path.to_string_lossy(), &Vec::new()).expect("no problems")
}

fn column(name: &str, holds: ColumnValues) -> Column {
    Column {
        name: name.into(),
        ty: "t".into(),
        holds,
        strict: true,
        nullable: Some(false),
    }
}

fn big() -> ColumnValues {
    ColumnValues::Integer(i64::MIN..=i64::MAX)
}

fn statement(rows: Rows, columns: Vec<Column>) -> Finding {
    let statement = Statement {
        params: None,
        columns,
        rows,
    };
    statement.into()
}

/// Findings that fit in every way.
fn fitting() -> [Finding; 3] {
    let small = ColumnValues::Integer(0..=9);
    let years = ColumnValues::List(big().into());
    let bird = || {
        vec![
            column("id", small.clone()),
            column("name", ColumnValues::Text),
            column("title", ColumnValues::Text),
        ]
    };
    let mut flock = bird();
    flock.push(column("years", years));
    flock.push(column("color", ColumnValues::Text));
    let mut one = bird();
    // The map takes all columns as numbers.
    one[1].holds = ColumnValues::Anything;
    one[2].holds = ColumnValues::Json;
    one.push(column("years", ColumnValues::Anything));
    [
        statement(Rows::One, one),
        statement(Rows::Many { rows_max: 9 }, flock),
        statement(Rows::Value, vec![column("n", big())]),
    ]
}

/// The remarks about these findings. An exclamation mark precedes those about something that can never work.
fn said(findings: &[Finding; 3]) -> Vec<String> {
    said_of(&program(TOML), findings)
}

fn said_of(program: &Program, findings: &[Finding]) -> Vec<String> {
    let pairs = program.lookups.iter().zip(findings);
    let known: Vec<KnownLookup<'_>> = pairs
        .map(|(def, finding)| KnownLookup {
            name: &def.name,
            params: &def.params,
            finding: Some(finding),
        })
        .collect();
    let plan = program.plan("get").expect("a view");
    let of_view = compare(&program.services[0].schema, plan, &known).into_iter();
    let remarks = known.iter().flat_map(lookup).chain(of_view);
    let mut lines: Vec<String> = remarks
        .map(|remark| {
            let level = if remark.severity == Severity::Error {
                "! "
            } else {
                ""
            };
            format!("{level}{}: {}", remark.path.join("."), remark.message)
        })
        .collect();
    lines.dedup();
    lines
}

fn with(change: impl FnOnce(&mut [Finding; 3])) -> Vec<String> {
    let mut findings = fitting();
    change(&mut findings);
    said(&findings)
}

fn columns(finding: &mut Finding) -> &mut Vec<Column> {
    &mut finding.statement.as_mut().expect("a statement").columns
}

#[track_caller]
fn check(change: impl FnOnce(&mut [Finding; 3]), expected: &[&str]) {
    assert_eq!(with(change), expected);
}

/// `count` is a number, and has no names: this is wrong in the view that all tests use.
const WHEN: &str =
    "! views.get.lookups.other.when: `name` can't be taken from a value without fields";

#[test]
fn fitting_statements_get_no_remarks() {
    check(|_| (), &[WHEN]);
}

#[test]
fn columns_that_cannot_fill_their_fields() {
    check(
        |all| columns(&mut all[1])[0].holds = ColumnValues::Text,
        &[
            "! lookups.flock.sql: column `id` has the type `t`, which can't fill field `id` of s.Bird, i32",
            WHEN,
        ],
    );
    check(
        |all| columns(&mut all[1])[3].holds = ColumnValues::List(ColumnValues::Text.into()),
        &[
            "! lookups.flock.sql: column `years` has the type `t`, which can't fill field `years` of s.Bird, list<i64>",
            WHEN,
        ],
    );
    check(
        |all| columns(&mut all[2])[0].holds = ColumnValues::Bool,
        &[
            "! lookups.count.sql: column `n` has the type `t`, which can't fill i64 in view `get`",
            WHEN,
        ],
    );
    let unsure = |all: &mut [Finding; 3]| {
        columns(&mut all[1])[0].holds = ColumnValues::Text;
        columns(&mut all[1])[0].strict = false;
    };
    assert!(with(unsure)[0].starts_with("lookups.flock.sql: column `id`"));
}

#[test]
fn what_may_be_out_of_range_or_null_is_a_warning() {
    let change = |all: &mut [Finding; 3]| {
        columns(&mut all[1])[0].holds = big();
        columns(&mut all[1])[0].nullable = Some(true);
        // Not required, or with a default of the IDL.
        columns(&mut all[1])[1].nullable = Some(true);
        columns(&mut all[1])[4].nullable = Some(true);
    };
    check(
        change,
        &[
            "lookups.flock.sql: column `id` has the type `t`, which holds numbers that i32 does not (field `id` of s.Bird, i32)",
            "lookups.flock.sql: column `id` may be null, and field `id` of s.Bird is required",
            WHEN,
        ],
    );
}

#[test]
fn required_fields_without_a_column() {
    check(
        |all| columns(&mut all[1])[0].name = "ident".into(),
        &[
            "! lookups.flock.sql: no column is called `id`, and field `id` of s.Bird is required",
            WHEN,
        ],
    );
    // Spread over the reply; a union's fields are not required.
    check(
        |all| columns(&mut all[0])[2].name = "titel".into(),
        &[
            "! lookups.bird.sql: no column is called `title`, and field `title` of s.Reply is required",
            WHEN,
        ],
    );
}

#[test]
fn references_to_columns_that_do_not_exist() {
    check(
        |all| columns(&mut all[0])[3].name = "ages".into(),
        &[
            "! views.get.lookups.count.with.year: no column is called `years`",
            WHEN,
        ],
    );
    // Unless the default has it.
    let toml = TOML.replace(
        "bird = \"bird\"",
        "bird = { use = \"bird\", default = { id = 1, years = [1] } }",
    );
    let mut findings = fitting();
    columns(&mut findings[0])[3].name = "ages".into();
    assert_eq!(said_of(&program(&toml), &findings), [WHEN]);
}

#[test]
fn several_columns_for_one_value() {
    check(
        |all| columns(&mut all[2]).push(column("m", ColumnValues::Text)),
        &[
            "lookups.count.sql: `rows = \"value\"` reads the first of 2 columns, `n`",
            WHEN,
        ],
    );
}

/// A parameter that takes what `takes` says.
fn param(takes: impl Fn(&Value) -> bool + Send + 'static) -> Param {
    Param {
        ty: Some("p".into()),
        takes: Box::new(move |value| takes(value).then_some(()).ok_or_else(|| "refused".into())),
    }
}

#[test]
fn parameters_that_accept_none_of_their_values() {
    let params = |at: usize, takes: fn(&Value) -> bool| {
        move |all: &mut [Finding; 3]| {
            let statement = all[at].statement.as_mut().expect("a statement");
            statement.params = Some(vec![param(takes)]);
        }
    };
    let is_text = |value: &Value| value.as_str().is_some();
    let lines = with(params(0, is_text));
    let bound = [
        "bird.with.id",
        "tags.with.id",
        "title.with.id",
        "either.with.id",
    ];
    for key in bound {
        let start =
            format!("! views.get.lookups.{key}: parameter `id` of lookup `bird` has the type `p`");
        assert!(
            lines.iter().any(|line| line.starts_with(&start)),
            "{key}: {lines:?}"
        );
    }
    // Nothing is reported about unknown types.
    check(params(1, |_| false), &[WHEN]);
    // Some value of the type is accepted.
    check(params(0, |value| *value == Value::I64(7)), &[WHEN]);
}

#[test]
fn statements_whose_parameters_differ_from_their_lookups() {
    check(
        |all| all[0].statement.as_mut().expect("a statement").params = Some(Vec::new()),
        &[
            "! lookups.bird.sql: the statement has 0 parameters where the lookup has 1",
            WHEN,
        ],
    );
}

#[test]
fn nothing_is_reported_about_unknown_types() {
    assert!(said(&[Finding::default(), Finding::default(), Finding::default()]).is_empty());
}

#[test]
fn rows_that_are_the_keys_of_a_map() {
    let tags = r#"tags = { use = "bird", with = { id = { value = 7 } } }"#;
    let each = r#"tags = { use = "count", foreach = "flock", with = { year = "item.id" } }"#;
    let toml = TOML.replace(tags, each);
    let keys = "! views.get.lookups.tags.foreach: the elements are the map's keys, and a row of 5 columns can't fill string";
    let mut findings = fitting();
    columns(&mut findings[2])[0].holds = ColumnValues::Integer(0..=9);
    assert_eq!(said_of(&program(&toml), &findings), [keys, WHEN]);
    // A row of one column is that column.
    columns(&mut findings[1]).truncate(1);
    assert_eq!(said_of(&program(&toml), &findings), [WHEN]);
}

#[test]
fn what_is_asked_instead_has_to_fit_too() {
    let old =
        "[lookups.old]\nbackend = \"db\"\nsql = \"select :year\"\nrows = \"value\"\n[views.get";
    let instead = "old = { with = { year = \"id\" } }\ncount = { else = [\"old\"], ";
    let toml = TOML.replacen("[views.get", old, 1);
    let program = program(&toml.replace("count = {", instead));
    let said = |holds| {
        let [bird, flock, count] = fitting();
        let old = statement(Rows::Value, vec![column("n", holds)]);
        said_of(&program, &[bird, flock, count, old])
    };
    let fits = said(big());
    assert!(
        !fits.iter().any(|line| line.contains("lookups.old")),
        "{fits:?}"
    );
    let never = said(ColumnValues::Text);
    let wanted =
        "! lookups.old.sql: column `n` has the type `t`, which can't fill i64 in view `get`";
    assert!(never.iter().any(|line| line == wanted), "{never:?}");
}
