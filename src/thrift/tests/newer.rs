//! Messages written with a newer IDL, read with an older one: in every protocol, whole and in slices.

use super::super::{Limits, Protocol, decode_result, decode_struct};
use super::roundtrip::in_slices;
use super::{call, receive, wire_formats};
use crate::coerce::Coercion;
use crate::idl::{Schema, StructId, Type, load_from};
use crate::thrift::read_head;
use crate::value::Value;

const NEW: &str = "
enum Color { RED = 1, BLUE = 7 }
union Either { 1: i64 number, 2: string text, 3: bool new, 4: Inner inner }
union Inner { 1: i64 number, 2: double new }
struct Needs { 1: required Either either, 2: optional string name }
struct All {
  1: optional Either either, 2: Either plain, 3: optional list<Either> many, 4: optional map<i32, Needs> needs
  5: optional Color color, 6: optional Needs need, 7: optional string last, 8: optional list<Needs> all
}
struct Strict { 1: required Either either }
struct Args { 1: Either either, 2: optional All all }
service S { All get(1: All all) }";

fn schemas() -> (Schema, Schema) {
    let old = NEW
        .replace(", BLUE = 7", "")
        .replace(", 3: bool new", "")
        .replace(", 2: double new", "");
    let load = |text: String| load_from("a.thrift", &|_| Some(text.clone())).expect("an IDL");
    (load(NEW.to_owned()), load(old))
}

fn named(schema: &Schema, name: &str) -> StructId {
    schema.id_of(&format!("a.{name}"))
}

/// The JSON of a struct of the newer IDL, written and read with the older one.
#[track_caller]
fn read(name: &str, json: &str) -> Result<String, String> {
    let (new, old) = schemas();
    let value = Value::from_json(json.as_bytes()).expect("JSON");
    let ty = Type::Struct(named(&new, name));
    let value = Coercion::new(&new, false)
        .value(value, &ty)
        .expect("of the newer IDL");
    let id = named(&old, name);
    let mut read = wire_formats().into_iter().map(|wire_format| {
        let bytes = call(&new, named(&new, name), &value, wire_format);
        let whole = receive(&old, id, wire_format, &bytes).map(|(_, value)| value);
        let message = super::first(&bytes)
            .expect("a message")
            .expect("a whole one");
        let (_, body) = read_head(wire_format.protocol, &message).expect("a head");
        let sliced = in_slices(&old, id, wire_format.protocol, &body).map(|(value, _)| value);
        assert_eq!(whole, sliced, "{wire_format:?}");
        let json = |value| crate::coerce::to_json(&old, &Type::Struct(id), &value).to_string();
        whole.map(json).map_err(|err| err.detail)
    });
    let first = read.next().expect("a wire format");
    for other in read {
        assert_eq!(first, other);
    }
    first
}

#[test]
fn a_union_of_a_newer_idl_leaves_the_optional_field_around_it_unset() {
    for unknown in [
        r#""either":{"new":true}"#,
        r#""plain":{"new":true}"#,
        r#""either":{"inner":{"new":0.5}}"#,
        r#""many":[{"number":1},{"new":true},{"number":2}]"#,
        r#""needs":{"1":{"either":{"number":1}},"2":{"either":{"new":true},"name":"n"}}"#,
        r#""need":{"either":{"new":true},"name":"n"}"#,
        r#""all":[{"either":{"new":true}},{"either":{"number":1},"name":"n"}]"#,
    ] {
        let json = format!("{{{unknown},\"last\":\"l\"}}");
        let args = format!("{{\"either\":{{\"number\":1}},\"all\":{json}}}");
        let expected = r#"{"either":{"number":1},"all":{"last":"l"}}"#;
        assert_eq!(read("Args", &args), Ok(expected.into()), "{unknown}");
    }
}

#[test]
fn what_is_known_beside_it_stays() {
    let json = r#"{"all":{"either":{"text":"t"},"many":[{"number":1}],"need":{"either":{"new":true}},"last":"l"}}"#;
    let expected = r#"{"all":{"either":{"text":"t"},"many":[{"number":1}],"last":"l"}}"#;
    assert_eq!(read("Args", json), Ok(expected.into()));
}

#[test]
fn a_number_of_a_newer_enum_is_kept() {
    let json = r#"{"all":{"color":"BLUE"}}"#;
    assert_eq!(read("Args", json), Ok(r#"{"all":{"color":7}}"#.into()));
}

#[test]
fn a_required_field_and_a_parameter_that_is_not_optional_fail() {
    let why = "field `either`: the field of union `a.Either` that is set is not in the IDL";
    for name in ["Strict", "Args"] {
        assert_eq!(read(name, r#"{"either":{"new":true}}"#), Err(why.into()));
    }
}

#[test]
fn a_result_that_is_unknown_itself_fails() {
    let (new, old) = schemas();
    let either = |schema| Type::Struct(named(schema, "Either"));
    let value = Value::from_json(br#"{"new":true}"#).expect("JSON");
    let value = Coercion::new(&new, false)
        .value(value, &either(&new))
        .expect("new");
    for wire_format in wire_formats() {
        let protocol: Protocol = wire_format.protocol;
        // A struct whose field 1 it is: as a result has field 0.
        let needs = crate::value::Record {
            names: new.get(named(&new, "Strict")).names.clone(),
            values: vec![value.clone()],
        };
        let bytes = call(
            &new,
            named(&new, "Strict"),
            &Value::Record(needs),
            wire_format,
        );
        let message = super::first(&bytes)
            .expect("a message")
            .expect("a whole one");
        let (_, body) = read_head(protocol, &message).expect("a head");
        let limits = Limits::default();
        let found = decode_result(&old, &[(1, &either(&old))], protocol, &body, &limits);
        assert!(found.is_err());
        assert!(decode_struct(&old, named(&old, "Strict"), protocol, &body, &limits).is_err());
    }
}
