//! Tables against the simplest way to read the same file: every value in memory, every row compared.

use proptest::prelude::*;

use super::super::csv::{CellType, CsvFile};
use super::super::json;
use super::super::key::key;
use super::super::pieces::Progress;
use super::super::table::Table;
use super::*;
use crate::value::parse_double;

/// Names of columns and rows of values.
type Plain = (Vec<String>, Vec<Vec<Value>>);

fn plain(table: &Table) -> Plain {
    let names = table.names.iter().map(ToString::to_string).collect();
    (names, rows_of(table))
}

/// As the csv crate reads it.
fn plain_csv(text: &str, kinds: &[CellType], null: &str) -> Option<Plain> {
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let names = reader
        .headers()
        .ok()?
        .iter()
        .map(ToOwned::to_owned)
        .collect();
    let cell = |(text, kind): (&str, &CellType)| {
        if text == null {
            return Some(Value::Null);
        }
        match kind {
            CellType::Text => Some(text.into()),
            CellType::I64 => text.parse().ok().map(Value::I64),
            CellType::Double => parse_double(text).map(Value::Double),
            CellType::Bool => match text.to_ascii_lowercase().as_str() {
                "1" | "true" => Some(true.into()),
                "0" | "false" => Some(false.into()),
                _ => None,
            },
        }
    };
    let row = |record: Result<::csv::StringRecord, ::csv::Error>| {
        record.ok()?.iter().zip(kinds).map(cell).collect()
    };
    let rows: Option<Vec<_>> = reader.records().map(row).collect();
    Some((names, rows?))
}

/// As one value.
fn plain_json(json: Value) -> Option<Plain> {
    let has_key = matches!(json, Value::Map(_));
    let objects: Vec<(Option<Value>, Value)> = match json {
        Value::List(items) => items.into_iter().map(|item| (None, item)).collect(),
        Value::Map(pairs) => pairs
            .into_iter()
            .map(|(key, item)| (Some(key), item))
            .collect(),
        _ => return None,
    };
    let mut names: Vec<String> = has_key.then(|| "key".to_owned()).into_iter().collect();
    let mut rows = Vec::new();
    for (key, object) in objects {
        let Value::Map(fields) = object else {
            return None;
        };
        let mut row: Vec<Value> = key.into_iter().collect();
        for (name, value) in fields {
            let name = name.as_str()?;
            if has_key && name == "key" {
                return None;
            }
            let at = names
                .iter()
                .position(|have| have == name)
                .unwrap_or_else(|| {
                    names.push(name.to_owned());
                    names.len() - 1
                });
            row.resize(row.len().max(at + 1), Value::Null);
            row[at] = value;
        }
        rows.push(row);
    }
    for row in &mut rows {
        row.resize(names.len(), Value::Null);
    }
    (!names.is_empty() || rows.is_empty()).then_some((names, rows))
}

/// One that is not equal to itself, such as NaN, is shown.
fn shown(plain: Option<Plain>) -> Option<String> {
    plain.map(|plain| format!("{plain:?}"))
}

#[track_caller]
fn check_csv(text: &str, kinds: &[CellType]) {
    for piece_bytes in [1, 7, usize::MAX] {
        let file = CsvFile::in_pieces(text.as_bytes(), b',', piece_bytes).unwrap();
        let progress = Progress::new("t", text.len());
        let table = file.rows(kinds, "NA", &progress);
        let table = table.ok().map(|table| plain(&table));
        assert_eq!(shown(table), shown(plain_csv(text, kinds, "NA")), "{text}");
    }
}

#[track_caller]
fn check_json(text: &str) {
    let expected = Value::from_json(text.as_bytes()).ok().and_then(plain_json);
    let expected = shown(expected);
    for piece_bytes in [1, 7, usize::MAX] {
        let progress = Progress::new("t", text.len());
        let table = json::read_in(text.as_bytes(), &progress, piece_bytes);
        let table = table.ok().map(|table| plain(&table));
        assert_eq!(shown(table), expected, "{text}");
    }
}

/// Objects of a JSON array, as one object per line.
fn check_lines(objects: &[String]) {
    let array = format!("[{}]", objects.join(","));
    let expected = shown(Value::from_json(array.as_bytes()).ok().and_then(plain_json));
    let lines = objects.join("\r\n\n ");
    for piece_bytes in [1, 7, usize::MAX] {
        let progress = Progress::new("t", lines.len());
        let table = json::read_lines_in(lines.as_bytes(), &progress, piece_bytes);
        let table = table.ok().map(|table| plain(&table));
        assert_eq!(shown(table), expected, "{lines}");
    }
}

/// A cell of a CSV file, quoted where it has to be and sometimes where it need not be.
fn csv_cell() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[ a-zé\",\r\n]{0,12}",
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        (-9999_i32..9999).prop_map(|number| format!("{:.2}", f64::from(number) / 100.0)),
        proptest::sample::select(vec![
            "", "NA", "true", "0", "FALSE", "007", "-0.0", "1e5", "inf"
        ])
        .prop_map(String::from),
    ];
    (text, any::<bool>()).prop_map(|(text, quoted)| {
        if quoted || text.contains([',', '"', '\r', '\n']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    })
}

fn json_value() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        proptest::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1e3",
            "1e400",
            "18446744073709551616",
            "\"a,\\\"]}\"",
            "\"\\u00e9é\"",
            "[]",
        ])
        .prop_map(String::from),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON", |number| number.is_finite())
            .prop_map(|number| format!("{number:?}")),
    ];
    plain.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3)
                .prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            fields(inner).prop_map(|fields| fields),
        ]
    })
}

fn fields(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    proptest::collection::vec(("[a-d]|key", value), 0..5).prop_map(|fields| {
        let fields: Vec<String> = fields
            .into_iter()
            .map(|(name, value)| format!("\"{name}\" : {value}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    })
}

fn kind() -> impl Strategy<Value = CellType> {
    // Others than text are seldom right for all rows.
    prop_oneof![6 => Just(CellType::Text), 1 => proptest::sample::select(CellType::ALL.to_vec())]
}

proptest! {
    #[test]
    fn csv_is_read_as_the_crate_reads_it(
        rows in proptest::collection::vec(proptest::collection::vec(csv_cell(), 3), 0..12),
        kinds in proptest::collection::vec(kind(), 3),
        end in proptest::sample::select(vec!["\n", "\r\n", "\n\n"]),
    ) {
        let rows: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
        check_csv(&format!("a,b,c{end}{}", rows.join(end)), &kinds);
    }

    #[test]
    fn numbers_of_csv_are_read_as_they_are_written(
        numbers in proptest::collection::vec((any::<i64>(), any::<f64>(), -99_999_i32..99_999), 0..20),
    ) {
        let row = |(integer, double, cents): &(i64, f64, i32)| {
            format!("{integer},{double},{}\n", f64::from(*cents) / 100.0)
        };
        let rows: String = numbers.iter().map(row).collect();
        check_csv(&format!("a,b,c\n{rows}"), &[CellType::I64, CellType::Double, CellType::Double]);
    }

    #[test]
    fn json_is_read_as_one_value_would_be(
        objects in proptest::collection::vec(fields(json_value()), 0..6),
        other in json_value(),
        names in proptest::collection::vec("[a-f]", 6),
        put in any::<proptest::sample::Index>(),
    ) {
        check_lines(&objects);
        check_json(&format!("[{}]", objects.join(" ,\n")));
        let named = |objects: &[String]| {
            let pairs = names.iter().zip(objects).map(|(name, object)| format!("\"{name}\": {object}"));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        };
        check_json(&named(&objects));
        // Nearly always a mistake, unless a later one has the same name.
        let mut mixed = objects.clone();
        mixed.insert(put.index(objects.len() + 1), other);
        check_json(&named(&mixed));
        check_json(&format!("[{}]", mixed.join(",")));
    }

    #[test]
    fn key_and_where_find_what_comparing_finds(
        cells in proptest::collection::vec((0_u8..6, "[ab]"), 0..40),
        wanted in 0_u8..7,
        word in "[ab]",
    ) {
        let rows = cells.iter().map(|(number, word)| format!("{number},{word},x\n"));
        let rows = rows.collect::<Vec<_>>().concat();
        let config = config("t.csv", &format!("n,w,x\n{rows}"), "types = { n = \"i64\" }\nnull = \"5\"");
        let table = &config.loaded().table;
        let matches = |row: &Vec<Value>| {
            let key_of = |value: &Value| key(value).map(std::borrow::Cow::into_owned);
            key_of(&row[0]) == Some(wanted.to_string().into_bytes()) && row[1] == Value::from(word.as_str())
        };
        let expected: Vec<Vec<Value>> = rows_of(table).into_iter().filter(matches).collect();
        for by in ["key", "where"] {
            let lookup = format!("{by} = {{ n = \"{{n}}\", w = \"{{w}}\" }}");
            let params = [("n", i64::from(wanted).into()), ("w", word.as_str().into())];
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(find(&config, &lookup, &params)).unwrap();
            let Value::List(found) = found else { panic!("a list") };
            let found: Vec<Vec<Value>> = found
                .into_iter()
                .map(|row| match row {
                    Value::Record(record) => record.values,
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(&found, &expected);
        }
    }
}

#[test]
fn an_overwritten_element_may_be_anything() {
    check_json(r#"{"a": 1, "b": {"x": 1}, "a": {"y": 2}}"#);
    check_json(r#"{"a": {"x": 1}, "a": 1}"#);
    check_json(r#"{"a": {"x": 1}, "b": {"x": 2}, "a": {"y": 1}}"#);
}

#[test]
fn columns_are_in_the_order_of_the_file_whatever_piece_has_them_first() {
    check_json(r#"[{"a":1},{"b":2,"c":3},{"c":4,"b":5},{"d":1,"c":2,"a":3},{"e":1,"d":2}]"#);
}

#[test]
fn text_that_is_not_json_is_no_table() {
    for text in [
        "[\u{feff}{}]",
        "[{}\u{c}]",
        "[{},]",
        "[,{}]",
        "[{} {}]",
        "{\"a\" {}}",
        "[{}",
        "[{}}",
        "{,}",
        "{\"a\":{},}",
    ] {
        check_json(text);
    }
}
