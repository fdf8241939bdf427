//! The manual's tables of limits match the code: each limit is a key with that default, and each code and metric exists.
//! Also, what happens to more lookups than may wait for a store.

use std::net::TcpListener;

use tributary::backend::AnyConfig;
use tributary::config::LimitsConfig;
use tributary::error::Code;
use tributary::program::{Program, Registry, check};
use tributary::timeline::Fate;

use crate::admin::{patiently, scrape};
use crate::manual::rows;
use crate::support::Tributary;
use crate::support::airports::{CONFIG as AIRPORTS, FILES as AIRPORT_FILES};
use crate::support::message::message;

const IDL: &str = "struct Page { 1: optional list<string> names } service Pages { Page page(1: list<string> codes) }";

/// Words in capitals are placeholders for further keys.
const CONFIG: &str = r#"
[server]
idl = "pages.thrift"
limits = { LIMITS }
listeners = [{ listen = "127.0.0.1:0" LISTENER }]
SERVER
[backends.airports]
kind = "file"
path = "airports.csv"
BACKEND
[traces]
endpoint = "http://127.0.0.1:1"
TRACES
[backends.other]
OTHER
[lookups.name]
backend = "airports"
key = { code = "{code}" }
columns = ["name"]
rows = "value"
LOOKUP
[lookups.all]
backend = "airports"
ALL
[views.page]
VIEW
[views.page.lookups]
names = { use = "name", foreach = "codes", with = { code = "item" } USE }
"#;

/// The other required keys of a backend of each kind.
const KINDS: [(&str, &str); 8] = [
    ("sqlite", "path = \"a.db\""),
    ("file", "path = \"airports.csv\""),
    ("redis", "url = \"redis://127.0.0.1:1\""),
    ("memcached", "servers = [\"127.0.0.1:1\"]"),
    ("postgres", "url = \"postgresql://u@127.0.0.1:1/d\""),
    ("mysql", "url = \"mysql://u@127.0.0.1:1/d\""),
    ("http", "url = \"http://127.0.0.1:1\""),
    (
        "thrift",
        "url = \"thrift://127.0.0.1:1\"\nidl = \"pages.thrift\"",
    ),
];

/// Where the keys of a cache are.
const CACHE: &str = "lookups.NAME.cache";

/// A program whose configuration has `key = value` at `path`.
#[track_caller]
fn program(path: &str, value: &str) -> Program {
    let (place, key) = path.rsplit_once('.').expect("a path");
    let line = match place {
        CACHE if key == "ttl" => format!("cache = {{ ttl = {value} }}"),
        CACHE => format!("cache = {{ ttl = \"30s\", {key} = {value} }}"),
        _ => format!("{key} = {value}"),
    };
    let kind = place.strip_prefix("backends.").unwrap_or("sqlite");
    let kind = if kind == "NAME" { "sqlite" } else { kind };
    let (_, keys) = KINDS
        .iter()
        .find(|(name, _)| *name == kind)
        .expect("a kind");
    let mut keys = (*keys).to_owned();
    if path == "backends.redis.answer_timeout" {
        keys = "urls = [\"redis://127.0.0.1:1\"]".into();
    }
    let slot = match place {
        "server.limits" => "LIMITS",
        "server.listeners" => "LISTENER",
        "server" => "SERVER",
        "traces" => "TRACES",
        "backends.NAME" => "BACKEND",
        "lookups.NAME" if key == "rows_max" => "ALL",
        "lookups.NAME" | CACHE => "LOOKUP",
        "views.METHOD" => "VIEW",
        "views.METHOD.lookups.NAME" => "USE",
        _ => "OTHER",
    };
    let comma = if matches!(slot, "LISTENER" | "USE") {
        ", "
    } else {
        ""
    };
    let other = format!("kind = \"{kind}\"\n{keys}\nOTHER");
    let mut config = CONFIG.replace("OTHER", &other);
    config = config.replace(slot, &format!("{comma}{line}"));
    for slot in [
        "LIMITS", "LISTENER", "SERVER", "BACKEND", "LOOKUP", "ALL", "VIEW", "USE", "OTHER",
        "TRACES",
    ] {
        config = config.replace(slot, "");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    write("pages.thrift", IDL);
    write("airports.csv", "code,name\nJFK,Kennedy\n");
    write("tributary.toml", &config);
    let config = folder.path().join("tributary.toml");
    let problems = match check(config.to_str().expect("UTF-8"), &Registry::new()) {
        Ok(program) => return program,
        Err(problems) => problems,
    };
    let problems: Vec<String> = problems
        .iter()
        .map(|problem| problem.render(false))
        .collect();
    panic!("{path} = {value}: {}", problems.join("\n"));
}

/// A program's debug output, in which limits show up. Stores whose URLs may contain secrets do not show theirs.
fn shown(program: &Program) -> String {
    let backends = program.backends.iter().map(|backend| {
        let own = match &backend.config {
            AnyConfig::Sqlite(config) => format!("{config:?}"),
            AnyConfig::File(config) => format!("{config:?}"),
            AnyConfig::Http(config) => format!("{config:?}"),
            _ => String::new(),
        };
        let (in_flight, waiting) = (backend.in_flight_max, backend.waiting_max);
        format!("{own} {in_flight} {waiting} {}", backend.batch_max)
    });
    let backends: Vec<String> = backends.collect();
    let (limits, drain) = (program.limits, program.drain_timeout);
    let (listeners, plan) = (&program.listeners, program.plan("page").expect("a view"));
    let sharing: Vec<_> = (program.lookups.iter())
        .map(|lookup| &lookup.sharing)
        .collect();
    let traces = program.traces.as_ref().expect("they are configured");
    let traces = (traces.which, traces.queue, traces.batch_max);
    // The names of folders differ.
    let text =
        format!("{limits:?} {drain:?} {listeners:?} {plan:?} {backends:?} {sharing:?} {traces:?}");
    let words = text.split('"').filter(|word| !word.contains("/.tmp"));
    words.collect()
}

/// A value other than the default.
fn another(default: &str) -> String {
    match default.parse::<u32>() {
        Ok(number) => (number + 1).to_string(),
        Err(_) if default.ends_with("B\"") => "\"33MiB\"".into(),
        Err(_) => "\"77ms\"".into(),
    }
}

#[test]
fn each_limit_of_the_table_is_a_key_with_that_default() {
    let table = rows("limits", "| limit |");
    for row in &table {
        let path = row[0].trim_matches('`');
        let named = row[1].starts_with('`');
        let default = row[1].trim_matches('`');
        let hidden = ["redis", "memcached", "postgres", "mysql", "thrift"]
            .iter()
            .any(|kind| path.starts_with(&format!("backends.{kind}.")))
            // The file is read along with the configuration.
            || ["lookups.NAME.rows_max", "backends.file.bytes_max"].contains(&path);
        if !named {
            let value = if path.ends_with("_max") && !path.ends_with("_age_max") {
                "7"
            } else {
                "\"77ms\""
            };
            program(path, value);
            continue;
        }
        let with = shown(&program(path, default));
        // Another program of the same kind without the key.
        let (place, _) = path.rsplit_once('.').expect("a path");
        let place = if place.starts_with("backends.") {
            place
        } else {
            "backends.NAME"
        };
        let without = if path.starts_with(CACHE) {
            program(&format!("{CACHE}.ttl"), "\"30s\"")
        } else {
            program(&format!("{place}.in_flight_max"), "1024")
        };
        let without = shown(&without);
        assert_eq!(with, without, "{path} has another default");
        let changed = shown(&program(path, &another(default)));
        assert!(hidden || changed != without, "{path} does not show");
    }
    let known = format!("{:?}", LimitsConfig::default());
    let listed = table
        .iter()
        .filter(|row| row[0].starts_with("`server.limits."));
    assert_eq!(listed.count(), known.matches(": ").count(), "{known}");
}

#[test]
fn the_tables_of_keys_have_the_same_defaults() {
    let keys: Vec<(String, String)> = KINDS
        .iter()
        .flat_map(|(kind, _)| {
            let rows = rows(kind, "| key | default |").into_iter();
            rows.map(move |row| {
                (
                    format!("backends.{kind}.{}", row[0].trim_matches('`')),
                    row[1].clone(),
                )
            })
        })
        .collect();
    let kinds: Vec<String> = KINDS
        .iter()
        .map(|(kind, _)| format!("backends.{kind}."))
        .collect();
    for row in rows("limits", "| limit |") {
        let path = row[0].trim_matches('`');
        if kinds.iter().any(|kind| path.starts_with(kind)) {
            assert!(
                keys.contains(&(path.to_owned(), row[1].clone())),
                "{path} {}",
                row[1]
            );
        }
    }
}

#[test]
fn the_codes_and_metrics_in_the_table_exist() {
    let metrics = rows("metrics", "| metric |");
    let names: Vec<&str> = metrics.iter().map(|row| row[0].trim_matches('`')).collect();
    let reasons = &metrics
        .iter()
        .find(|row| row[0].contains("connections_closed"));
    let reasons = &reasons.expect("a metric")[2];
    for row in rows("limits", "| limit |") {
        assert!(row[4].contains('`'), "{row:?}");
        for word in row[3..]
            .iter()
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        {
            let known = names.contains(&word)
                || Code::parse(word).is_some()
                || Fate::parse(word).is_some()
                || reasons.contains(&format!("`{word}`"))
                || word == "queue";
            assert!(known, "{word}: {row:?}");
        }
    }
}

#[test]
fn lookups_over_the_waiting_limit_are_shed() {
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let store = format!(
        "[backends.silent]\nkind = \"http\"\nurl = \"http://{}\"\nin_flight_max = 1\nwaiting_max = 1\n\
         [lookups.far]\nbackend = \"silent\"\nget = \"/{{code}}\"\n[views.slow]\ndeadline = \"1h\"\n",
        silent.local_addr().expect("bound")
    );
    let (before, after) = AIRPORTS.split_once("[lookups.far]").expect("a lookup");
    let (_, after) = after.split_once("[views.get.lookups]").expect("a view");
    let config = format!(
        "admin = {{ listen = \"127.0.0.1:0\" }}\n{before}{store}[views.get.lookups]{after}"
    );
    let mut server = Tributary::start(&config, &AIRPORT_FILES);
    let admin = server.admin();
    let lookups = |state: &str| {
        let name = format!("tributary_backend_{state}_lookups");
        scrape(admin).count(&name, &[("backend", "silent")])
    };
    let shed = || {
        let fate = [("method", "slow"), ("lookup", "airport"), ("fate", "shed")];
        scrape(admin).count("tributary_lookups_total", &fate)
    };
    let mut wires = vec![server.connect()];
    wires[0].send_frame(&message(1, "slow", 1, "ONE"));
    patiently(|| lookups("in_flight") == 1);
    // More may wait until the store has been silent for a while.
    let reply = loop {
        let mut wire = server.connect();
        wire.send_frame(&message(1, "slow", 2, "SIX"));
        patiently(|| lookups("waiting") == wires.len() || shed() > 0);
        if shed() > 0 {
            break wire.read_frame();
        }
        wires.push(wire);
    };
    assert!(wires.len() > 2, "a burst waits");
    assert!(String::from_utf8_lossy(&reply).contains("lookup.shed"));
    assert_eq!(shed(), 1);
}
