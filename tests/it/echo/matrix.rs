//! Runs each client in each wire format that it supports, over each kind of connection, and prints a table of results.
//!
//! The Python clients run in every test run. `ECHO_CLIENTS` lists others, separated by commas, or is `all`;
//! `tests/run --all-clients` installs what they need and runs all of them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tributary::manual::page;

use crate::support::{interpreter, run};

use super::clients::{CLIENTS, Client, ORDINARY};
use super::server::{Echo, idl};

/// Fewer calls than this do not cover all methods.
const CALLS_MIN: usize = 100;

/// One run of a client's program.
struct Row {
    place: &'static str,
    transport: &'static str,
    protocol: &'static str,
    names: &'static str,
}

/// The results of a client: its rows, and the output of those that failed.
struct Ran {
    client: &'static Client,
    rows: Vec<(Row, Result<(), String>)>,
}

#[test]
fn every_client_is_served_in_every_wire_format_it_supports() {
    let chosen = chosen();
    let echo = Echo::start();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut ran = Vec::new();
        while let Some(client) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            ran.push(run_client(client, &echo));
        }
        ran
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<Ran> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let ran = workers.into_iter().map(thread::ScopedJoinHandle::join);
        ran.flat_map(|ran| ran.expect("a worker's own panics are failures"))
            .collect()
    });
    echo.stop();
    let place = |ran: &Ran| {
        CLIENTS
            .iter()
            .position(|client| client.name == ran.client.name)
    };
    all.sort_by_key(place);
    println!("{}", table(&all));
    let failures: Vec<String> = all.iter().flat_map(Ran::failures).collect();
    let rows: usize = all.iter().map(|ran| ran.rows.len()).sum();
    println!("{rows} rows, {} failed", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The clients to run.
fn chosen() -> Vec<&'static Client> {
    let Ok(names) = std::env::var("ECHO_CLIENTS") else {
        return CLIENTS[..ORDINARY].iter().collect();
    };
    if names == "all" {
        return CLIENTS.iter().collect();
    }
    let named = |name: &str| {
        let found = CLIENTS.iter().find(|client| client.name == name);
        found.unwrap_or_else(|| panic!("there is no client `{name}`"))
    };
    names.split(',').map(named).collect()
}

#[expect(
    clippy::print_stdout,
    reason = "a line per row, as it goes: all clients take minutes"
)]
fn run_client(client: &'static Client, echo: &Echo) -> Ran {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut make = Command::new(idl(client.folder).join("make"));
    make.arg(folder.path()).env("ECHO_PYTHON", interpreter());
    run(&mut make, "what `tests/run --all-clients` installs");
    let rows = rows(client).into_iter().map(|row| {
        let ended = row.run(client, folder.path(), echo);
        let word = if ended.is_ok() { "works" } else { "FAILED" };
        println!("{}: {} {word}", client.name, row.describe());
        (row, ended)
    });
    Ran {
        client,
        rows: rows.collect(),
    }
}

/// On a port, each wire format with bare and with prefixed names; elsewhere, one wire format of each transport.
fn rows(client: &Client) -> Vec<Row> {
    let mut rows = Vec::new();
    for (transport, protocols) in client.ways {
        for (at, protocol) in protocols.iter().enumerate() {
            let mut row = |place, names| {
                rows.push(Row {
                    place,
                    transport,
                    protocol,
                    names,
                });
            };
            row("tcp", "bare");
            if client.multiplexed {
                row("tcp", "multiplexed");
            }
            if at == 0 {
                client.places.iter().for_each(|place| row(place, "bare"));
            }
        }
    }
    rows
}

impl Row {
    fn describe(&self) -> String {
        let Row {
            place,
            transport,
            protocol,
            names,
        } = self;
        format!("{transport} {protocol}, {names} names, {place}")
    }

    fn run(&self, client: &Client, made: &Path, echo: &Echo) -> Result<(), String> {
        let mut command = Command::new(made.join("client"));
        command
            .arg(echo.place(self.place))
            .arg(self.transport)
            .arg(format!("{}{}", self.protocol, client.suffix))
            .arg(self.names)
            .env("ECHO_PYTHON", interpreter())
            .env("ECHO_CA", echo.authority());
        let output = command
            .output()
            .map_err(|err| format!("it does not start: {err}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        // "123 calls"
        let calls = said.trim().strip_suffix(" calls");
        let calls = calls.and_then(|calls| calls.parse::<usize>().ok());
        if output.status.success() && calls.is_some_and(|calls| calls >= CALLS_MIN) {
            return Ok(());
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {said}{complaint}", output.status))
    }
}

impl Ran {
    fn failures(&self) -> Vec<String> {
        let failed = self.rows.iter().filter_map(|(row, ended)| {
            let words = ended.as_ref().err()?;
            Some(format!("{}: {}: {words}", self.client.name, row.describe()))
        });
        failed.collect()
    }

    /// The protocols of a transport, and which of them failed.
    fn protocols(&self, transport: &str) -> String {
        let ways = self.client.ways.iter();
        let (_, protocols) = ways
            .clone()
            .find(|(have, _)| *have == transport)
            .expect("each client says of each transport what it has");
        let words = protocols.iter().map(|protocol| {
            let came = self.came(|row| (row.transport, row.protocol) == (transport, *protocol));
            let name = protocol.replace('-', " ");
            match came {
                Some(true) => name,
                _ => format!("{name} FAILED"),
            }
        });
        let words: Vec<String> = words.collect();
        if words.is_empty() {
            "–".into()
        } else {
            words.join(", ")
        }
    }

    /// The result of the rows that `belongs` selects, in a word.
    fn word(&self, belongs: impl Fn(&Row) -> bool) -> String {
        let word = match self.came(belongs) {
            None => "–",
            Some(true) => "yes",
            Some(false) => "FAILED",
        };
        word.into()
    }

    /// Whether all rows that `belongs` selects succeeded; `None` if there are none.
    fn came(&self, belongs: impl Fn(&Row) -> bool) -> Option<bool> {
        let mut ended = self.rows.iter().filter(|(row, _)| belongs(row)).peekable();
        ended.peek()?;
        Some(ended.all(|(_, ended)| ended.is_ok()))
    }
}

/// The table as in the manual: what works, and what a client lacks.
fn table(all: &[Ran]) -> String {
    let mut table = String::from(HEAD);
    for ran in all {
        let cells = [
            ran.client.title.to_owned(),
            ran.protocols("framed"),
            ran.protocols("unframed"),
            ran.protocols("header"),
            ran.word(|row| row.names == "multiplexed"),
            ran.word(|row| row.place == "unix"),
            ran.word(|row| row.place == "tls"),
        ];
        writeln!(table, "| {} |", cells.join(" | ")).expect("a string takes all");
    }
    table
}

const HEAD: &str = "\
| client | framed | unframed | THeader | multiplexed | Unix socket | TLS |
|---|---|---|---|---|---|---|
";

#[test]
fn the_manual_shows_the_table_of_all_clients() {
    let all = CLIENTS.iter().map(|client| Ran {
        client,
        rows: rows(client).into_iter().map(|row| (row, Ok(()))).collect(),
    });
    let table = table(&all.collect::<Vec<Ran>>());
    let page = page("clients").expect("a page").text;
    assert!(
        page.contains(&table),
        "`clients` has no such table:\n{table}"
    );
}
