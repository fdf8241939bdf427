//! Tests of reading JSON.

use proptest::prelude::*;

use super::Pointer;
use crate::value::BadPointer;
use crate::value::Value;

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).expect("valid JSON")
}

#[test]
fn reads_every_kind_of_value() {
    assert_eq!(json("null"), Value::Null);
    assert_eq!(json("true"), Value::Bool(true));
    assert_eq!(json("-9223372036854775808"), Value::I64(i64::MIN));
    assert_eq!(json("9223372036854775807"), Value::I64(i64::MAX));
    assert_eq!(json("1.5e2"), Value::Double(150.0));
    assert_eq!(json(r#""\u00e9\n""#), Value::from("é\n"));
    assert_eq!(json(r#"[1, "a", []]"#).kind(), "a list");
    let map = json(r#"{"b": 1, "a": {"c": null}}"#);
    let Value::Map(pairs) = &map else {
        panic!("{map:?}")
    };
    assert_eq!(pairs[0].0, Value::from("b"), "order is kept");
    assert_eq!(map.get("a").and_then(|a| a.get("c")), Some(&Value::Null));
}

#[test]
fn invalid_json_is_an_error() {
    for bad in [
        &b""[..],
        b"{",
        b"[1,]",
        b"nul",
        b"1 2",
        b"\"\xff\"",
        b"{1: 2}",
    ] {
        assert!(Value::from_json(bad).is_err(), "{bad:?}");
        assert!(Pointer::parse("/a").unwrap().pick(bad).is_err(), "{bad:?}");
    }
    let deep = "[".repeat(100_000);
    assert!(Value::from_json(deep.as_bytes()).is_err());
}

#[test]
fn pointers_select_one_part() {
    let text = br#"{"a": [10, {"b/c": {"~": 7}}], "": 1, "c": 2, "01": 3}"#;
    let pick = |pointer: &str| Pointer::parse(pointer).unwrap().pick(text).unwrap();
    assert_eq!(pick("/a/0"), Value::I64(10));
    assert_eq!(pick("/a/1/b~1c/~0"), Value::I64(7));
    assert_eq!(pick("/"), Value::I64(1));
    assert_eq!(pick("/01"), Value::I64(3));
    for nothing in ["/a/2", "/a/-", "/a/00", "/a/+1", "/a/0/x", "/z", "/a/1/b"] {
        assert_eq!(pick(nothing), Value::Null, "{nothing}");
    }
    assert_eq!(pick(""), Value::from_json(text).unwrap());
}

#[test]
fn a_pointer_into_text_that_is_not_utf_8_is_an_error() {
    let bytes = b"{\"a\": 1, \"b\": \"\xb7\"}";
    assert!(Pointer::parse("/a").unwrap().pick(bytes).is_err());
}

#[test]
fn invalid_pointers_say_why() {
    assert_eq!(Pointer::parse("a"), Err(BadPointer::Start));
    assert_eq!(Pointer::parse("/a~2"), Err(BadPointer::Escape));
    assert_eq!(Pointer::parse("/~"), Err(BadPointer::Escape));
}

proptest! {
    #[test]
    fn any_bytes_are_accepted_as_serde_json_accepts_them(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Value::from_json(&bytes).is_ok(), serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
    }

    #[test]
    fn a_written_value_is_read_back_the_same(value in value()) {
        let text = value.to_json().to_string();
        prop_assert_eq!(Value::from_json(text.as_bytes()).unwrap(), value);
    }

    #[test]
    fn every_finite_double_is_read_exactly(number in finite()) {
        for text in [format!("{number:?}"), format!("{number:e}"), format!("{number:.17e}")] {
            prop_assert_eq!(json(&text), Value::Double(number), "{}", text);
        }
    }

    #[test]
    fn every_integer_keeps_its_digits(number in any::<i128>(), less in 0_u32..128) {
        let number = number >> less;
        let text = number.to_string();
        let expected = i64::try_from(number).map_or_else(|_| Value::from(text.as_str()), Value::I64);
        let wrapped = format!("{{\"a\\\\\": [\"{text}\", {text}]}}");
        prop_assert_eq!(&json(&text), &expected);
        prop_assert_eq!(&json(&wrapped).get("a\\").cloned(), &Some(vec![Value::from(text), expected.clone()].into()));
        prop_assert_eq!(Pointer::parse("/a\\/1").unwrap().pick(wrapped.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn the_last_of_equal_names_counts(names in proptest::collection::vec(0_u8..40, 0..60)) {
        let pair = |(at, name): (usize, &u8)| format!("\"n{name}\":{at}");
        let pairs: Vec<String> = names.iter().enumerate().map(pair).collect();
        let text = format!("{{{}}}", pairs.join(","));
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(json(&text).to_json(), expected.clone());
        let Value::Map(read) = json(&text) else { panic!("a map") };
        prop_assert_eq!(read.len(), expected.as_object().unwrap().len());
        for name in &names {
            let picked = Pointer::parse(&format!("/n{name}")).unwrap().pick(text.as_bytes()).unwrap();
            prop_assert_eq!(picked.to_json(), expected[format!("n{name}")].clone());
        }
    }
}

fn finite() -> impl Strategy<Value = f64> {
    any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter("finite", |number| number.is_finite())
}

/// Values that JSON carries as they are.
fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        finite().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    plain.prop_recursive(3, 20, 4, |inner| {
        let named = proptest::collection::btree_map(any::<String>(), inner.clone(), 0..4);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            named.prop_map(|pairs| {
                Value::Map(
                    pairs
                        .into_iter()
                        .map(|(name, value)| (name.into(), value))
                        .collect(),
                )
            }),
        ]
    })
}

#[test]
fn integers_beyond_an_i64_become_text_and_never_another_integer() {
    for text in [
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
    ] {
        assert_eq!(json(text), Value::from(text));
    }
    assert_eq!(
        json("[1e19, 1E19, 10000000000000000000.0]").kind(),
        "a list"
    );
    assert_eq!(json("1e19"), Value::Double(1e19));
    assert_eq!(json("-0"), Value::Double(-0.0));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let text = b"\xef\xbb\xbf{\"a\": 1}";
    assert_eq!(Value::from_json(text).unwrap(), json("{\"a\": 1}"));
    assert_eq!(
        Pointer::parse("/a").unwrap().pick(text).unwrap(),
        Value::I64(1)
    );
}

#[test]
fn of_two_equal_names_the_last_counts() {
    let text = r#"{"a": {"b": 1}, "c": 5, "a": {"d": 2}}"#;
    assert_eq!(json(text), json(r#"{"a": {"d": 2}, "c": 5}"#));
    let pick = |pointer: &str| {
        Pointer::parse(pointer)
            .unwrap()
            .pick(text.as_bytes())
            .unwrap()
    };
    assert_eq!(pick("/a/d"), Value::I64(2));
    assert_eq!(pick("/a/b"), Value::Null);
}
