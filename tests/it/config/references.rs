//! Mistakes in the inputs of a view's lookups: bound parameters and references.

use super::after;

#[test]
fn a_parameter_bound_to_nothing() {
    insta::assert_snapshot!(after(
        r#"origin = { use = "airport", with = { code = "flight.origin" } }"#,
        r#"origin = "airport""#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.origin`: parameter `code` of lookup `airport` is not bound
      --> tributary.toml:48:10
       |
    48 | origin = "airport"
       |          ^^^^^^^^^
       |
       = help: add `with = { code = "..." }`; the method's parameters are `carrier`, `number`, `detail`, `codes`
       = manual: tributary manual views
    "#);
}

#[test]
fn a_parameter_that_the_lookup_does_not_have() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        r#"with = { code = "flight.origin", cod = "carrier" }"#,
    ), @r#"
    error[config.unknown_name]: `views.getDeparture.lookups.origin.with.cod`: lookup `airport` has no parameter `cod`
      --> tributary.toml:48:62
       |
    48 | origin = { use = "airport", with = { code = "flight.origin", cod = "carrier" } }
       |                                                              ^^^
       |
       = help: did you mean `code`?
       = manual: tributary manual views
    "#);
}

#[test]
fn a_reference_to_nothing() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        r#"with = { code = "fligth.origin" }"#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.origin.with.code`: `fligth` is neither a parameter nor a lookup of this view
      --> tributary.toml:48:45
       |
    48 | origin = { use = "airport", with = { code = "fligth.origin" } }
       |                                             ^^^^^^^^^^^^^^^
       |
       = help: did you mean `flight`?
       = manual: tributary manual views
    "#);
}

#[test]
fn a_reference_into_a_plain_value() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        r#"with = { code = "carrier.code" }"#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.origin.with.code`: `code` can't be taken of a value of type string
      --> tributary.toml:48:45
       |
    48 | origin = { use = "airport", with = { code = "carrier.code" } }
       |                                             ^^^^^^^^^^^^^^
       |
       = manual: tributary manual views
    "#);
}

#[test]
fn a_reference_to_an_unknown_part_of_the_context() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        r#"with = { code = "context.user" }"#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.origin.with.code`: the context has no `user`
      --> tributary.toml:48:45
       |
    48 | origin = { use = "airport", with = { code = "context.user" } }
       |                                             ^^^^^^^^^^^^^^
       |
       = help: available: `request_id`, `traceparent`, `baggage`
       = manual: tributary manual views
    "#);
}

#[test]
fn item_without_a_foreach() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        r#"with = { code = "item" }"#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.origin.with.code`: `item` is the element of a `foreach`, and is known only in its `with`
      --> tributary.toml:48:45
       |
    48 | origin = { use = "airport", with = { code = "item" } }
       |                                             ^^^^^^
       |
       = manual: tributary manual views
    "#);
}

#[test]
fn a_reference_that_is_a_number() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        "with = { code = 5 }",
    ), @r#"
    error[config.bad_value]: `views.getDeparture.lookups.origin.with.code`: expected a reference such as `"flight.tailnum"`, or a literal such as `{ value = 5 }`, found an integer
      --> tributary.toml:48:45
       |
    48 | origin = { use = "airport", with = { code = 5 } }
       |                                             ^
       |
       = manual: tributary manual views
    "#);
}

#[test]
fn a_literal_without_its_value() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        "with = { code = { val = 5 } }",
    ), @r#"
    error[config.unknown_key]: `views.getDeparture.lookups.origin.with.code.val`: unknown key
      --> tributary.toml:48:47
       |
    48 | origin = { use = "airport", with = { code = { val = 5 } } }
       |                                               ^^^
       |
       = help: did you mean `value`?
       = manual: tributary manual views
    "#);
}

#[test]
fn a_reference_into_many_rows() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", with = { carrier = "board.origin" } }"#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.airline.with.carrier`: `board` is a list, which has no field `origin`
      --> tributary.toml:47:49
       |
    47 | airline = { use = "airline", with = { carrier = "board.origin" } }
       |                                                 ^^^^^^^^^^^^^^
       |
       = help: use `rows = "one"` in lookup `board`, or `foreach = "board"` with `item.origin`
       = manual: tributary manual views
    "#);
}

#[test]
fn a_foreach_into_many_rows() {
    insta::assert_snapshot!(after(
        r#"foreach = "codes""#,
        r#"foreach = "board.origin""#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.stops.foreach`: `board` is a list, which has no field `origin`
      --> tributary.toml:51:38
       |
    51 | stops = { use = "airport", foreach = "board.origin", with = { code = "item" } }
       |                                      ^^^^^^^^^^^^^^
       |
       = help: use `rows = "one"` in lookup `board`, or `foreach = "board"` with `item.origin`
       = manual: tributary manual views
    "#);
}

#[test]
fn a_reference_into_the_answers_of_a_foreach() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", when = "stops.name" }"#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.airline.when`: `stops` is a list, which has no field `name`
      --> tributary.toml:47:37
       |
    47 | airline = { use = "airline", when = "stops.name" }
       |                                     ^^^^^^^^^^^^
       |
       = help: use `foreach = "stops"` with `item.name`
       = manual: tributary manual views
    "#);
}

#[test]
fn a_reference_into_many_rows_whose_default_has_the_field() {
    assert_eq!(
        after(
            r#"board = { use = "board", with = { origin = "flight.origin" } }"#,
            r#"all = { use = "board", with = { origin = "flight.origin" }, default = { origin = "" }, emit = false }
board = { use = "board", with = { origin = "all.origin" } }"#,
        ),
        ""
    );
}

#[test]
fn a_field_of_an_element_that_has_none() {
    insta::assert_snapshot!(after(
        r#"with = { code = "item" }"#,
        r#"with = { code = "item.code" }"#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.stops.with.code`: `code` can't be taken of a value of type string
      --> tributary.toml:51:63
       |
    51 | stops = { use = "airport", foreach = "codes", with = { code = "item.code" } }
       |                                                               ^^^^^^^^^^^
       |
       = manual: tributary manual views
    "#);
}
