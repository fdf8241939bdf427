//! Every type as column and as parameter, refused values, and what a session may not do.

use serde_json::json as expected;
use tributary::error::Code;
use tributary::value::Value;

use super::{Store, json, run};
use crate::support::Postgres;

/// A type, a literal of it, and the value it becomes.
type Specimen = (&'static str, &'static str, serde_json::Value);

fn numbers_and_text() -> Vec<Specimen> {
    vec![
        ("bool", "true", expected!(true)),
        ("int2", "-32768", expected!(i16::MIN)),
        ("int4", "2147483647", expected!(i32::MAX)),
        ("int8", "-9223372036854775808", expected!(i64::MIN)),
        ("oid", "4294967295", expected!(u32::MAX)),
        ("float4", "1.5", expected!(1.5)),
        ("float8", "-1e-300", expected!(-1e-300)),
        (
            "numeric",
            "-12345678901234567890.0120",
            expected!("-12345678901234567890.0120"),
        ),
        ("numeric", "10000", expected!("10000")),
        ("numeric", "0.00001", expected!("0.00001")),
        ("numeric", "NaN", expected!("NaN")),
        ("text", "é, \"quoted\"", expected!("é, \"quoted\"")),
        ("varchar(5)", "abc", expected!("abc")),
        ("char(5)", "abc", expected!("abc  ")),
        ("name", "abc", expected!("abc")),
        ("\"char\"", "x", expected!("x")),
        ("xml", "<a/>", expected!("<a/>")),
        ("bytea", "\\x00ff", expected!("bytes [00, ff]")),
        (
            "uuid",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            expected!("uuid a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        (
            "json",
            "{\"b\": [1, null], \"a\": \"x\"}",
            expected!({"b": [1, null], "a": "x"}),
        ),
        (
            "jsonb",
            "{\"b\": [1.5, true]}",
            expected!({"b": [1.5, true]}),
        ),
        ("jsonb", "null", expected!(null)),
    ]
}

fn times_and_lists() -> Vec<Specimen> {
    vec![
        ("date", "2013-01-31", expected!("2013-01-31")),
        ("date", "1600-02-29", expected!("1600-02-29")),
        ("date", "0044-03-15 BC", expected!("0044-03-15 BC")),
        ("date", "infinity", expected!("infinity")),
        ("time", "05:17:00.25", expected!("05:17:00.25")),
        ("timetz", "05:17:00-03:30", expected!("05:17:00-03:30")),
        (
            "timestamp",
            "1999-12-31 23:59:59.999999",
            expected!("1999-12-31T23:59:59.999999"),
        ),
        (
            "timestamptz",
            "2013-01-01 00:30:00+02",
            expected!("2012-12-31T22:30:00Z"),
        ),
        (
            "interval",
            "1 year 2 mons 3 days 04:05:06.5",
            expected!("P1Y2M3DT4H5M6.5S"),
        ),
        ("interval", "-1 day +2 hours", expected!("P-1DT2H")),
        ("int4[]", "{1,NULL,3}", expected!([1, null, 3])),
        (
            "text[]",
            "{\"a,b\",\"\",NULL}",
            expected!(["a,b", "", null]),
        ),
        ("int4[]", "{}", expected!([])),
        (
            "int4[]",
            "{{1,2},{3,4},{5,6}}",
            expected!([[1, 2], [3, 4], [5, 6]]),
        ),
        ("date[]", "{2013-01-31}", expected!(["2013-01-31"])),
        ("numeric[]", "{1.50}", expected!(["1.50"])),
        ("zoo_mood", "so so", expected!("so so")),
        (
            "zoo_mood[]",
            "{happy,\"so so\"}",
            expected!(["happy", "so so"]),
        ),
        ("zoo_count", "7", expected!(7)),
    ]
}

const TYPES: &str = "create type zoo_mood as enum ('happy', 'so so'); \
     create domain zoo_count as int4 check (value > 0);";

#[tokio::test(flavor = "local")]
async fn every_type_is_read_and_every_type_takes_a_parameter() {
    let server = Postgres::shared();
    run(&server.url(), TYPES).await;
    let store = Store::new(&server.url(), "").await;
    for (ty, literal, value) in [numbers_and_text(), times_and_lists()].concat() {
        let stored = store.lookup(
            &format!("select '{literal}'::{ty} as v, null::{ty} as n"),
            "rows = \"one\"",
        );
        let answer = store.ask(&stored, &[]).await.expect(ty);
        assert_eq!(
            json(&answer),
            expected!({"v": value, "n": null}),
            "{ty} {literal}"
        );

        // The same text as a parameter finds the same value. Lists are tested separately.
        if ty.ends_with("[]") {
            continue;
        }
        let echoed = store.lookup(
            &format!("select :p::{ty} as v, :p::{ty} is null as n"),
            "rows = \"one\"",
        );
        let answer = store.ask(&echoed, &[literal.into()]).await;
        let answer = answer.unwrap_or_else(|err| panic!("{ty} {literal}: {err}"));
        let value = if ty == "bytea" {
            expected!("bytes [5c, 78, 30, 30, 66, 66]")
        } else {
            value
        };
        assert_eq!(
            json(&answer),
            expected!({"v": value, "n": false}),
            "{ty} {literal}"
        );
        let null = store.ask(&echoed, &[Value::Null]).await.expect(ty);
        assert_eq!(json(&null), expected!({"v": null, "n": true}), "{ty}");
    }
}

#[tokio::test(flavor = "local")]
async fn parameters_of_every_kind() {
    let server = Postgres::shared();
    let store = Store::new(&server.url(), "").await;
    let list = Value::List(vec!["a\"b".into(), Value::Null, "{x}".into()]);
    let map = Value::Map(vec![("k".into(), Value::from(vec![1, 2]))]);
    for (ty, value, back) in [
        ("int4", Value::I64(5), expected!(5)),
        ("int4", Value::Double(5.0), expected!(5)),
        ("text", Value::I64(5), expected!("5")),
        ("float8", Value::I64(5), expected!(5.0)),
        ("float8", Value::Double(0.1), expected!(0.1)),
        ("numeric", Value::Double(0.1), expected!("0.1")),
        ("bool", Value::Bool(false), expected!(false)),
        (
            "bytea",
            Value::Bytes(vec![0, 255].into()),
            expected!("bytes [00, ff]"),
        ),
        (
            "uuid",
            Value::Uuid([1; 16]),
            expected!("uuid 01010101-0101-0101-0101-010101010101"),
        ),
        ("text[]", list, expected!(["a\"b", null, "{x}"])),
        (
            "int8[]",
            Value::from(vec![i64::MIN, 3]),
            expected!([i64::MIN, 3]),
        ),
        ("uuid[]", Value::List(vec![]), expected!([])),
        ("jsonb", map, expected!({"k": [1, 2]})),
    ] {
        let lookup = store.lookup(&format!("select :p::{ty}"), "rows = \"value\"");
        let answer = store.ask(&lookup, std::slice::from_ref(&value)).await;
        assert_eq!(json(&answer.expect(ty)), back, "{value:?} as {ty}");
    }
    let twice = store.lookup("select :b::text || :a::text || :b", "rows = \"value\"");
    let answer = store.ask(&twice, &["x".into(), "y".into()]).await;
    assert_eq!(answer.expect("text"), Value::from("xyx"));
    for (ty, value) in [
        ("int2", Value::I64(32_768)),
        ("date", Value::from("2013-02-30")),
        ("timestamptz", Value::from("soon")),
        ("inet", Value::from("1.2.3")),
        ("text", Value::from("a\0")),
    ] {
        let lookup = store.lookup(&format!("select :p::{ty}::text"), "rows = \"value\"");
        assert_eq!(
            store.code(&lookup, &[value]).await,
            Code::LookupBadParam,
            "{ty}"
        );
    }
}

#[tokio::test(flavor = "local")]
async fn rows_are_shaped() {
    let server = Postgres::shared();
    let store = Store::new(&server.url(), "").await;
    let ask = async |keys: &str, count: i64| {
        let lookup = store.lookup(
            "select n, n * 2 as d from generate_series(1, :n::int) n",
            keys,
        );
        store
            .ask(&lookup, &[count.into()])
            .await
            .map(|value| json(&value))
    };
    let first = expected!({"n": 1, "d": 2});
    assert_eq!(ask("rows = \"one\"", 100_000).await.expect("a row"), first);
    assert_eq!(
        ask("rows = \"one\"", 0).await.expect("none"),
        expected!(null)
    );
    assert_eq!(
        ask("rows = \"value\"", 9).await.expect("a value"),
        expected!(1)
    );
    assert_eq!(
        ask("rows_max = 1", 1).await.expect("a list"),
        expected!([first])
    );
    assert_eq!(ask("", 0).await.expect("a list"), expected!([]));
    let too_many = ask("rows_max = 1", 100_000).await.expect_err("too many");
    assert_eq!(too_many.code, Code::LookupTooMany);
}

#[tokio::test(flavor = "local")]
async fn refused_values_and_their_errors() {
    let server = Postgres::shared();
    run(&server.url(), "create table locked (n int)").await;
    let store = Store::new(&server.url(), "statement_timeout = \"50ms\"").await;
    for (sql, code, word) in [
        (
            "select * from no_such_table",
            Code::LookupRefused,
            "no_such_table",
        ),
        ("select 1 / 0", Code::LookupRefused, "division"),
        (
            "insert into locked values (1) returning n",
            Code::LookupRefused,
            "read-only",
        ),
        ("delete from locked", Code::LookupRefused, "no columns"),
        ("select 1 as a, 2 as a", Code::LookupRefused, "two columns"),
        (
            "select point(1, 2) as p",
            Code::LookupBadAnswer,
            "`p::text`",
        ),
        (
            "select int4range(1, 2) as r",
            Code::LookupBadAnswer,
            "int4range",
        ),
        ("select pg_sleep(30)::text", Code::LookupTimeout, "timeout"),
    ] {
        let lookup = store.lookup(sql, "");
        let err = store.ask(&lookup, &[]).await.expect_err(sql);
        assert_eq!(err.code, code, "{sql}: {err}");
        assert!(err.detail.contains(word), "{sql}: {err}");
    }
}
