//! All mistakes of a file are reported at once, each with its line.

use super::{IDL, check, problems_of};

/// Ten mistakes, each on a line of its own that ends with the code it should be reported with.
const TEN: &str = r#"
[server]
idl = "flights.thrift"
lissten = "127.0.0.1:9090"                          # 1 config.unknown_key

[backends.ops]
kind = "sqlite"
path = "ops.sqlite"

[backends.cache]
kind = "rediss"                                     # 2 config.bad_value
url = "redis://127.0.0.1:6379/0"

[lookups.flight]
backend = "ops"
sql = "select * from flights where number = :number"
rows = "one"
timeout = 200                                       # 3 config.bad_value

[lookups.airport]
backend = "op"                                      # 4 config.unknown_name
sql = "select * from airports where code = :code"

[lookups.airline]
backend = "ops"
sql = "select * from airlines where code = :carrier"
rows = "one"

[views.getDeparture.lookups]
flight = { use = "flight", required = true }
airlnie = "airline"                                 # 5 config.unknown_name
origin = { use = "airport", with = { code = "fligt.origin" } } # 6 config.reference
weather = { use = "wether" }                        # 7 config.unknown_name
board = { use = "airline" }                         # 8 config.type
count = { use = "airline", emit = "no" }            # 9 config.bad_value

[views.getArrival.lookups]                          # 10 config.unknown_name
"#;

#[test]
fn ten_mistakes_are_ten_problems_each_on_its_line() {
    let (problems, _) = check(TEN, &IDL.replace("Airport getAirport(1: string code)", ""));
    let found: Vec<(usize, &str)> = problems
        .iter()
        .map(|problem| {
            (
                problem.line().expect("all of them have a line"),
                problem.code.as_str(),
            )
        })
        .collect();
    let expected: Vec<(usize, &str)> = TEN
        .lines()
        .zip(1..)
        .filter_map(|(line, number)| Some((number, line.split_once(" # ")?.1.split_once(' ')?.1)))
        .collect();
    assert_eq!(expected.len(), 10);
    assert_eq!(found, expected, "\n{}", problems_of(TEN, IDL));
    for problem in &problems {
        assert!(
            problem.help.is_some() || problem.message.contains("expected"),
            "says what is right: {problem:?}"
        );
    }
}

#[test]
fn mistakes_of_idl_and_configuration_are_reported_together() {
    let idl = IDL.replace("3: i32 seats", "3: Seats seats");
    let (problems, _) = check(&super::CONFIG.replace("\"200ms\"", "200"), &idl);
    let codes: Vec<&str> = problems
        .iter()
        .map(|problem| problem.code.as_str())
        .collect();
    assert_eq!(codes, ["config.bad_value", "idl.invalid"]);
}
