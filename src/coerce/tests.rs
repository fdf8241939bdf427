//! Tests of converting values.

use super::{Coercion, LeftOut, Leniency, fits_unchanged};
use crate::idl::{Schema, StructId, Type, load_from};
use crate::value::{Record, Value};

/// `levels` nested texts, each with structs nested as deep as JSON may be.
fn texts(levels: usize) -> String {
    let mut inner = "{}".to_owned();
    for level in 0..levels {
        let last = if level == 0 {
            inner
        } else {
            serde_json::to_string(&inner).expect("text")
        };
        inner = format!("{}{last}{}", "{\"next\":".repeat(120), "}".repeat(120));
    }
    inner
}

#[test]
fn deeply_nested_text_does_not_overflow_the_stack() {
    let idl = "struct Node { 1: optional Node next } service S { Node get() }";
    let schema = load_from("a.thrift", &|_| Some(idl.to_owned())).expect("an IDL");
    let node = Type::Struct(StructId(0));
    let fit = |levels| Coercion::new(&schema, false).value(Value::from(texts(levels)), &node);
    assert!(fit(1).is_ok() && fit(2).is_ok());
    for levels in [3, 12] {
        let why = fit(levels).expect_err("too deep");
        assert!(why.ends_with("text within text within text can't fill a.Node"));
    }
}

#[test]
fn what_fits_unchanged_is_not_changed() {
    let schema = Schema::default();
    let numbers = [0, 127, -129, 32_768, -32_768, 1 << 31, i64::from(i32::MIN)];
    let others = [Value::from(true), Value::from("7"), Value::Double(7.0)];
    let values = numbers.map(Value::I64).into_iter().chain(others);
    for value in values.chain([Value::Null, Value::Bytes("7".into())]) {
        for (ty, bits) in [
            (Type::I8, 8),
            (Type::I16, 16),
            (Type::I32, 32),
            (Type::I64, 64),
            (Type::Double, 0),
            (Type::Bool, 0),
            (Type::String, 0),
            (Type::Binary, 0),
        ] {
            let fits = fits_unchanged(&value, &ty);
            let converted = Coercion::new(&schema, false).value(value.clone(), &ty);
            assert!(!fits || converted == Ok(value.clone()), "{value:?}: {ty:?}");
            if let (Value::I64(_), 1..) = (&value, bits) {
                assert_eq!(fits, converted.is_ok(), "{value:?}: {ty:?}");
            }
        }
    }
}

#[test]
fn a_row_with_the_columns_of_a_struct_fills_it_in_any_order() {
    let idl = "struct Plane { 1: required i32 id, 2: optional string name }
               service S { Plane get() }";
    let schema = load_from("a.thrift", &|_| Some(idl.to_owned())).expect("an IDL");
    let plane = Type::Struct(StructId(0));
    let fit = |names: [&str; 2], values: [Value; 2]| {
        let record = Record {
            names: crate::value::FieldNames::new(names),
            values: values.into(),
        };
        Coercion::new(&schema, false).value(Value::Record(record), &plane)
    };
    let own = fit(["id", "name"], [Value::I64(7), "A".into()]).expect("a plane");
    let other = fit(["name", "id"], ["A".into(), Value::I64(7)]).expect("a plane");
    assert_eq!(own, other);
    let Value::Record(record) = &own else {
        panic!("{own:?}");
    };
    assert!(record.names.same(&schema.get(StructId(0)).names));
    assert!(fit(["id", "name"], [Value::I64(1 << 31), "A".into()]).is_err());
    assert!(fit(["id", "name"], [Value::Null, "A".into()]).is_err());
}

#[test]
fn an_integer_of_json_beyond_an_i64_fills_no_integer_and_loses_no_digit() {
    let schema = Schema::default();
    let fit = |text: &str, ty: &Type, parse_text| {
        let value = Value::from_json(text.as_bytes()).expect("JSON");
        Coercion::new(&schema, parse_text).value(value, ty)
    };
    for text in ["-9223372036854775809", "18446744073709551615"] {
        for parse_text in [false, true] {
            assert!(fit(text, &Type::I64, parse_text).is_err());
            assert_eq!(fit(text, &Type::String, parse_text), Ok(text.into()));
        }
        assert_eq!(
            fit(text, &Type::I64, false),
            Err(format!("{text} is out of range for i64"))
        );
        assert_eq!(
            fit(text, &Type::Double, false),
            Err(format!("{text} has more digits than a double holds"))
        );
    }
    let double = fit("100000000000000000000", &Type::Double, false);
    assert_eq!(double, Ok(1e20.into()), "as JavaScript writes it");
}

proptest::proptest! {
    /// Parameters and columns: value, text, value.
    #[test]
    fn numbers_are_parsed_as_they_were_printed(number: i64, bits: u64) {
        let schema = Schema::default();
        let parse = |text: String, ty| Coercion::new(&schema, true).value(text.into(), &ty);
        proptest::prop_assert_eq!(parse(number.to_string(), Type::I64), Ok(number.into()));
        let double = f64::from_bits(bits);
        if double.is_finite() {
            proptest::prop_assert_eq!(parse(double.to_string(), Type::Double), Ok(double.into()));
        }
    }
}

const NEWER: &str = "
enum Color { RED = 1 }
struct Shade { 1: required Color color, 2: string name }
union Either { 1: i64 number, 2: Color color }
struct All {
  1: Color color, 2: optional list<Color> colors, 3: optional Either either, 4: optional list<Either> many
  5: optional Shade shade, 6: string fine, 7: optional map<string, Either> named, 8: optional Color other = Color.RED
}
struct Strict { 1: required Color color, 2: required Either either }
service S { All get() }";

/// What becomes of JSON as the struct of that name, and the note of what was left out.
fn leniently(name: &str, json: &str) -> (Result<String, String>, Option<String>) {
    let schema = load_from("a.thrift", &|_| Some(NEWER.to_owned())).expect("an IDL");
    let ty = Type::Struct(schema.id_of(&format!("a.{name}")));
    let value = Value::from_json(json.as_bytes()).expect("JSON");
    let left_out = LeftOut::default();
    let coercion = Coercion::new(&schema, false).lenient(Leniency::LeavesOut(&left_out), true);
    let fitted = coercion.value(value.clone(), &ty);
    let strict = Coercion::new(&schema, false).value(value, &ty);
    assert!(strict.is_err(), "{json} is refused where people wrote it");
    let fitted = fitted.map(|value| super::to_json(&schema, &ty, &value).to_string());
    (fitted, left_out.into_first())
}

#[test]
fn numbers_of_a_newer_enum_are_kept() {
    let json = r#"{"color":7,"colors":[1,7],"either":{"color":7},"fine":"f","other":-7}"#;
    let expected = r#"{"color":7,"colors":["RED",7],"either":{"color":7},"fine":"f","other":-7}"#;
    assert_eq!(leniently("All", json), (Ok(expected.into()), None));
}

#[test]
fn what_a_newer_idl_has_added_leaves_its_field_unset() {
    let rest = r#"{"fine":"f","other":"RED"}"#;
    for (json, why) in [
        (
            r#""color":"NEW""#,
            "field `color` of a.All: a.Color has no value called `NEW`",
        ),
        (
            r#""colors":["RED","NEW"]"#,
            "field `colors` of a.All: element 1: a.Color has no value called `NEW`",
        ),
        (
            r#""color":3000000000"#,
            "field `color` of a.All: a.Color has no value 3000000000",
        ),
        (
            r#""other":"NEW""#,
            "field `other` of a.All: a.Color has no value called `NEW`",
        ),
        (
            r#""either":{"new":1}"#,
            "field `either` of a.All: a.Either has no such field",
        ),
        (
            r#""either":{"color":"NEW"}"#,
            "field `either` of a.All: field `color` of a.Either: a.Color has no value called `NEW`",
        ),
        (
            r#""many":[{"number":1},{"new":1}]"#,
            "field `many` of a.All: element 1: a.Either has no such field",
        ),
        (
            r#""named":{"a":{"new":1}}"#,
            "field `named` of a.All: a map's value: a.Either has no such field",
        ),
        (
            r#""shade":{"color":7,"name":"n"}"#,
            "field `shade` of a.All: field `color` of a.Shade: a.Color has no value 7",
        ),
    ] {
        let json = format!("{{{json},\"fine\":\"f\"}}");
        assert_eq!(leniently("All", &json), (Ok(rest.into()), Some(why.into())));
    }
}

#[test]
fn required_fields_and_malformed_values_fail() {
    for (name, json, why) in [
        (
            "Strict",
            r#"{"color":7,"either":{"number":1}}"#,
            "field `color` of a.Strict: a.Color has no value 7",
        ),
        (
            "Strict",
            r#"{"color":1,"either":{"new":1}}"#,
            "field `either` of a.Strict: a.Either has no such field",
        ),
        (
            "All",
            r#"{"either":{}}"#,
            "field `either` of a.All: a.Either is a union: exactly one field has to be set",
        ),
        (
            "All",
            r#"{"either":{"number":"x"}}"#,
            "field `either` of a.All: field `number` of a.Either: text can't fill i64 \
             (set `parse_text = true` on the lookup if the text holds one)",
        ),
    ] {
        assert_eq!(leniently(name, json), (Err(why.into()), None));
    }
}

#[test]
fn a_record_of_a_newer_union_is_as_unknown_as_json() {
    let schema = load_from("a.thrift", &|_| Some(NEWER.to_owned())).expect("an IDL");
    let record = |name: &str, value| {
        Value::Record(Record {
            names: crate::value::FieldNames::new([name]),
            values: vec![value],
        })
    };
    let ty = Type::Struct(schema.id_of("a.All"));
    let left_out = LeftOut::default();
    let coercion = Coercion::new(&schema, false).lenient(Leniency::LeavesOut(&left_out), true);
    let fitted = coercion.value(record("either", record("new", 1.into())), &ty);
    assert_eq!(fitted.unwrap().get("either"), Some(&Value::Null));
    assert!(left_out.into_first().is_some());
}
