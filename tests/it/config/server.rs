//! Mistakes in `[server]`, and in its IDL.

use super::{CONFIG, IDL, after, checked, problems_of};

#[test]
fn no_idl() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift"
"#,
        r#"listen = "127.0.0.1:9090"
"#,
    ), @r#"
    error[config.missing_key]: `server`: `idl` is missing
     --> tributary.toml:1:1
      |
    1 | [server]
      | ^^^^^^^^
      |
      = help: add `idl = "my.thrift"`
      = manual: tributary manual server
    "#);
}

#[test]
fn an_idl_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flight.thrift""#,
    ), @r#"
    error[config.file]: `server.idl`: there is no file `flight.thrift`
     --> tributary.toml:2:7
      |
    2 | idl = "flight.thrift"
      |       ^^^^^^^^^^^^^^^
      |
      = help: the path is relative to this file's folder
      = manual: tributary manual idl
    "#);
}

#[test]
fn an_idl_that_does_not_parse() {
    insta::assert_snapshot!(problems_of(CONFIG, &IDL.replace("3: i32 seats", "3: i32")), @r"
    error[idl.syntax]: expected the field's name, found `}`
     --> flights.thrift:3:79
      |
    3 | struct Flight { 1: required string origin, 2: optional string tailnum, 3: i32 }
      |                                                                               ^
      |
      = help: the field's name belongs here
      = manual: tributary manual idl
    ");
}

#[test]
fn an_idl_with_unknown_types_and_ids_used_twice() {
    insta::assert_snapshot!(problems_of(CONFIG, &IDL.replace("3: i32 seats", "2: Seat seats")), @r"
    error[idl.invalid]: the id 2 is taken by `tailnum`
     --> flights.thrift:3:72
      |
    3 | struct Flight { 1: required string origin, 2: optional string tailnum, 2: Seat seats }
      |                                                                        ^
      |
      = help: give each field its own id
      = manual: tributary manual idl

    error[idl.invalid]: unknown type `Seat`
     --> flights.thrift:3:75
      |
    3 | struct Flight { 1: required string origin, 2: optional string tailnum, 2: Seat seats }
      |                                                                           ^^^^
      |
      = help: declare `Seat`, or include the file that does
      = manual: tributary manual idl
    ");
}

#[test]
fn a_service_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flights.thrift"
service = "Flight""#,
    ), @r#"
    error[config.unknown_name]: `server.service`: the IDL has no service `Flight`
     --> tributary.toml:3:11
      |
    3 | service = "Flight"
      |           ^^^^^^^^
      |
      = help: did you mean `Flights`?
      = manual: tributary manual idl
    "#);
}

#[test]
fn several_services_and_none_chosen() {
    insta::assert_snapshot!(problems_of(CONFIG, &format!("{IDL}\nservice Other {{ void touch() }}")), @r#"
    error[config.missing_key]: `server`: the IDL declares 2 services
     --> tributary.toml:1:1
      |
    1 | [server]
      | ^^^^^^^^
      |
      = help: add `service = "..."` to `[server]`; available: `Flights`, `Other`
      = manual: tributary manual server
    "#);
}

#[test]
fn an_unknown_key() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flights.thrift"
listne = "127.0.0.1:9090""#,
    ), @r#"
    error[config.unknown_key]: `server.listne`: unknown key
     --> tributary.toml:3:1
      |
    3 | listne = "127.0.0.1:9090"
      | ^^^^^^
      |
      = help: did you mean `listen`?
      = manual: tributary manual server
    "#);
}

#[test]
fn an_invalid_address() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flights.thrift"
listen = "9090""#,
    ), @r#"
    error[config.bad_value]: `server.listen`: `9090` is not an address
     --> tributary.toml:3:10
      |
    3 | listen = "9090"
      |          ^^^^^^
      |
      = help: a host and a port, such as `"127.0.0.1:9090"` or `"[::]:9090"`
      = manual: tributary manual server
    "#);
}

#[test]
fn no_workers() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flights.thrift"
workers = 0"#,
    ), @r"
    error[config.bad_value]: `server.workers`: 0 is out of range
     --> tributary.toml:3:11
      |
    3 | workers = 0
      |           ^
      |
      = help: 1 to 64
      = manual: tributary manual server
    ");
}

#[test]
fn a_size_without_a_unit() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flights.thrift"
limits = { frame_bytes_max = 1000 }"#,
    ), @r#"
    error[config.bad_value]: `server.limits.frame_bytes_max`: expected a size such as `"16MiB"`, found an integer
     --> tributary.toml:3:30
      |
    3 | limits = { frame_bytes_max = 1000 }
      |                              ^^^^
      |
      = manual: tributary manual server
    "#);
}

#[test]
fn a_size_with_an_unknown_unit() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flights.thrift"
limits = { frame_bytes_max = "16MB" }"#,
    ), @r#"
    error[config.bad_value]: `server.limits.frame_bytes_max`: `16MB` is not a size
     --> tributary.toml:3:30
      |
    3 | limits = { frame_bytes_max = "16MB" }
      |                              ^^^^^^
      |
      = help: a whole number with `B`, `KiB`, `MiB` or `GiB`, such as `"16MiB"`
      = manual: tributary manual server
    "#);
}

#[test]
fn a_duration_without_a_unit() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flights.thrift"
drain_timeout = 10"#,
    ), @r#"
    error[config.bad_value]: `server.drain_timeout`: expected a duration, found an integer
     --> tributary.toml:3:17
      |
    3 | drain_timeout = 10
      |                 ^^
      |
      = help: a number with a unit in quotes, such as `"250ms"`
      = manual: tributary manual server
    "#);
}

#[test]
fn an_unserved_method_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flights.thrift"
unserved = ["getArrival"]"#,
    ), @r#"
    error[config.unknown_name]: `server.unserved[0]`: service `Flights` has no method `getArrival`
     --> tributary.toml:3:13
      |
    3 | unserved = ["getArrival"]
      |             ^^^^^^^^^^^^
      |
      = help: available: `getDeparture`, `getAirport`
      = manual: tributary manual server
    "#);
}

#[test]
fn times_that_are_too_short_or_too_long() {
    let long = after(
        r#"idl = "flights.thrift""#,
        "idl = \"flights.thrift\"\ndrain_timeout = \"400y\"",
    );
    assert!(
        long.contains("400y is out of range") && long.contains("at most a year"),
        "{long}"
    );
    let none = after(
        r#"idl = "flights.thrift""#,
        "idl = \"flights.thrift\"\nlimits = { idle_timeout = \"0s\" }",
    );
    assert!(none.contains("nothing can be done in no time"), "{none}");
}

#[test]
fn a_depth_beyond_the_ceiling() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        "idl = \"flights.thrift\"\nlimits = { depth_max = 257 }",
    ), @r"
    error[config.bad_value]: `server.limits.depth_max`: 257 is out of range
     --> tributary.toml:3:24
      |
    3 | limits = { depth_max = 257 }
      |                        ^^^
      |
      = help: 1 to 256
      = manual: tributary manual server
    ");
}

#[test]
fn an_integer_beyond_all_ranges() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        "idl = \"flights.thrift\"\nworkers = 99999999999999999999",
    ), @r"
    error[config.bad_value]: `server.workers`: 99999999999999999999 is out of range
     --> tributary.toml:3:11
      |
    3 | workers = 99999999999999999999
      |           ^^^^^^^^^^^^^^^^^^^^
      |
      = help: 1 to 64
      = manual: tributary manual server
    ");
}

#[test]
fn all_other_methods_may_be_unserved() {
    let served = |unserved: &str| {
        let config = CONFIG.replace(
            "idl = \"flights.thrift\"",
            &format!("idl = \"flights.thrift\"\n{unserved}"),
        );
        let idl = IDL.replace("service Flights {", "service Flights { void a() void b()");
        checked(&config, &idl)
    };
    let (program, _) = served("unserved = \"*\"");
    let program = program.expect("no problems");
    assert_eq!(program.services[0].unserved, ["a".into(), "b".into()]);
    assert_eq!(program.plans().count(), 2);
    // Without it, each of them is a problem.
    let (problems, _) = served("");
    assert_eq!(problems.expect_err("two methods have no view").len(), 2);
}

#[test]
fn unserved_is_a_star_or_a_list() {
    for (unserved, key, message) in [
        (
            r#""getAirport""#,
            "server.unserved",
            "`getAirport` is neither `\"*\"` nor a list of methods",
        ),
        (r#"["*"]"#, "server.unserved[0]", "`*` stands alone"),
        (
            "[7]",
            "server.unserved[0]",
            "expected a string, found an integer",
        ),
        (
            "true",
            "server.unserved",
            "expected an array of strings, found a boolean",
        ),
        (
            r#"["getAirport"]"#,
            "server.unserved[0]",
            "method `getAirport` is `unserved` and has a view",
        ),
    ] {
        let config = CONFIG.replace(
            "idl = \"flights.thrift\"",
            &format!("idl = \"flights.thrift\"\nunserved = {unserved}"),
        );
        let (checked, _) = checked(&config, IDL);
        let problems = checked.expect_err("it is refused");
        let found: Vec<_> = problems
            .iter()
            .map(|problem| (&*problem.key, &*problem.message))
            .collect();
        assert_eq!(found, [(key, message)]);
    }
}

#[test]
fn a_folder_of_includes_that_does_not_exist() {
    insta::assert_snapshot!(after(
        r#"idl = "flights.thrift""#,
        r#"idl = "flights.thrift"
idl_path = [".", "shard"]"#,
    ), @r#"
    error[config.file]: `server.idl_path[1]`: there is no folder `shard`
     --> tributary.toml:3:18
      |
    3 | idl_path = [".", "shard"]
      |                  ^^^^^^^
      |
      = help: the path is relative to this file's folder
      = manual: tributary manual idl
    "#);
}
