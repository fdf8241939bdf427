//! Files through the same four calls as in production.

mod reference; // against the simplest way to read a file
mod watched; // files that change
mod mistakes; // in a file, a lookup or a backend

use std::fmt::Write as _;

use super::*;
use crate::backend::testing::{self, ask, config_problems};
use crate::error::Code;
use crate::value::Value;

const AIRPORTS: &str = "\
code,name,city,lat,alt\n\
JFK,John F Kennedy,New York,40.64,13\n\
LGA,\"La Guardia, \"\"LGA\"\"\",New York,40.77,22\n\
EWR,Newark,Newark,,18\n";

/// A file of the given name and text, with more keys of `[backends.NAME]`.
fn backend(name: &str, text: impl AsRef<[u8]>, more: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let toml = format!("path = {:?}\n{more}", path.to_str().unwrap());
    (folder, toml)
}

fn config(name: &str, text: &str, more: &str) -> Config {
    let (_folder, toml) = backend(name, text, more);
    testing::config::<FileTable>(&toml).unwrap()
}

fn airports() -> Config {
    config(
        "a.csv",
        AIRPORTS,
        "types = { lat = \"double\", alt = \"i64\" }",
    )
}

async fn find(config: &Config, toml: &str, params: &[(&str, Value)]) -> Result<Value, LookupError> {
    let lookup = testing::lookup::<FileTable>(config, toml).unwrap();
    ask(
        &FileTable::connect(config, &[], &crate::backend::OnLoop::default()).await,
        &lookup,
        params,
    )
    .await
}

fn record(pairs: &[(&str, Value)]) -> Value {
    let (names, values): (Vec<&str>, Vec<Value>) = pairs.iter().cloned().unzip();
    let names = crate::value::FieldNames::new(names);
    Value::Record(crate::value::Record { names, values })
}

fn rows_of(table: &Table) -> Vec<Vec<Value>> {
    let width = table.names.len();
    (0..table.len())
        .map(|at| table.row(at).values(width))
        .collect()
}

/// What is wrong with the file, without the path and place.
#[track_caller]
fn mistakes(name: &str, text: impl AsRef<[u8]>, more: &str) -> Vec<String> {
    let (folder, toml) = backend(name, text, more);
    let path = folder.path().join(name);
    let known = format!("`{}`", path.display());
    let problems = config_problems::<FileTable>(&toml);
    problems
        .iter()
        .map(|line| line.replace(&known, "FILE"))
        .collect()
}

#[tokio::test(flavor = "local")]
async fn a_row_is_found_by_its_key() {
    let toml = "key = { code = \"{airport}\" }\nrows = \"one\"";
    let found = find(&airports(), toml, &[("airport", "LGA".into())])
        .await
        .unwrap();
    let expected = record(&[
        ("code", "LGA".into()),
        ("name", "La Guardia, \"LGA\"".into()),
        ("city", "New York".into()),
        ("lat", 40.77.into()),
        ("alt", 22.into()),
    ]);
    assert_eq!(found, expected);
    for missing in ["lga".into(), Value::Null] {
        let found = find(&airports(), toml, &[("airport", missing)])
            .await
            .unwrap();
        assert_eq!(found, Value::Null);
    }
    let list = find(&airports(), toml, &[("airport", vec!["LGA"].into())]).await;
    assert_eq!(list.unwrap_err().code, Code::LookupBadParam);
}

#[tokio::test(flavor = "local")]
async fn key_and_where_find_the_same_rows() {
    for word in ["key", "where"] {
        for (terms, expected) in [
            ("city = \"New York\", alt = \"{alt}\"", &["LGA"][..]),
            ("alt = \"{alt}\"", &["LGA"]),
            ("alt = 22, lat = 40.77", &["LGA"]),
            ("city = \"{city}\"", &["JFK", "LGA"]),
            ("city = \"{city}\", alt = 14", &[]),
            ("lat = \"{null}\"", &[]),
        ] {
            let toml = format!("{word} = {{ {terms} }}\ncolumns = [\"code\"]");
            let params = [
                ("alt", 22.into()),
                ("city", "New York".into()),
                ("null", Value::Null),
            ];
            let found = find(&airports(), &toml, &params).await.unwrap();
            let expected = expected
                .iter()
                .map(|code| record(&[("code", (*code).into())]));
            assert_eq!(found, Value::List(expected.collect()), "{toml}");
        }
    }
}

#[tokio::test(flavor = "local")]
async fn all_rows_one_value_and_a_limit() {
    let Value::List(rows) = find(&airports(), "", &[]).await.unwrap() else {
        panic!("a list")
    };
    assert_eq!(rows.len(), 3);
    assert_eq!(
        rows[2].get("lat"),
        Some(&Value::Null),
        "an empty cell is null"
    );
    let toml = "where = { code = \"EWR\" }\nrows = \"value\"\ncolumns = [\"alt\", \"code\"]";
    assert_eq!(find(&airports(), toml, &[]).await.unwrap(), 18.into());
    let err = find(&airports(), "rows_max = 2", &[]).await.unwrap_err();
    assert_eq!(err.code, Code::LookupTooMany);
}

#[tokio::test(flavor = "local")]
async fn csv_cells_have_their_declared_types() {
    let text = "\u{feff}a,b,c,d\r\n05,true,NA,\r\n-7,0,1e3,x\r\n";
    let types = "null = \"NA\"\ntypes = { a = \"i64\", b = \"bool\", c = \"double\" }";
    let Value::List(rows) = find(&config("t.csv", text, types), "", &[]).await.unwrap() else {
        panic!("a list")
    };
    let row = |a: i64, b: bool, c: Value, d: &str| {
        record(&[("a", a.into()), ("b", b.into()), ("c", c), ("d", d.into())])
    };
    let expected = [
        row(5, true, Value::Null, ""),
        row(-7, false, 1000.0.into(), "x"),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test(flavor = "local")]
async fn json_keeps_its_types_and_nesting() {
    let array = r#"[{"id": 1, "tags": ["x", {"y": null}]}, {"id": 2, "price": 1.5, "ok": true}]"#;
    let config = config("t.json", array, "");
    let toml = "key = { id = \"{id}\" }\nrows = \"one\"";
    let nested = Value::Map(vec![("y".into(), Value::Null)]);
    let expected = record(&[
        ("id", 1.into()),
        ("tags", Value::List(vec!["x".into(), nested])),
        ("price", Value::Null),
        ("ok", Value::Null),
    ]);
    assert_eq!(
        find(&config, toml, &[("id", 1.into())]).await.unwrap(),
        expected
    );
    let found = find(&config, toml, &[("id", "2".into())]).await.unwrap();
    assert_eq!(found.get("price"), Some(&1.5.into()));
}

#[tokio::test(flavor = "local")]
async fn an_object_of_objects_has_its_names_as_keys() {
    let text = r#"{"UA": {"name": "United"}, "AA": {"name": "American"}}"#;
    let config = config("t.json", text, "");
    let toml = "key = { key = \"{carrier}\" }\nrows = \"one\"";
    let found = find(&config, toml, &[("carrier", "AA".into())])
        .await
        .unwrap();
    let expected = record(&[("key", "AA".into()), ("name", "American".into())]);
    assert_eq!(found, expected);
}

#[test]
fn parameters_come_once_in_order_of_mention() {
    let toml = "where = { code = \"{b}\", city = \"{a}\", name = \"{b}\" }\nrows = \"one\"";
    let lookup = testing::lookup::<FileTable>(&airports(), toml).unwrap();
    let params: Vec<&str> = lookup.params.iter().map(|name| &**name).collect();
    assert_eq!(params, ["b", "a"]);
    assert_eq!(lookup.yields, crate::backend::Yields::Record);
}

#[tokio::test(flavor = "local")]
async fn an_empty_array_is_a_table_without_rows() {
    let config = config("t.json", "[]", "");
    for toml in [
        "",
        "key = { code = \"{code}\", city = 5 }",
        "where = { code = \"{code}\" }\ncolumns = [\"name\", \"city\"]",
    ] {
        let found = find(&config, toml, &[("code", "JFK".into())])
            .await
            .unwrap();
        assert_eq!(found, Value::List(Vec::new()), "{toml}");
        let one = find(
            &config,
            &format!("{toml}\nrows = \"one\""),
            &[("code", "JFK".into())],
        )
        .await;
        assert_eq!(one.unwrap(), Value::Null);
    }
}

#[test]
fn a_file_that_has_not_changed_is_not_read_again() {
    let (folder, toml) = backend("a.csv", AIRPORTS, "");
    let path = folder.path().join("a.csv");
    let read = || testing::config::<FileTable>(&toml).unwrap().loaded();
    let first = read();
    assert!(Arc::ptr_eq(&first, &read()), "the same content");
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    let set_time = |time| {
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    };
    set_time(old);
    assert!(Arc::ptr_eq(&first, &read()), "another time");
    let typed =
        testing::config::<FileTable>(&format!("{toml}\ntypes = {{ alt = \"i64\" }}")).unwrap();
    assert!(!Arc::ptr_eq(&first, &typed.loaded()), "read in another way");
    assert!(Arc::ptr_eq(&first, &read()), "both are remembered");
    std::fs::write(&path, AIRPORTS.replace("Newark", "Newyrk")).unwrap();
    set_time(old);
    let second = read();
    assert!(!Arc::ptr_eq(&first, &second), "the same size and time");
    assert_eq!(rows_of(&second.table)[2][1], "Newyrk".into());
}

#[test]
fn lookups_by_the_same_columns_share_an_index() {
    let loaded = airports().loaded();
    let by_city = loaded.index(&[2]);
    assert!(Arc::ptr_eq(&by_city, &loaded.index(&[2])));
    assert!(!Arc::ptr_eq(&by_city, &loaded.index(&[0])));
}

#[tokio::test(flavor = "local")]
async fn many_rows_leave_the_loop_to_others() {
    let mut text = "a,b\n".to_owned();
    for at in 0..20_000 {
        writeln!(text, "{at},{}", at % 2).unwrap();
    }
    let config = config("t.csv", &text, "");
    for (terms, rows, turns) in [
        ("", 20_000, 14),
        ("where = { b = \"1\" }", 10_000, 9),
        ("key = { b = \"1\" }", 10_000, 4),
        ("key = { a = \"77\" }", 1, 0),
    ] {
        let lookup = format!("{terms}\nrows_max = 20000");
        let other = std::cell::Cell::new(0);
        let answer = tokio::select! {
            biased;
            answer = find(&config, &lookup, &[]) => answer.unwrap(),
            () = async { loop { other.set(other.get() + 1); tokio::task::yield_now().await; } } => unreachable!(),
        };
        let Value::List(found) = answer else {
            panic!("a list")
        };
        assert_eq!((found.len(), other.get()), (rows, turns), "{terms}");
    }
}

#[tokio::test(flavor = "local")]
async fn numbers_of_a_json_file_keep_all_their_digits() {
    let text = r#"[{"a": 18446744073709551615, "b": -9223372036854775809, "c": 0.30000000000000004, "c": 0.1}]"#;
    let config = config("t.json", text, "");
    let found = find(&config, "rows = \"one\"", &[]).await.unwrap();
    let expected = record(&[
        ("a", "18446744073709551615".into()),
        ("b", "-9223372036854775809".into()),
        ("c", 0.1.into()),
    ]);
    assert_eq!(found, expected, "the last of two equal names counts");
}

proptest::proptest! {
    /// CSV and JSON: value, text, value.
    #[test]
    fn numbers_of_files_are_read_as_they_were_written(number: i64, bits: u64) {
        let double = Some(f64::from_bits(bits)).filter(|double| double.is_finite()).unwrap_or(0.5);
        let csv = config("t.csv", &format!("n,d\n{number},{double:?}\n"), "types = { n = \"i64\", d = \"double\" }");
        let json = config("t.json", &format!("[{{\"n\":{number},\"d\":{double:?}}}]"), "");
        for config in [csv, json] {
            proptest::prop_assert_eq!(rows_of(&config.loaded().table), vec![vec![number.into(), double.into()]]);
        }
    }
}

#[tokio::test]
async fn cells_are_separated_as_configured() {
    let one = "where = { a = \"{a}\" }\nrows = \"one\"";
    for (separator, name) in [
        (";", "t.csv"),
        ("\t", "t.tsv"),
        ("|", "t.CSV"),
        (",", "t.txt"),
    ] {
        let text = format!("a{separator}b\n1{separator}\"x{separator}y\"\n");
        let more = format!(
            "format = \"csv\"\nseparator = \"{}\"",
            separator.escape_debug()
        );
        let config = config(name, &text, &more);
        let found = find(&config, one, &[("a", "1".into())]).await.unwrap();
        let b = format!("x{separator}y");
        assert_eq!(found, record(&[("a", "1".into()), ("b", b.into())]));
    }
    for bad in ["", ";;", "\"", "\n", "\r", "é"] {
        let more = format!("separator = \"{}\"", bad.escape_debug());
        let problems = mistakes("t.csv", "a\n1\n", &more);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("one character of ASCII"),
            "{problems:?}"
        );
    }
    let json = mistakes("t.json", "[]", "separator = \",\"");
    assert_eq!(
        json,
        ["config.bad_value separator: JSON has no cells (leave `separator` out)"]
    );
    let format = mistakes("t.csv", "a\n1\n", "format = \"jsno\"");
    assert_eq!(
        format,
        ["config.bad_value format: `jsno` is not known here (did you mean `\"json\"`?)"]
    );
}

#[tokio::test]
async fn one_object_per_line_is_a_table() {
    let text = "\u{feff}{\"a\": 1, \"b\": [2]}\r\n\n  \n{\"c\": null, \"a\": \"x\"}";
    let none = Value::Null;
    let second = record(&[("a", "x".into()), ("b", none.clone()), ("c", none)]);
    for (name, more) in [
        ("t.jsonl", ""),
        ("t.NDJSON", ""),
        ("t.log", "format = \"jsonl\""),
    ] {
        let config = config(name, text, more);
        assert_eq!(config.loaded().table.len(), 2);
        let one = "key = { a = \"{a}\" }\nrows = \"one\"";
        let found = find(&config, one, &[("a", "x".into())]).await.unwrap();
        assert_eq!(found, second);
    }
    for (text, expected) in [
        (
            "{\"a\": 1}\n\n{\"a\": ",
            "FILE, line 3: it is not valid JSON",
        ),
        ("{\"a\": 1}\n[1]\n", "FILE, line 2: it is not an object"),
        ("{}\n", "there are no columns"),
    ] {
        let problems = mistakes("t.jsonl", text, "");
        assert!(problems[0].contains(expected), "{problems:?}");
    }
}
