//! Mistakes in a configuration, and the problems that the operator reads.
//!
//! Each test makes one edit to a valid configuration, so that only the problem of that edit is shown. There is one file
//! for each section.

mod file;
mod server;
mod services;
mod listeners;
mod tls;
mod access;
mod meta;
mod backends;
mod lookups;
mod views;
mod uses;
mod references;
mod fits;
mod many;
mod sample;
mod warnings;

use std::fs;
use std::sync::Arc;

use tributary::config::Document;
use tributary::diagnostic::{Problem, SourceFile};
use tributary::program::{Program, check_document};

const IDL: &str = r"
enum Detail { NONE = 0, ALL = 1 }
struct Flight { 1: required string origin, 2: optional string tailnum, 3: i32 seats }
struct Airport { 1: required string name }
struct Airline { 1: required string name }
struct Departure {
  1: required Flight flight
  2: optional Airline airline
  3: optional Airport origin
  4: optional string weather
  5: optional list<Flight> board
  6: optional list<Airport> stops
  7: optional i32 count
}
exception NotFound { 1: string message }
service Flights {
  Departure getDeparture(1: string carrier, 2: i32 number, 3: Detail detail, 4: list<string> codes) throws (1: NotFound notFound)
  Airport getAirport(1: string code)
}
";

const CONFIG: &str = r#"[server]
idl = "flights.thrift"

[backends.ops]
kind = "sqlite"
path = "ops.sqlite"

[backends.cache]
kind = "redis"
url = "redis://127.0.0.1:6379/0"

[backends.tables]
kind = "file"
path = "airlines.csv"

[backends.weather]
kind = "http"
url = "http://127.0.0.1:8080"

[lookups.flight]
backend = "ops"
sql = "select * from flights where carrier = :carrier and number = :number"
rows = "one"
timeout = "200ms"

[lookups.board]
backend = "ops"
sql = "select * from flights where origin = :origin"
rows = "many"

[lookups.airport]
backend = "cache"
get = "airport:{code}"
format = "json"

[lookups.airline]
backend = "tables"
key = { code = "{carrier}" }
rows = "one"

[lookups.weather]
backend = "weather"
get = "/v1/{origin}"

[views.getDeparture.lookups]
flight = { use = "flight", required = true }
airline = "airline"
origin = { use = "airport", with = { code = "flight.origin" } }
weather = { use = "weather", with = { origin = "flight.origin" }, default = "fair" }
board = { use = "board", with = { origin = "flight.origin" } }
stops = { use = "airport", foreach = "codes", with = { code = "item" } }

[views.getAirport.lookups]
airport = { use = "airport", into = ".", required = true }
"#;

#[test]
fn the_configuration_that_the_tests_edit_is_valid() {
    assert_eq!(problems_of(CONFIG, IDL), "");
}

/// The problems after replacing `old` in the configuration with `new`.
#[track_caller]
fn after(old: &str, new: &str) -> String {
    assert_eq!(
        CONFIG.matches(old).count(),
        1,
        "`{old}` stands once in the configuration"
    );
    problems_of(&CONFIG.replace(old, new), IDL)
}

/// The problems of `config`, with `idl` and a table in its folder.
fn problems_of(config: &str, idl: &str) -> String {
    let (problems, folder) = check(config, idl);
    let texts: Vec<String> = problems
        .iter()
        .map(|problem| problem.render(false))
        .collect();
    texts.join("\n\n").replace(&format!("{folder}/"), "")
}

/// The problems, and the folder that their messages may mention.
fn check(config: &str, idl: &str) -> (Vec<Problem>, String) {
    let (checked, folder) = checked(config, idl);
    (checked.err().unwrap_or_default(), folder)
}

/// The program or the problems, and the folder that their messages may mention.
fn checked(config: &str, idl: &str) -> (Result<Program, Vec<Problem>>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("flights.thrift"), idl).expect("the folder is ours");
    fs::write(folder.path().join("airlines.csv"), "code,name\nUA,United\n")
        .expect("the folder is ours");
    let path = folder.path().join("tributary.toml").display().to_string();
    let source = SourceFile {
        path: Arc::from(path),
        text: Arc::from(config),
    };
    let document = Document::new(source, &[]);
    let checked = check_document(document, &Vec::new());
    (checked, folder.path().display().to_string())
}
