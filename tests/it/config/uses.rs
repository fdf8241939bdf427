//! Mistakes in the keys of a view's lookups, and in their values.

use super::after;

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
       = manual: tributary manual views
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
       |
       = manual: tributary manual views
    "#);
}

#[test]
fn an_unknown_value_of_default_on() {
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
       = manual: tributary manual views
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
       = manual: tributary manual views
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
       = manual: tributary manual views

    error[config.bad_value]: `views.getDeparture.lookups.weather.default.high`: 1e400 is larger than 1.7976931348623157e308
      --> tributary.toml:49:117
       |
    49 | weather = { use = "weather", with = { origin = "flight.origin" }, default = { low = [-99999999999999999999], high = 1e400 } }
       |                                                                                                                     ^^^^^
       |
       = help: a string in quotes holds any number of digits
       = manual: tributary manual views
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
       = manual: tributary manual views
    "#);
}

#[test]
fn a_default_on_without_a_default() {
    insta::assert_snapshot!(after(
        r#", default = "fair""#,
        r#", default_on = "empty""#,
    ), @r#"
    error[config.clash]: `views.getDeparture.lookups.weather.default_on`: it has an effect only together with `default`
      --> tributary.toml:49:80
       |
    49 | weather = { use = "weather", with = { origin = "flight.origin" }, default_on = "empty" }
       |                                                                                ^^^^^^^
       |
       = help: add `default`, or leave `default_on` out
       = manual: tributary manual views
    "#);
}

#[test]
fn a_foreach_max_without_a_foreach() {
    insta::assert_snapshot!(after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", foreach_max = 7 }"#,
    ), @r#"
    error[config.clash]: `views.getDeparture.lookups.airline.foreach_max`: it has an effect only together with `foreach`
      --> tributary.toml:47:44
       |
    47 | airline = { use = "airline", foreach_max = 7 }
       |                                            ^
       |
       = help: add `foreach`, or leave `foreach_max` out
       = manual: tributary manual views
    "#);
}

#[test]
fn a_wrong_name_before_right_ones() {
    insta::assert_snapshot!(after(
        r#"origin = { use = "airport", with = { code = "flight.origin" } }"#,
        r#"origin = { use = "airport", with = { cod = "flight.origin", code = "flight.origin" } }"#,
    ), @r#"
    error[config.unknown_name]: `views.getDeparture.lookups.origin.with.cod`: lookup `airport` has no parameter `cod`
      --> tributary.toml:48:38
       |
    48 | origin = { use = "airport", with = { cod = "flight.origin", code = "flight.origin" } }
       |                                      ^^^
       |
       = help: did you mean `code`?
       = manual: tributary manual views
    "#);
}

#[test]
fn a_drop_below_without_a_brownout() {
    let problems = after(
        r#"airline = "airline""#,
        r#"airline = { use = "airline", drop_below = 0.5 }"#,
    );
    assert!(
        problems.contains("it has an effect only together with `brownout`"),
        "{problems}"
    );
}

#[test]
fn a_brownout_without_an_optional_lookup() {
    let problems = after(
        "[views.getAirport.lookups]",
        "[views.getAirport]\nbrownout = {}\n[views.getAirport.lookups]",
    );
    let expected = "`views.getAirport.brownout`: every lookup is required, so none can be left out";
    assert!(problems.contains(expected), "{problems}");
}

#[test]
fn a_drop_below_of_a_lookup_that_a_required_one_needs() {
    let problems = after(
        "[views.getAirport.lookups]",
        "[views.getAirport]\nbrownout = {}\n[views.getAirport.lookups]\nfirst = { use = \"airport\", emit = false, drop_below = 0.5 }",
    );
    assert!(
        !problems.contains("drop_below"),
        "nothing needs it: {problems}"
    );
    let problems = after(
        r#"airport = { use = "airport", into = ".", required = true }"#,
        r#"airport = { use = "airport", into = ".", required = true, drop_below = 0.5 }
[views.getAirport]
brownout = {}"#,
    );
    assert!(
        problems.contains("a required lookup needs this one, so it is never left out"),
        "{problems}"
    );
}

#[test]
fn an_else_that_names_a_backend_of_another_kind() {
    let problems = after(
        r#"origin = { use = "airport", with = { code = "flight.origin" } }"#,
        r#"origin = { use = "airport", with = { code = "flight.origin" }, else = ["tables"] }"#,
    );
    let expected =
        "the backend `tables` is of kind `file`, and the lookup `airport` is written for `redis`";
    assert!(problems.contains(expected), "{problems}");
}

#[test]
fn an_else_that_names_the_backend_of_the_lookup() {
    let problems = after(
        r#"origin = { use = "airport", with = { code = "flight.origin" } }"#,
        r#"origin = { use = "airport", with = { code = "flight.origin" }, else = ["cache"] }"#,
    );
    let expected =
        "`views.getDeparture.lookups.origin.else[0]`: `origin` asks the backend `cache` already";
    assert!(problems.contains(expected), "{problems}");
}

#[test]
fn an_else_whose_type_does_not_fit() {
    let problems = after(
        r#"origin = { use = "airport", with = { code = "flight.origin" } }"#,
        r#"origin = { use = "airport", with = { code = "flight.origin" }, else = ["spare"] }
spare = { use = "board", with = { origin = "flight.origin" } }"#,
    );
    let expected = "`views.getDeparture.lookups.spare`: a list can't fill flights.Airport";
    assert!(problems.contains(expected), "{problems}");
}

#[test]
fn an_else_of_a_lookup_that_may_not_be_repeated() {
    let problems = after(
        r#"weather = { use = "weather", with = { origin = "flight.origin" }, default = "fair" }"#,
        r#"weather = { use = "count", with = { origin = "flight.origin" }, else = ["spare"] }
spare = { use = "weather", with = { origin = "flight.origin" } }
[lookups.count]
backend = "weather"
post = "/count/{origin}""#,
    );
    let expected = "what is asked before `spare` changes its store";
    assert!(problems.contains(expected), "{problems}");
}

const ORIGIN: &str = r#"origin = { use = "airport", with = { code = "flight.origin" } }"#;

/// How many problems there are, and all of them.
fn counted(new: &str) -> (usize, String) {
    let problems = after(ORIGIN, new);
    (problems.matches("error[").count(), problems)
}

#[test]
fn a_wrong_else_is_one_problem() {
    for (key, help) in [
        // What it names would be a lookup of its own, which fills no field.
        (r#"els = ["spare"]"#, "did you mean `else`?"),
        (
            r#"else = "spare""#,
            "expected an array of strings, found a string",
        ),
        (
            r#"else = ["spare", 7]"#,
            "expected a string, found an integer",
        ),
        (r#"else = ["spar"]"#, "did you mean `spare`?"),
    ] {
        let (count, problems) = counted(&format!(
            r#"origin = {{ use = "airport", with = {{ code = "flight.origin" }}, {key} }}
spare = {{ use = "airport", with = {{ code = "flight.origin" }} }}"#
        ));
        assert!(count == 1 && problems.contains(help), "{problems}");
    }
}

#[test]
fn a_circle_of_else_is_one_problem() {
    let (count, problems) = counted(
        r#"origin = { use = "airport", with = { code = "flight.origin" }, else = ["spare"] }
spare = { use = "airport", with = { code = "flight.origin" }, else = ["other"] }
other = { use = "airport", with = { code = "flight.origin" }, else = ["origin"] }"#,
    );
    let expected = "lookups are asked instead of each other: origin -> spare -> other -> origin";
    assert!(count == 1 && problems.contains(expected), "{problems}");
}

#[test]
fn a_misspelt_parameter_of_an_else_is_one_problem() {
    let (count, problems) = counted(
        r#"origin = { use = "airport", with = { code = "flight.origin" }, else = ["spare"] }
spare = { use = "airport", with = { cod = "flight.origin" } }"#,
    );
    let expected = "lookup `airport` has no parameter `cod`";
    assert!(count == 1 && problems.contains(expected), "{problems}");
}
