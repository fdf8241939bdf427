//! Mistakes in `[lookups.*]`.

use super::after;

#[test]
fn an_unknown_backend() {
    insta::assert_snapshot!(after(
        r#"[lookups.flight]
backend = "ops""#,
        r#"[lookups.flight]
backend = "opps""#,
    ), @r#"
    error[config.unknown_name]: `lookups.flight.backend`: there is no backend `opps`
      --> tributary.toml:21:11
       |
    21 | backend = "opps"
       |           ^^^^^^
       |
       = help: did you mean `ops`?
       = manual: tributary manual lookups
    "#);
}

#[test]
fn no_backend() {
    insta::assert_snapshot!(after(
        r#"[lookups.flight]
backend = "ops""#,
        "[lookups.flight]",
    ), @r#"
    error[config.missing_key]: `lookups.flight`: `backend` is missing
      --> tributary.toml:20:1
       |
    20 | [lookups.flight]
       | ^^^^^^^^^^^^^^^^
       |
       = help: add `backend = "ops"`
       = manual: tributary manual lookups
    "#);
}

#[test]
fn a_misspelt_backend() {
    insta::assert_snapshot!(after(
        r#"[lookups.flight]
backend = "ops""#,
        r#"[lookups.flight]
backedn = "ops""#,
    ), @r#"
    error[config.missing_key]: `lookups.flight`: `backend` is missing
      --> tributary.toml:20:1
       |
    20 | [lookups.flight]
       | ^^^^^^^^^^^^^^^^
       |
       = help: add `backend = "ops"`
       = manual: tributary manual lookups
    "#);
}

#[test]
fn an_unknown_key() {
    insta::assert_snapshot!(after(
        r#"timeout = "200ms""#,
        r#"timeuot = "200ms""#,
    ), @r#"
    error[config.unknown_key]: `lookups.flight.timeuot`: unknown key
      --> tributary.toml:24:1
       |
    24 | timeuot = "200ms"
       | ^^^^^^^
       |
       = help: did you mean `timeout`?
       = manual: tributary manual sqlite
    "#);
}

#[test]
fn a_timeout_without_a_unit() {
    insta::assert_snapshot!(after(
        r#"timeout = "200ms""#,
        "timeout = 200",
    ), @r#"
    error[config.bad_value]: `lookups.flight.timeout`: expected a duration, found an integer
      --> tributary.toml:24:11
       |
    24 | timeout = 200
       |           ^^^
       |
       = help: a number with a unit in quotes, such as `"250ms"`
       = manual: tributary manual lookups
    "#);
}

#[test]
fn a_timeout_with_an_unknown_unit() {
    insta::assert_snapshot!(after(
        r#"timeout = "200ms""#,
        r#"timeout = "200 millis-ish""#,
    ), @r#"
    error[config.bad_value]: `lookups.flight.timeout`: `200 millis-ish` is not a duration: invalid character at 10
      --> tributary.toml:24:11
       |
    24 | timeout = "200 millis-ish"
       |           ^^^^^^^^^^^^^^^^
       |
       = help: a number with a unit in quotes, such as `"250ms"`
       = manual: tributary manual lookups
    "#);
}

#[test]
fn an_unknown_value_of_rows() {
    insta::assert_snapshot!(after(
        r#"rows = "one"
timeout"#,
        r#"rows = "single"
timeout"#,
    ), @r#"
    error[config.bad_value]: `lookups.flight.rows`: `single` is not known here
      --> tributary.toml:23:8
       |
    23 | rows = "single"
       |        ^^^^^^^^
       |
       = help: one of `one`, `many`, `value`
       = manual: tributary manual sqlite
    "#);
}

#[test]
fn sql_with_a_positional_parameter() {
    insta::assert_snapshot!(after(
        r#"sql = "select * from flights where origin = :origin""#,
        r#"sql = "select * from flights where origin = ?""#,
    ), @r#"
    error[config.bad_value]: `lookups.board.sql`: `?` is not a parameter here
      --> tributary.toml:28:7
       |
    28 | sql = "select * from flights where origin = ?"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: parameters are written `:name`
       = manual: tributary manual sqlite
    "#);
}

#[test]
fn sql_of_two_statements() {
    insta::assert_snapshot!(after(
        r#"sql = "select * from flights where origin = :origin""#,
        r#"sql = "select 1; select 2""#,
    ), @r#"
    error[config.bad_value]: `lookups.board.sql`: more than one statement
      --> tributary.toml:28:7
       |
    28 | sql = "select 1; select 2"
       |       ^^^^^^^^^^^^^^^^^^^^
       |
       = help: a lookup asks one question
       = manual: tributary manual sqlite
    "#);
}

#[test]
fn no_sql() {
    insta::assert_snapshot!(after(
        r#"sql = "select * from flights where origin = :origin"
"#,
        "",
    ), @r#"
    error[config.missing_key]: `lookups.board`: `sql` is missing
      --> tributary.toml:26:1
       |
    26 | [lookups.board]
       | ^^^^^^^^^^^^^^^
       |
       = help: add `sql = "select * from users where id = :id"`
       = manual: tributary manual sqlite
    "#);
}

#[test]
fn two_commands_of_redis() {
    insta::assert_snapshot!(after(
        r#"get = "airport:{code}""#,
        r#"get = "airport:{code}"
hgetall = "airport:{code}""#,
    ), @r#"
    error[config.clash]: `lookups.airport.hgetall`: `hgetall` can't be used with `get`
      --> tributary.toml:34:11
       |
    34 | hgetall = "airport:{code}"
       |           ^^^^^^^^^^^^^^^^
       |
       = help: one lookup asks one command: keep one of them
       = manual: tributary manual redis
    "#);
}

#[test]
fn no_command_of_redis() {
    insta::assert_snapshot!(after(
        r#"get = "airport:{code}"
"#,
        "",
    ), @r#"
    error[config.missing_key]: `lookups.airport`: no command says what to ask
      --> tributary.toml:31:1
       |
    31 | [lookups.airport]
       | ^^^^^^^^^^^^^^^^^
       |
       = help: one of `get`, `mget`, `hget`, `hmget`, `hgetall`, `lrange`, `smembers`, `sismember`, `zrange`, `zscore`, `exists`, `strlen`, `hlen`, `llen`, `scard`, `zcard`, `ttl`, such as `get = "airport:{code}"`
       = manual: tributary manual redis
    "#);
}

#[test]
fn a_template_with_an_open_brace() {
    insta::assert_snapshot!(after(
        r#"get = "airport:{code}""#,
        r#"get = "airport:{code""#,
    ), @r#"
    error[config.bad_value]: `lookups.airport.get`: `{` at character 9 is never closed
      --> tributary.toml:33:7
       |
    33 | get = "airport:{code"
       |       ^^^^^^^^^^^^^^^
       |
       = help: a parameter is written `{name}`, a brace itself `{{` or `}}`
       = manual: tributary manual redis
    "#);
}

#[test]
fn an_unknown_format() {
    insta::assert_snapshot!(after(
        r#"format = "json""#,
        r#"format = "yaml""#,
    ), @r#"
    error[config.bad_value]: `lookups.airport.format`: `yaml` is not known here
      --> tributary.toml:34:10
       |
    34 | format = "yaml"
       |          ^^^^^^
       |
       = help: one of `json`, `text`, `bytes`, `i64`, `double`
       = manual: tributary manual redis
    "#);
}

#[test]
fn a_path_that_does_not_begin_with_a_slash() {
    insta::assert_snapshot!(after(
        r#"get = "/v1/{origin}""#,
        r#"get = "v1/{origin}""#,
    ), @r#"
    error[config.bad_value]: `lookups.weather.get`: a path begins with `/`
      --> tributary.toml:43:7
       |
    43 | get = "v1/{origin}"
       |       ^^^^^^^^^^^^^
       |
       = help: as in `get = "/airports/{code}"`; it is added to the backend's `url`
       = manual: tributary manual http
    "#);
}

#[test]
fn an_invalid_pointer() {
    insta::assert_snapshot!(after(
        r#"get = "/v1/{origin}""#,
        r#"get = "/v1/{origin}"
pointer = "data""#,
    ), @r#"
    error[config.bad_value]: `lookups.weather.pointer`: a JSON pointer begins with `/`
      --> tributary.toml:44:11
       |
    44 | pointer = "data"
       |           ^^^^^^
       |
       = help: as in `pointer = "/data/0"`
       = manual: tributary manual http
    "#);
}

#[test]
fn a_column_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"key = { code = "{carrier}" }"#,
        r#"key = { carrier = "{carrier}" }"#,
    ), @r#"
    error[config.unknown_name]: `lookups.airline.key.carrier`: there is no column `carrier`
      --> tributary.toml:38:9
       |
    38 | key = { carrier = "{carrier}" }
       |         ^^^^^^^
       |
       = help: the file has `code`, `name`
       = manual: tributary manual file
    "#);
}

#[test]
fn an_error_rate_above_one() {
    insta::assert_snapshot!(after(
        r#"timeout = "200ms""#,
        "inject = { delay = 20, error_rate = 1.5 }",
    ), @r#"
    error[config.bad_value]: `lookups.flight.inject.delay`: expected a duration, found an integer
      --> tributary.toml:24:20
       |
    24 | inject = { delay = 20, error_rate = 1.5 }
       |                    ^^
       |
       = help: a number with a unit in quotes, such as `"250ms"`
       = manual: tributary manual lookups

    error[config.bad_value]: `lookups.flight.inject.error_rate`: 1.5 is out of range
      --> tributary.toml:24:37
       |
    24 | inject = { delay = 20, error_rate = 1.5 }
       |                                     ^^^
       |
       = help: 0 to 1
       = manual: tributary manual lookups
    "#);
}

#[test]
fn a_wait_that_never_ends_before_the_timeout() {
    let problems = after(
        "rows = \"one\"\ntimeout = \"200ms\"",
        "rows = \"one\"\ntimeout = \"200ms\"\nwait_max = \"200ms\"",
    );
    let expected = "`lookups.flight.wait_max`: it never has an effect: the `timeout` of the lookup is not longer";
    assert!(problems.contains(expected), "{problems}");
}
