//! Batches: keys are sent as one array, and each lookup gets its own rows.

use std::process::Command;

use serde_json::json as expected;
use tributary::error::Code;
use tributary::value::Value;

use super::{Store, json, run};
use crate::support::{Postgres, Tributary};

const TABLE: &str = "create table legs (code text, n int8, day date); \
     insert into legs values ('a', 1, '2013-01-01'), ('a', 2, null), ('b', 3, null), (null, 4, null)";

const ROWS: &str = "select code, n from legs where code = any(:codes) order by n";

#[tokio::test(flavor = "local")]
async fn rows_are_assigned_to_lookups_by_key() {
    let server = Postgres::shared();
    run(&server.url(), TABLE).await;
    let store = Store::new(&server.url(), "").await;
    let texts = ["b", "missing", "a", "b"].map(Value::from);
    let keys = [
        &texts[..],
        &[Value::Null, Value::List(vec![]), Value::from("a\"\\{")],
    ]
    .concat();
    for max in [1, 2, 128] {
        let many = store.lookup(ROWS, &format!("batch = {{ key = \"code\", max = {max} }}"));
        let mut answers = store.ask_many(&many, &keys).await;
        let wrong = answers.remove(5).expect_err("no list is a key");
        assert_eq!(wrong.code, Code::LookupBadParam);
        let answers: Vec<_> = answers
            .into_iter()
            .map(|answer| json(&answer.expect("rows")))
            .collect();
        let (a1, a2) = (
            expected!({"code": "a", "n": 1}),
            expected!({"code": "a", "n": 2}),
        );
        let b = expected!({"code": "b", "n": 3});
        assert_eq!(
            expected!(answers),
            expected!([[b], [], [a1, a2], [b], [], []])
        );

        let one = store.lookup(
            ROWS,
            &format!("rows = \"one\"\nbatch = {{ key = \"code\", max = {max} }}"),
        );
        let answers = store.ask_many(&one, &texts).await;
        let answers: Vec<_> = answers
            .into_iter()
            .map(|answer| json(&answer.expect("a row")))
            .collect();
        assert_eq!(expected!(answers), expected!([b, null, a1, b]));
        let alone = store.ask(&one, &["a".into()]).await.expect("a row");
        assert_eq!(json(&alone), a1);
    }
}

#[tokio::test(flavor = "local")]
async fn a_bad_key_affects_only_its_own_lookup() {
    let server = Postgres::shared();
    let store = Store::new(&server.url(), "").await;
    run(&server.url(), "create type grade as enum ('low', 'high')").await;
    let graded = store.lookup(
        "select g, g::text as t from unnest(enum_range(null::grade)) g where g = any(:g)",
        "rows = \"one\"\nbatch = { key = \"g\" }",
    );
    let answers = store
        .ask_many(&graded, &["high", "higher", "low"].map(Value::from))
        .await;
    assert_eq!(
        json(answers[0].as_ref().expect("a row")),
        expected!({"g": "high", "t": "high"})
    );
    assert_eq!(
        answers[1].as_ref().expect_err("no grade").code,
        Code::LookupBadParam
    );
    assert_eq!(
        json(answers[2].as_ref().expect("a row")),
        expected!({"g": "low", "t": "low"})
    );

    let series = store.lookup(
        "select k, n from unnest(:k::int4[]) k, generate_series(1, k) n",
        "rows_max = 3\nbatch = { key = \"k\" }",
    );
    let keys = [
        Value::I64(3),
        Value::I64(50),
        Value::from("1"),
        Value::I64(1 << 40),
    ];
    let answers = store.ask_many(&series, &keys).await;
    let length = |at: usize| match &answers[at] {
        Ok(Value::List(rows)) => Ok(rows.len()),
        Ok(other) => panic!("{other:?}"),
        Err(err) => Err(err.code),
    };
    assert_eq!(length(0), Ok(3));
    assert_eq!(length(1), Err(Code::LookupTooMany));
    assert_eq!(length(2), Ok(1));
    assert_eq!(length(3), Err(Code::LookupBadParam));
}

#[tokio::test(flavor = "local")]
async fn statements_that_cannot_batch_say_so() {
    let server = Postgres::shared();
    let store = Store::new(&server.url(), "").await;
    for (sql, word) in [
        ("select 1 as k where 1 = :k::int", "any(:keys)"),
        ("select 1 as other where 1 = any(:k)", "called `k`"),
        (
            "select now()::date as k where now()::date = any(:k)",
            "`date`",
        ),
    ] {
        let lookup = store.lookup(sql, "batch = { key = \"k\" }");
        let err = store.ask(&lookup, &[Value::I64(1)]).await.expect_err(sql);
        assert_eq!(err.code, Code::LookupRefused, "{err}");
        assert!(err.detail.contains(word), "{err}");
    }
    let changed = store.lookup(
        "select 'X' || k as k from unnest(:k::text[]) k",
        "batch = { key = \"k\" }",
    );
    let err = store
        .ask(&changed, &["a".into()])
        .await
        .expect_err("an unknown key");
    assert_eq!(err.code, Code::LookupBadAnswer);
}

const IDL: &str = "struct Leg { 1: string code, 2: string miles } \
     service S { list<Leg> legs(1: list<string> codes) }";

/// A `foreach` over enough keys for several batches, each key twice.
#[tokio::test(flavor = "local")]
async fn the_elements_of_a_foreach_travel_together() {
    let server = Postgres::shared();
    run(
        &server.url(),
        "create table miles as select 'leg-' || n as code, n * 1.25 as miles from generate_series(0, 299) n",
    )
    .await;
    let config = format!(
        r#"
[server]
idl = "s.thrift"
[backends.fleet]
kind = "postgres"
url = "{}"
connect_timeout = "20s"
[lookups.leg]
backend = "fleet"
sql = "select code, miles from miles where code = any(:codes)"
rows = "one"
batch = {{ key = "code", max = 50 }}
[views.legs]
deadline = "20s"
[views.legs.lookups]
legs = {{ use = "leg", foreach = "codes", foreach_max = 1000, with = {{ codes = "item" }} }}
"#,
        server.url()
    );
    let program = Tributary::start(&config, &[("s.thrift", IDL)]);
    let codes: Vec<String> = (0..600).map(|at| format!("leg-{}", at / 2)).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["call", "legs", &format!("codes={}", expected!(codes))])
        .args(["--addr", &program.addr.to_string(), "--idl"])
        .arg(program.folder().join("s.thrift"))
        .output()
        .expect("the program itself");
    let legs: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let miles = |at: u32| {
        let hundredths = at / 2 * 125;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    let expected: Vec<_> = (0..600)
        .map(|at| expected!({"code": format!("leg-{}", at / 2), "miles": miles(at)}))
        .collect();
    assert_eq!(legs, expected!(expected), "each key has its own row");
}
