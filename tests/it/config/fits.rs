//! Mistakes in `[views.*]` across several entries: cycles, clashes, types that can never fit.

use super::{CONFIG, IDL, after, problems_of};

#[test]
fn lookups_that_wait_for_each_other() {
    insta::assert_snapshot!(after(
        r#"flight = { use = "flight", required = true }"#,
        r#"flight = { use = "flight", required = true, when = "origin" }"#,
    ), @r#"
    error[config.cycle]: `views.getDeparture.lookups.flight`: lookups wait for each other: flight -> origin -> flight
      --> tributary.toml:46:10
       |
    46 | flight = { use = "flight", required = true, when = "origin" }
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: let one of them take its input from a parameter of the method
       = manual: tributary manual views
    "#);
}

#[test]
fn two_lookups_for_one_field() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = "airline"
second = { use = "airline", into = "airline" }"#,
    ), @r#"
    error[config.clash]: `views.getDeparture.lookups.second`: `airline` and `second` fill the same field
      --> tributary.toml:48:10
       |
    48 | second = { use = "airline", into = "airline" }
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: give one of them another `into`, or `emit = false`
       = manual: tributary manual views
    "#);
}

#[test]
fn two_spread_lookups() {
    insta::assert_snapshot!(after(
        r#"airport = { use = "airport", into = ".", required = true }"#,
        r#"airport = { use = "airport", into = "." }
other = { use = "airport", into = "." }"#,
    ), @r#"
    error[config.clash]: `views.getAirport.lookups.other`: two lookups have `into = "."`
      --> tributary.toml:55:9
       |
    55 | other = { use = "airport", into = "." }
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: name the fields of all but one
       = manual: tributary manual views
    "#);
}

#[test]
fn many_rows_for_a_struct() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "board", with = { origin = "carrier" } }"#,
    ), @r#"
    error[config.type]: `views.getDeparture.lookups.airline`: a list can't fill flights.Airline
      --> tributary.toml:47:11
       |
    47 | airline = { use = "board", with = { origin = "carrier" } }
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: use `rows = "one"`, or return a list
       = manual: tributary manual conversions
    "#);
}

#[test]
fn one_row_for_a_list() {
    insta::assert_snapshot!(after(
        r#"board = { use = "board", with = { origin = "flight.origin" } }"#,
        r#"board = "flight""#,
    ), @r#"
    error[config.type]: `views.getDeparture.lookups.board`: one row can't fill list<flights.Flight>
      --> tributary.toml:50:9
       |
    50 | board = "flight"
       |         ^^^^^^^^
       |
       = help: use `rows = "many"` for a list
       = manual: tributary manual conversions
    "#);
}

#[test]
fn a_foreach_for_a_field_that_is_not_a_list() {
    insta::assert_snapshot!(after(
        r#"stops = { use = "airport", foreach"#,
        r#"count = { use = "airport", foreach"#,
    ), @r#"
    error[config.type]: `views.getDeparture.lookups.count`: a `foreach` gives a list, which can't fill i32
      --> tributary.toml:51:9
       |
    51 | count = { use = "airport", foreach = "codes", with = { code = "item" } }
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = manual: tributary manual conversions
    "#);
}

#[test]
fn a_foreach_over_a_plain_value() {
    insta::assert_snapshot!(after(
        r#"foreach = "codes""#,
        r#"foreach = "carrier""#,
    ), @r#"
    error[config.type]: `views.getDeparture.lookups.stops.foreach`: `carrier` is string, not a list
      --> tributary.toml:51:38
       |
    51 | stops = { use = "airport", foreach = "carrier", with = { code = "item" } }
       |                                      ^^^^^^^^^
       |
       = manual: tributary manual conversions
    "#);
}

#[test]
fn a_default_that_does_not_fit() {
    insta::assert_snapshot!(after(
        r#"default = "fair""#,
        "default = 5",
    ), @r#"
    error[config.type]: `views.getDeparture.lookups.weather.default`: the default does not fit: an integer can't fill string
      --> tributary.toml:49:77
       |
    49 | weather = { use = "weather", with = { origin = "flight.origin" }, default = 5 }
       |                                                                             ^
       |
       = help: it fills string: such as `default = ""`
       = manual: tributary manual conversions
    "#);
}

#[test]
fn a_default_without_a_required_field() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", default = {} }"#,
    ), @r#"
    error[config.type]: `views.getDeparture.lookups.airline.default`: the default does not fit: field `name` of flights.Airline is required and has no value
      --> tributary.toml:47:40
       |
    47 | airline = { use = "airline", default = {} }
       |                                        ^^
       |
       = help: a table with fields of the struct: `name`
       = manual: tributary manual conversions
    "#);
}

#[test]
fn a_condition_that_can_never_hold() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", when = { ref = "detail", equals = "SOME" } }"#,
    ), @r#"
    error[config.type]: `views.getDeparture.lookups.airline.when.equals`: `equals` can never hold: flights.Detail has no value called `SOME`
      --> tributary.toml:47:64
       |
    47 | airline = { use = "airline", when = { ref = "detail", equals = "SOME" } }
       |                                                                ^^^^^^
       |
       = manual: tributary manual conversions
    "#);
}

#[test]
fn a_required_field_that_nothing_fills() {
    insta::assert_snapshot!(after(
        r#"flight = { use = "flight", required = true }"#,
        r#"flight = { use = "flight", emit = false }"#,
    ), @r#"
    error[config.missing_key]: `views.getDeparture`: no lookup fills the required field `flight` of the reply
      --> tributary.toml:45:8
       |
    45 | [views.getDeparture.lookups]
       |        ^^^^^^^^^^^^
       |
       = help: add `flight = { use = "..." }` to its lookups
       = manual: tributary manual views
    "#);
}

#[test]
fn a_foreach_over_one_row() {
    insta::assert_snapshot!(after(
        r#"foreach = "codes""#,
        r#"foreach = "flight""#,
    ), @r#"
    error[config.type]: `views.getDeparture.lookups.stops.foreach`: `flight` is one row, not a list
      --> tributary.toml:51:38
       |
    51 | stops = { use = "airport", foreach = "flight", with = { code = "item" } }
       |                                      ^^^^^^^^
       |
       = help: use `rows = "many"` for a list
       = manual: tributary manual conversions
    "#);
}

#[test]
fn a_foreach_that_makes_structs_the_keys_of_a_map() {
    let idl = IDL
        .replace(
            "4: list<string> codes",
            "4: list<string> codes, 5: list<Flight> flights",
        )
        .replace(
            "7: optional i32 count",
            "7: optional map<string, Airport> places",
        );
    let config = CONFIG.replace(
        r#"stops = { use = "airport", foreach = "codes", with = { code = "item" } }"#,
        r#"places = { use = "airport", foreach = "flights", with = { code = "item.origin" } }"#,
    );
    insta::assert_snapshot!(problems_of(&config, &idl), @r#"
    error[config.type]: `views.getDeparture.lookups.places.foreach`: the elements are the map's keys, and flights.Flight can't fill string
      --> tributary.toml:51:39
       |
    51 | places = { use = "airport", foreach = "flights", with = { code = "item.origin" } }
       |                                       ^^^^^^^^^
       |
       = help: go over plain values, or fill a list
       = manual: tributary manual conversions
    "#);
}
