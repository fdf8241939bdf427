//! Mistakes in `[views.*]`: names and references that lead nowhere, values of the wrong kind.

use super::after;

#[test]
fn a_method_that_does_not_exist() {
    insta::assert_snapshot!(after(
        "[views.getAirport.lookups]",
        "[views.getAirprt.lookups]",
    ), @r"
    error[config.unknown_name]: `views.getAirprt`: service `Flights` has no method `getAirprt`
      --> tributary.toml:53:8
       |
    53 | [views.getAirprt.lookups]
       |        ^^^^^^^^^
       |
       = help: did you mean `getAirport`?
    ");
}

#[test]
fn a_method_without_a_view() {
    insta::assert_snapshot!(after(
        r#"[views.getAirport.lookups]
airport = { use = "airport", into = ".", required = true }
"#,
        "",
    ), @r#"
    error[config.missing_key]: `server`: method `getAirport` of service `Flights` has no view
     --> tributary.toml:1:1
      |
    1 | [server]
      | ^^^^^^^^
      |
      = help: add `[views.getAirport.lookups]`, or `unserved = ["getAirport"]` to `[server]`
    "#);
}

#[test]
fn a_view_without_lookups() {
    insta::assert_snapshot!(after(
        r#"[views.getAirport.lookups]
airport = { use = "airport", into = ".", required = true }"#,
        r#"[views.getAirport]
deadline = "1s""#,
    ), @r#"
    error[config.missing_key]: `views.getAirport`: `lookups` is missing
      --> tributary.toml:53:1
       |
    53 | [views.getAirport]
       | ^^^^^^^^^^^^^^^^^^
       |
       = help: add `[views.getAirport.lookups]`

    error[config.missing_key]: `views.getAirport`: no lookup fills the required field `name` of the reply
      --> tributary.toml:53:1
       |
    53 | [views.getAirport]
       | ^^^^^^^^^^^^^^^^^^
       |
       = help: add `name = { use = "..." }` to its lookups
    "#);
}

#[test]
fn a_lookup_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = "airlines""#,
    ), @r#"
    error[config.unknown_name]: `views.getDeparture.lookups.airline`: there is no lookup `airlines`
      --> tributary.toml:47:11
       |
    47 | airline = "airlines"
       |           ^^^^^^^^^^
       |
       = help: did you mean `airline`?
    "#);
}

#[test]
fn a_field_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"carrier = "airline""#,
    ), @r#"
    error[config.unknown_name]: `views.getDeparture.lookups.carrier`: `flights.Departure` has no field `carrier`
      --> tributary.toml:47:11
       |
    47 | carrier = "airline"
       |           ^^^^^^^^^
       |
       = help: name a field with `into` (`flight`, `airline`, `origin`, `weather`, `board`, `stops`, `count`), or set `emit = false`
    "#);
}

#[test]
fn a_field_inside_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", into = "flight.carrier" }"#,
    ), @r#"
    error[config.unknown_name]: `views.getDeparture.lookups.airline.into`: `flights.Flight` has no field `carrier`
      --> tributary.toml:47:37
       |
    47 | airline = { use = "airline", into = "flight.carrier" }
       |                                     ^^^^^^^^^^^^^^^^
       |
       = help: name a field with `into` (`origin`, `tailnum`, `seats`), or set `emit = false`
    "#);
}

#[test]
fn an_unknown_key_of_a_use() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", require = true }"#,
    ), @r#"
    error[config.unknown_key]: `views.getDeparture.lookups.airline.require`: unknown key
      --> tributary.toml:47:30
       |
    47 | airline = { use = "airline", require = true }
       |                              ^^^^^^^
       |
       = help: did you mean `required`?
    "#);
}

#[test]
fn a_use_that_is_a_number() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        "airline = 7",
    ), @r#"
    error[config.bad_value]: `views.getDeparture.lookups.airline`: expected a table such as `{ use = "airport" }`, found an integer
      --> tributary.toml:47:11
       |
    47 | airline = 7
       |           ^
    "#);
}

#[test]
fn a_parameter_bound_to_nothing() {
    insta::assert_snapshot!(after(
        r#"origin = { use = "airport", with = { code = "flight.origin" } }"#,
        r#"origin = "airport""#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.origin`: parameter `code` of lookup `airport` is bound to nothing
      --> tributary.toml:48:10
       |
    48 | origin = "airport"
       |          ^^^^^^^^^
       |
       = help: add `with = { code = "..." }`; the method's parameters are `carrier`, `number`, `detail`, `codes`
    "#);
}

#[test]
fn a_parameter_that_the_lookup_does_not_have() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        r#"with = { code = "flight.origin", cod = "carrier" }"#,
    ), @r#"
    error[config.unknown_name]: `views.getDeparture.lookups.origin.with.cod`: lookup `airport` has no parameter `cod`
      --> tributary.toml:48:68
       |
    48 | origin = { use = "airport", with = { code = "flight.origin", cod = "carrier" } }
       |                                                                    ^^^^^^^^^
       |
       = help: did you mean `code`?
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
       = help: there are `request_id`, `traceparent`, `baggage`
    "#);
}

#[test]
fn item_without_a_foreach() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        r#"with = { code = "item" }"#,
    ), @r#"
    error[config.reference]: `views.getDeparture.lookups.origin.with.code`: `item` is the element of a `foreach`, and has a meaning in its `with` only
      --> tributary.toml:48:45
       |
    48 | origin = { use = "airport", with = { code = "item" } }
       |                                             ^^^^^^
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
    "#);
}

#[test]
fn an_exception_that_the_method_does_not_throw() {
    insta::assert_snapshot!(after(
        "[views.getDeparture.lookups]",
        r#"[views.getDeparture]
throws = { "call.required_empty" = "notfound" }

[views.getDeparture.lookups]"#,
    ), @r#"
    error[config.unknown_name]: `views.getDeparture.throws.call.required_empty`: the method does not throw `notfound`
      --> tributary.toml:46:36
       |
    46 | throws = { "call.required_empty" = "notfound" }
       |                                    ^^^^^^^^^^
       |
       = help: did you mean `notFound`?
    "#);
}

#[test]
fn an_error_code_that_does_not_exist() {
    insta::assert_snapshot!(after(
        "[views.getDeparture.lookups]",
        r#"[views.getDeparture]
throws = { "call.required" = "notFound" }

[views.getDeparture.lookups]"#,
    ), @r#"
    error[config.unknown_name]: `views.getDeparture.throws.call.required`: there is no error code `call.required`
      --> tributary.toml:46:30
       |
    46 | throws = { "call.required" = "notFound" }
       |                              ^^^^^^^^^^
       |
       = help: codes stand in README; `"lookup.*"` means a whole area
    "#);
}

#[test]
fn a_deadline_without_a_unit() {
    insta::assert_snapshot!(after(
        "[views.getDeparture.lookups]",
        "[views.getDeparture]\ndeadline = 800\n\n[views.getDeparture.lookups]",
    ), @r#"
    error[config.bad_value]: `views.getDeparture.deadline`: expected a duration, found an integer
      --> tributary.toml:46:12
       |
    46 | deadline = 800
       |            ^^^
       |
       = help: a number with a unit in quotes, such as `"250ms"`
    "#);
}

#[test]
fn default_on_of_an_unknown_word() {
    insta::assert_snapshot!(after(
        r#"default = "fair""#,
        r#"default = "fair", default_on = "failure""#,
    ), @r#"
    error[config.bad_value]: `views.getDeparture.lookups.weather.default_on`: `failure` is not known here
      --> tributary.toml:49:98
       |
    49 | weather = { use = "weather", with = { origin = "flight.origin" }, default = "fair", default_on = "failure" }
       |                                                                                                  ^^^^^^^^^
       |
       = help: one of `empty`, `any`
    "#);
}

#[test]
fn an_integer_that_no_type_holds() {
    insta::assert_snapshot!(after(
        r#"with = { code = "flight.origin" }"#,
        "with = { code = { value = 99999999999999999999 } }",
    ), @r#"
    error[config.bad_value]: `views.getDeparture.lookups.origin.with.code.value`: 99999999999999999999 is larger than 9223372036854775807
      --> tributary.toml:48:55
       |
    48 | origin = { use = "airport", with = { code = { value = 99999999999999999999 } } }
       |                                                       ^^^^^^^^^^^^^^^^^^^^
       |
       = help: a string in quotes holds any number of digits
    "#);
}

#[test]
fn a_negative_integer_and_a_number_that_no_type_holds() {
    insta::assert_snapshot!(after(
        r#"default = "fair""#,
        "default = { low = [-99999999999999999999], high = 1e400 }",
    ), @r#"
    error[config.bad_value]: `views.getDeparture.lookups.weather.default.low[0]`: -99999999999999999999 is smaller than -9223372036854775808
      --> tributary.toml:49:86
       |
    49 | weather = { use = "weather", with = { origin = "flight.origin" }, default = { low = [-99999999999999999999], high = 1e400 } }
       |                                                                                      ^^^^^^^^^^^^^^^^^^^^^
       |
       = help: a string in quotes holds any number of digits

    error[config.bad_value]: `views.getDeparture.lookups.weather.default.high`: 1e400 is larger than 1.7976931348623157e308
      --> tributary.toml:49:117
       |
    49 | weather = { use = "weather", with = { origin = "flight.origin" }, default = { low = [-99999999999999999999], high = 1e400 } }
       |                                                                                                                     ^^^^^
       |
       = help: a string in quotes holds any number of digits
    "#);
}

#[test]
fn a_condition_on_an_integer_that_no_type_holds() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", when = { ref = "number", equals = 0x8000000000000000 } }"#,
    ), @r#"
    error[config.bad_value]: `views.getDeparture.lookups.airline.when.equals`: 0x8000000000000000 is larger than 9223372036854775807
      --> tributary.toml:47:64
       |
    47 | airline = { use = "airline", when = { ref = "number", equals = 0x8000000000000000 } }
       |                                                                ^^^^^^^^^^^^^^^^^^
       |
       = help: a string in quotes holds any number of digits
    "#);
}

#[test]
fn a_default_on_without_a_default() {
    insta::assert_snapshot!(after(
        r#", default = "fair""#,
        r#", default_on = "empty""#,
    ), @r#"
    error[config.clash]: `views.getDeparture.lookups.weather.default_on`: it says something only beside `default`
      --> tributary.toml:49:80
       |
    49 | weather = { use = "weather", with = { origin = "flight.origin" }, default_on = "empty" }
       |                                                                                ^^^^^^^
       |
       = help: add `default`, or leave `default_on` out
    "#);
}

#[test]
fn a_foreach_max_without_a_foreach() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", foreach_max = 7 }"#,
    ), @r#"
    error[config.clash]: `views.getDeparture.lookups.airline.foreach_max`: it says something only beside `foreach`
      --> tributary.toml:47:44
       |
    47 | airline = { use = "airline", foreach_max = 7 }
       |                                            ^
       |
       = help: add `foreach`, or leave `foreach_max` out
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
    "#);
}
