//! Values that fit, and values that do not, with their message and path.

use bytes::Bytes;

use super::*;
use crate::cli::testing::schema;

const IDL: &str = r#"
include "tributary.thrift"
enum Color { RED = 1, BLUE = 5 }
struct Point { 1: required i32 x, 2: i32 y = 7, 3: optional string note }
union Choice { 1: i64 number, 2: string word }
struct All {
  1: bool bit
  2: i8 tiny
  3: i16 short
  4: i32 int
  5: i64 long
  6: double real
  7: string text
  8: binary raw
  9: uuid id
  10: Color color
  11: Point point
  12: list<Point> points
  13: set<i32> numbers
  14: map<string, i32> by_name
  15: map<i32, Color> by_number
  16: map<Color, string> by_color
  17: Choice choice
  18: tributary.Value anything
  19: map<string, Point> places
}
service S { void call(1: All all, 2: required i32 must) }
"#;

fn map(pairs: &[(&str, Value)]) -> Value {
    let pairs = pairs.iter();
    Value::Map(
        pairs
            .map(|(name, value)| ((*name).into(), value.clone()))
            .collect(),
    )
}

fn list(values: &[Value]) -> Value {
    Value::List(values.to_vec())
}

/// `all.FIELD = value` as it is fitted.
fn fitted(field: &str, value: Value) -> Result<Value, String> {
    let schema = schema(IDL);
    let given = map(&[("all", map(&[(field, value)])), ("must", 1.into())]);
    let params = schema.services[0].methods[0].params;
    let values = Fitting::new(&schema, 1000).params(params, given, None)?;
    Ok(values[0].get(field).cloned().expect("a field"))
}

#[track_caller]
fn fits(field: &str, value: impl Into<Value>, expected: impl Into<Value>) {
    assert_eq!(fitted(field, value.into()), Ok(expected.into()));
}

#[track_caller]
fn misfits(field: &str, value: impl Into<Value>, says: &str) {
    assert_eq!(fitted(field, value.into()), Err(says.to_owned()));
}

#[test]
fn plain_values_are_exact() {
    fits("bit", true, true);
    misfits("bit", 1, "all.bit: an integer can't fill bool");
    fits("tiny", -128, -128);
    misfits("tiny", 128, "all.tiny: 128 is out of range for i8");
    misfits("short", 40_000, "all.short: 40000 is out of range for i16");
    misfits(
        "int",
        1_i64 << 31,
        "all.int: 2147483648 is out of range for i32",
    );
    fits("long", i64::MAX, i64::MAX);
    fits("long", 3.0, 3);
    misfits("long", 3.5, "all.long: 3.5 is not a whole number");
    misfits("long", "3", "all.long: text can't fill i64");
    fits("real", f64::NEG_INFINITY, f64::NEG_INFINITY);
    fits("real", 1_i64 << 60, 1_152_921_504_606_846_976.0);
    let inexact = (1_i64 << 53) + 1;
    misfits(
        "real",
        inexact,
        "all.real: 9007199254740993 has more digits than a double holds",
    );
    fits("text", "é", "é");
    fits("text", Value::Bytes(Bytes::from_static(b"ok")), "ok");
    misfits(
        "text",
        Value::Bytes(Bytes::from_static(b"\xff")),
        "all.text: bytes that are not UTF-8 can't fill string",
    );
    fits("raw", "ok", Value::Bytes(Bytes::from_static(b"ok")));
    misfits("raw", 5, "all.raw: an integer can't fill binary");
}

#[test]
fn uuids_and_enums() {
    let uuid = Value::Uuid([0x1f; 16]);
    fits("id", "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f", uuid.clone());
    fits("id", Value::Bytes(Bytes::from_static(&[0x1f; 16])), uuid);
    misfits("id", "1f1f", "all.id: the text is not a uuid");
    fits("color", "BLUE", 5);
    fits("color", 5, 5);
    // As in calls of typed methods, where an enum is a number.
    fits("color", 9, 9);
    misfits(
        "color",
        1_i64 << 40,
        "all.color: 1099511627776 is out of range for test.Color",
    );
    misfits(
        "color",
        "BLEU",
        "all.color: test.Color has no value of that name; did you mean `BLUE`?",
    );
    misfits("color", 1.0, "all.color: a double can't fill test.Color");
}

#[test]
fn structs_have_all_required_fields_and_no_unknown_ones() {
    let point = fitted("point", map(&[("x", 1.into())])).expect("a point");
    assert_eq!(point.get("y"), Some(&7.into()), "its default");
    assert_eq!(point.get("note"), Some(&Value::Null));
    // Null is an unset field, which takes its default.
    let null = fitted("point", map(&[("x", 1.into()), ("y", Value::Null)]));
    assert_eq!(null.expect("a point"), point);
    misfits(
        "point",
        map(&[("x", Value::Null)]),
        "all.point.x: it is required",
    );
    misfits(
        "point",
        map(&[("x", 1.into()), ("z", 1.into())]),
        "all.point.z: there is no such field; did you mean `x`?",
    );
    misfits(
        "point",
        map(&[("x", 1.into()), ("x", 1.into())]),
        "all.point.x: it is given twice",
    );
    misfits(
        "point",
        list(&[]),
        "all.point: a list can't fill test.Point",
    );
    // Text that holds JSON is text.
    misfits(
        "point",
        r#"{"x": 1}"#,
        "all.point: text can't fill test.Point",
    );
    misfits(
        "points",
        list(&[map(&[("x", 1.into())]), map(&[("x", "1".into())])]),
        "all.points[1].x: text can't fill i32",
    );
    misfits(
        "points",
        list(&[Value::Null]),
        "all.points[0]: null can't fill test.Point",
    );
}

#[test]
fn a_union_has_one_field() {
    let choice = fitted(
        "choice",
        map(&[("word", "a".into()), ("number", Value::Null)]),
    );
    assert_eq!(choice.expect("one").get("word"), Some(&"a".into()));
    misfits(
        "choice",
        map(&[]),
        "all.choice: 0 fields of union test.Choice are set, instead of one",
    );
    misfits(
        "choice",
        map(&[("word", "a".into()), ("number", 1.into())]),
        "all.choice: 2 fields of union test.Choice are set, instead of one",
    );
}

#[test]
fn maps_are_given_by_name_or_as_pairs() {
    let pairs = |pairs: &[(Value, Value)]| Value::Map(pairs.to_vec());
    let entry = |key: Value, value: Value| map(&[("key", key), ("value", value)]);
    fits("by_name", map(&[("a", 1.into())]), map(&[("a", 1.into())]));
    fits(
        "by_name",
        list(&[entry("a".into(), 1.into())]),
        map(&[("a", 1.into())]),
    );
    let numbered = pairs(&[(7.into(), 1.into())]);
    fits(
        "by_number",
        list(&[entry(7.into(), "RED".into())]),
        numbered,
    );
    misfits(
        "by_number",
        map(&[("7", "RED".into())]),
        "all.by_number.7: a map's key: text can't fill i32",
    );
    let colored = pairs(&[(1.into(), "a".into())]);
    fits("by_color", map(&[("RED", "a".into())]), colored.clone());
    // The order of an entry's fields does not matter.
    let turned = map(&[("value", "a".into()), ("key", "RED".into())]);
    fits("by_color", list(&[turned]), colored);
    for no_entry in [
        map(&[("key", 1.into())]),
        map(&[("key", 1.into()), ("values", 1.into())]),
        5.into(),
    ] {
        misfits(
            "by_number",
            list(&[no_entry]),
            "all.by_number[0]: a pair has a `key` and a `value` and nothing else",
        );
    }
    misfits(
        "by_number",
        list(&[entry(7.into(), Value::Null)]),
        "all.by_number[0]: null can't fill test.Color",
    );
    misfits(
        "places",
        map(&[("home", map(&[]))]),
        "all.places.home.x: it is required",
    );
    fits("numbers", list(&[1.into()]), list(&[1.into()]));
}

#[test]
fn values_of_type_value_fit_unchanged() {
    let any = map(&[("a", list(&[Value::Null, 1.into()]))]);
    fits("anything", any.clone(), any);
}

#[test]
fn mistakes_in_parameters_are_reported_by_name() {
    let schema = schema(IDL);
    let params = schema.services[0].methods[0].params;
    let fit = |given| Fitting::new(&schema, 1000).params(params, given, None);
    assert_eq!(fit(map(&[])), Err("must: it is required".into()));
    assert_eq!(fit(Value::Null), Err("must: it is required".into()));
    let unknown = fit(map(&[("must", 1.into()), ("mist", 1.into())]));
    let says = "mist: there is no such field; did you mean `must`?";
    assert_eq!(unknown, Err(says.into()));
    assert_eq!(
        fit(map(&[("must", 1.into())])),
        Ok(vec![Value::Null, 1.into()])
    );
    // A parameter that was given separately counts, and can't be given again.
    let own = |given| {
        let own = Some((1, 5.into()));
        Fitting::new(&schema, 1000).params(params, given, own)
    };
    assert_eq!(own(map(&[])), Ok(vec![Value::Null, 5.into()]));
    let twice = own(map(&[("must", 1.into())]));
    assert_eq!(twice, Err("must: it is given twice".into()));
    let long = "x".repeat(1000);
    let unknown = fit(map(&[(&long, 1.into())])).expect_err("no parameter");
    assert!(unknown.len() < 200, "{unknown}");
}

/// A short message may stand for structs of many fields each.
#[test]
fn created_values_are_bounded_not_only_sent_ones() {
    let points = vec![map(&[("x", 1.into())]); 400];
    let says = "these are more values than the limit";
    let err = fitted("points", Value::List(points)).expect_err("too many");
    assert!(err.ends_with(says), "{err}");
}
