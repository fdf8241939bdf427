//! Mistakes in `[views.*]`: methods, fields of the reply, exceptions, deadlines.

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
       = manual: tributary manual views
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
      = manual: tributary manual server
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
       = manual: tributary manual views

    error[config.missing_key]: `views.getAirport`: no lookup fills the required field `name` of the reply
      --> tributary.toml:53:1
       |
    53 | [views.getAirport]
       | ^^^^^^^^^^^^^^^^^^
       |
       = help: add `name = { use = "..." }` to its lookups
       = manual: tributary manual views
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
       = manual: tributary manual views
    "#);
}

#[test]
fn a_field_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"carrier = "airline""#,
    ), @r#"
    error[config.unknown_name]: `views.getDeparture.lookups.carrier`: `flights.Departure` has no field `carrier`
      --> tributary.toml:47:1
       |
    47 | carrier = "airline"
       | ^^^^^^^
       |
       = help: use `into = "."` to fill the fields that the answer has (`flight`, `airline`, `origin`, `weather`, `board`, `stops`, `count`), name one of them with `into`, or set `emit = false`
       = manual: tributary manual views
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
       = manual: tributary manual views
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
       = manual: tributary manual error-codes
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
      --> tributary.toml:46:12
       |
    46 | throws = { "call.required" = "notFound" }
       |            ^^^^^^^^^^^^^^^
       |
       = help: `tributary manual error-codes` lists them; `"lookup.*"` means a whole area
       = manual: tributary manual error-codes
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
       = manual: tributary manual views
    "#);
}
