//! Mistakes in `[[services]]`.

use super::{CONFIG, IDL, checked, problems_of};

/// The configuration of the other tests, with its one service as the first of `[[services]]`.
fn several(more: &str) -> String {
    let config = CONFIG.replace("idl = \"flights.thrift\"\n", "");
    let config = config.replacen(
        "[views.",
        "[[services]]\nidl = \"flights.thrift\"\n\n[services.views.",
        1,
    );
    let (before, after) = config
        .split_once("[services.views.")
        .expect("it was put there");
    let after = after.replace("[views.", "[services.views.");
    format!("{before}[services.views.{after}\n{more}")
}

fn messages(config: &str, idl: &str) -> Vec<String> {
    let (program, _) = checked(config, idl);
    let problems = program.expect_err("it is refused").into_iter();
    let line = |key: String, message: String| format!("{key}: {message}");
    problems
        .map(|problem| line(problem.key, problem.message))
        .collect()
}

#[test]
fn one_of_services_is_like_server_and_views() {
    let (program, _) = checked(&several(""), IDL);
    let program = program.expect("no problems");
    assert!(program.warnings.is_empty());
    // A single service needs no label.
    assert!(program.plans().all(|plan| plan.label == plan.method));
    assert!(
        program
            .plans()
            .all(|plan| plan.key.starts_with("services[0].views."))
    );
}

#[test]
fn problems_have_the_key_of_their_service() {
    let config = several("").replace("[services.views.getAirport", "[services.views.getAirprt");
    insta::assert_snapshot!(problems_of(&config, IDL), @r"
    error[config.unknown_name]: `services[0].views.getAirprt`: service `Flights` has no method `getAirprt`
      --> tributary.toml:55:17
       |
    55 | [services.views.getAirprt.lookups]
       |                 ^^^^^^^^^
       |
       = help: did you mean `getAirport`?
       = manual: tributary manual views
    ");
}

#[test]
fn a_misspelt_services_is_recognised() {
    let config = several("").replace("[[services]]", "[[service]]");
    let (program, _) = checked(&config.replace("[services.", "[service."), IDL);
    let problems = program.expect_err("it is refused");
    let unknown = problems.iter().find(|problem| problem.key == "service");
    let help = unknown.and_then(|problem| problem.help.as_deref());
    assert_eq!(help, Some("did you mean `services`?"));
}

#[test]
fn keys_of_a_service_beside_services() {
    let config = several("[views.getAirport.lookups]\norigin = \"airport\"\n")
        .replace("[server]", "[server]\nidl = \"flights.thrift\"");
    assert_eq!(
        messages(&config, IDL),
        [
            "server.idl: `idl` belongs to one of the services",
            "views: views belong to one of the services: `[services.views.METHOD]` below its `[[services]]`",
        ]
    );
}

#[test]
fn services_that_clients_could_not_tell_apart() {
    let twice = several("[[services]]\nidl = \"flights.thrift\"\nunserved = \"*\"\n");
    assert_eq!(
        messages(&twice, IDL),
        ["services[1]: another service is called `Flights` too"]
    );
}

#[test]
fn a_service_that_is_not_chosen() {
    let idl = format!("{IDL}\nservice Other {{ void touch() }}");
    insta::assert_snapshot!(problems_of(&several(""), &idl), @r#"
    error[config.missing_key]: `services[0]`: the IDL declares 2 services
      --> tributary.toml:44:1
       |
    44 | [[services]]
       | ^^^^^^^^^^^^
       |
       = help: add `service = "..."` to `[[services]]`; available: `Flights`, `Other`
       = manual: tributary manual server
    "#);
}

#[test]
fn no_services() {
    let config = "services = []\n[server]\n";
    assert_eq!(messages(config, IDL), ["services: nothing would be served"]);
    let table = "[services]\nidl = \"flights.thrift\"\n[server]\n";
    insta::assert_snapshot!(problems_of(table, IDL), @"
    error[config.bad_value]: `services`: expected an array of tables, found a table
     --> tributary.toml:1:1
      |
    1 | [services]
      | ^^^^^^^^^^
      |
      = help: write `[[services]]` instead of `[services]`
      = manual: tributary manual server
    ");
}

#[test]
fn listeners_and_services() {
    let more = "[[services]]\nidl = \"flights.thrift\"\nservice = \"Other\"\nunserved = \"*\"\n";
    let idl = format!("{IDL}\nservice Other {{ void touch() }}");
    let listen = |service: &str| {
        several(more)
            .replace("\n[[services]]\nidl = \"flights.thrift\"\n\n", "\n[[services]]\nidl = \"flights.thrift\"\nservice = \"Flights\"\n\n")
            .replace(
                "[server]\n",
                &format!("[server]\nlisteners = [{{ listen = \"127.0.0.1:0\", service = \"{service}\" }}]\n"),
            )
    };
    assert_eq!(
        messages(&listen("Flihgts"), &idl),
        ["server.listeners[0].service: no service `Flihgts` is served"]
    );
    let (program, _) = checked(&listen("Flights"), &idl);
    let program = program.expect("no problems");
    let warnings: Vec<_> = program
        .warnings
        .iter()
        .map(|warning| (&*warning.key, &*warning.message))
        .collect();
    assert_eq!(warnings, [("services[1]", "no listener serves `Other`")]);
    let labels: Vec<_> = program.plans().map(|plan| &*plan.label).collect();
    assert_eq!(labels, ["Flights:getAirport", "Flights:getDeparture"]);
}
