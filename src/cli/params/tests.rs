//! Arguments and JSON as parameters.

use super::super::error::{CommandError, Reason};
use super::ParamTree;
use crate::cli::testing::schema;
use crate::coerce::to_json;
use crate::idl::Type;

const IDL: &str = r#"
include "tributary.thrift"

enum Kind { PASSENGER = 1, CARGO = 2 }

struct Trip {
  1: required string origin
  2: optional list<string> stops
  3: optional Kind kind
}

service Flights {
  void find(
    1: string carrier
    2: i32 flight
    3: i8 hour
    4: bool details
    5: double distance
    6: Kind kind
    7: Trip trip
    8: set<i64> days
    9: map<string, i32> seats
    10: binary token
    11: tributary.Context context
  )
}
"#;

/// The parameters of `words` (or of JSON, if the only word begins with a brace) as JSON, or what is wrong with them.
fn made(words: &[&str]) -> String {
    let schema = schema(IDL);
    let method = schema.services[0].method("find").expect("in the IDL");
    let mut params = ParamTree::new(&schema, method);
    let taken = words
        .iter()
        .try_for_each(|word| match word.strip_prefix("json:") {
            Some(text) => params.json(text),
            None => params.word(word),
        });
    match taken.and_then(|()| params.finish()) {
        Ok(value) => to_json(&schema, &Type::Struct(method.params), &value).to_string(),
        Err(CommandError {
            reason: Reason::One { message, help },
            ..
        }) => match help {
            Some(help) => format!("{message}; {help}"),
            None => message,
        },
        Err(other) => format!("{other:?}"),
    }
}

#[track_caller]
fn check(words: &[&str], expected: &str) {
    assert_eq!(made(words), expected);
}

#[test]
fn text_is_parsed_by_the_parameters_type() {
    check(
        &["carrier=UA", "flight=-5"],
        r#"{"carrier":"UA","flight":-5}"#,
    );
    check(
        &["carrier=5", "details=true"],
        r#"{"carrier":"5","details":true}"#,
    );
    check(
        &["distance=2.5", "kind=CARGO"],
        r#"{"distance":2.5,"kind":"CARGO"}"#,
    );
    check(
        &["kind=1", "distance=3"],
        r#"{"distance":3.0,"kind":"PASSENGER"}"#,
    );
    check(
        &["carrier=a=b", "token=xyz"],
        r#"{"carrier":"a=b","token":"xyz"}"#,
    );
    check(&["carrier="], r#"{"carrier":""}"#);
    check(&[], "{}");
}

#[test]
fn structs_lists_and_maps_are_json() {
    check(
        &[r#"trip={"origin": "JFK", "kind": "CARGO"}"#, "days=[1, 2]"],
        r#"{"trip":{"origin":"JFK","kind":"CARGO"},"days":[1,2]}"#,
    );
    check(&[r#"seats={"first": 4}"#], r#"{"seats":{"first":4}}"#);
    check(
        &["days=monday"],
        "`days`: not JSON: expected value at line 1 column 1; set<i64> is given as JSON: `'[...]'`",
    );
}

#[test]
fn dotted_names_set_single_fields() {
    check(
        &["context.mode=SERIAL", "context.baggage.tenant=acme"],
        r#"{"context":{"mode":"SERIAL","baggage":{"tenant":"acme"}}}"#,
    );
    check(
        &[r#"trip={"origin": "JFK"}"#, "trip.kind=CARGO"],
        r#"{"trip":{"origin":"JFK","kind":"CARGO"}}"#,
    );
    check(&["seats.first=4"], r#"{"seats":{"first":4}}"#);
    check(
        &["carrier.name=UA"],
        "`carrier` is of type string and has no `name`",
    );
}

#[test]
fn what_does_not_fit_says_so() {
    check(&["flight=many"], "`flight`: `many` is not an i32");
    check(&["hour=300"], "`hour`: `300` is not an i8");
    check(
        &["details=yes"],
        "`details`: `yes` is not a bool: `true` or `false`",
    );
    check(
        &["kind=cargo"],
        "`kind`: test.Kind has no value called `cargo`; did you mean `CARGO`?",
    );
    check(
        &["carrier"],
        "`carrier` is not `name=value`; parameters are given as `carrier=UA`, or all together with `--json`",
    );
    check(&["flight=1", "flight=2"], "`flight` is given twice");
    check(
        &["trip.kind=CARGO"],
        "the parameters do not fit: field `trip` of test.Flights.find params: field `origin` of test.Trip is \
         required and has no value",
    );
}

#[test]
fn unknown_names_suggest_the_nearest() {
    check(
        &["carier=UA"],
        "the method has no parameter `carier`; did you mean `carrier`?",
    );
    check(
        &["context.mod=SERIAL"],
        "`context` (tributary.Context) has no field `mod`; did you mean `mode`?",
    );
    check(
        &[r#"trip={"origin": "JFK", "stop": []}"#],
        "`trip` (test.Trip) has no field `stop`; did you mean `stops`?",
    );
}

#[test]
fn one_json_object_gives_all() {
    check(
        &[r#"json:{"carrier": "UA", "trip": {"origin": "JFK"}, "flight": 7}"#],
        r#"{"carrier":"UA","flight":7,"trip":{"origin":"JFK"}}"#,
    );
    check(
        &[r#"json:{"trip": {"orgin": "JFK"}}"#],
        "`trip` (test.Trip) has no field `orgin`; did you mean `origin`?",
    );
    check(
        &["json:[]"],
        "`--json`: expected an object, found a list; one object of all parameters: `--json '{\"code\": \"JFK\"}'`",
    );
    check(
        &[r#"json:{"flight": "7"}"#],
        "the parameters do not fit: field `flight` of test.Flights.find params: text can't fill i32 (write it \
         without quotes, if the text holds one)",
    );
}

#[test]
fn options_take_precedence_over_typed_parameters() {
    let schema = schema(IDL);
    let method = schema.services[0].method("find").expect("in the IDL");
    let mut params = ParamTree::new(&schema, method);
    params.word("context.want_report=false").expect("fits");
    params
        .set("context.want_report", true.into())
        .expect("there is room");
    let value = params.finish().expect("fits");
    let context = value.get("context").expect("was set");
    assert_eq!(context.get("want_report"), Some(&true.into()));
}

proptest::proptest! {
    /// Words and JSON: value, text, value.
    #[test]
    fn numbers_become_what_was_typed(number: i64, bits: u64) {
        let double = Some(f64::from_bits(bits)).filter(|double| double.is_finite()).unwrap_or(0.1);
        let json = format!("json:{{\"distance\": {double:?}, \"days\": [{number}]}}");
        let words = [format!("distance={double}"), format!("days=[{number}]")];
        let expected = serde_json::json!({"distance": double, "days": [number]});
        for made in [made(&[&json]), made(&[&words[0], &words[1]])] {
            let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
            proptest::prop_assert_eq!(&made, &expected);
        }
    }
}

#[test]
fn integers_beyond_every_type_are_refused() {
    let large = "json:{\"days\": [-9223372036854775809]}";
    let why = "the parameters do not fit: field `days` of test.Flights.find params: element 0: -9223372036854775809 is out of range for i64";
    assert_eq!(made(&[large]), why);
    assert_eq!(
        made(&["distance=1e400"]),
        "`distance`: `1e400` is not a double"
    );
}
