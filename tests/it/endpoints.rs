//! Several equal services behind one backend: they hang, die and change places while calls go on.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tributary::cli::call_json;
use tributary::program::{Program, Registry, check};

use crate::admin::{get, patiently, scrape};
use crate::support::{Tributary, free_port};

const WHO: &str = "service Who { string who(1: i64 n) }";
const FRONT: &str = r#"
include "tributary.thrift"
struct Reply { 1: optional string who, 2: optional tributary.Report report }
service Front { Reply get(1: i64 n) }
"#;

/// A service that says its name.
fn who(name: &str) -> Tributary {
    let config = r#"
[server]
idl = "who.thrift"
workers = 1
[backends.names]
kind = "file"
path = "names.csv"
[lookups.name]
backend = "names"
rows = "value"
[views.who.lookups]
name = { use = "name", emit = true, required = true }
"#;
    let names = format!("name\n{name}\n");
    Tributary::start(config, &[("who.thrift", WHO), ("names.csv", &names)])
}

/// A server that asks the services listed in `targets.json`.
struct Front {
    server: Tributary,
    admin: SocketAddr,
    program: Arc<Program>,
}

impl Front {
    fn start(services: &[&Tributary], keys: &str) -> Self {
        Front::start_with(services, keys, "")
    }

    /// Its backend and its lookup have these keys.
    fn start_with(services: &[&Tributary], keys: &str, of_lookup: &str) -> Self {
        let config = format!(
            r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "front.thrift"
workers = 1
[backends.who]
kind = "thrift"
endpoints = "file:targets.json"
idl = "who.thrift"
connections = 2
{keys}
[lookups.who]
backend = "who"
call = "who"
timeout = "300ms"
{of_lookup}
[views.get]
deadline = "10s"
report = true
[views.get.lookups]
who = {{}}
"#
        );
        let files = [
            ("front.thrift", FRONT),
            ("who.thrift", WHO),
            ("targets.json", &targets(services)),
        ];
        let mut server = Tributary::start(&config, &files);
        let admin = server.admin();
        let path = server.folder().join("tributary.toml");
        let program = check(&path.to_string_lossy(), &Registry::new());
        let program = Arc::new(program.unwrap_or_else(|all| panic!("{}", all[0].render(false))));
        Front {
            server,
            admin,
            program,
        }
    }

    /// Which server has answered; empty if none has.
    fn get(&self) -> String {
        ask(self.server.addr, &self.program)
    }

    /// What the report says of how many endpoints were asked: `attempts` and `hedged`.
    fn attempts(&self) -> (Option<i64>, Option<bool>) {
        let reply = call_json(self.server.addr, &self.program, "get", r#"{"n": 1}"#);
        let reply: serde_json::Value =
            serde_json::from_str(&reply.expect("a reply")).expect("JSON");
        let lookup = &reply["report"]["lookups"][0];
        (lookup["attempts"].as_i64(), lookup["hedged"].as_bool())
    }

    /// Who answers how many of so many calls; an empty name stands for no server.
    fn ask(&self, calls: usize) -> Vec<String> {
        (0..calls).map(|_| self.get()).collect()
    }

    /// Whether a service is asked; `None` if it is not in use.
    fn up(&self, service: &Tributary) -> Option<usize> {
        let (addr, scrape) = (service.addr.to_string(), scrape(self.admin));
        let labels = [("backend", "who"), ("endpoint", addr.as_str())];
        let known = scrape.sum("tributary_endpoint_lookups_total", &labels[..1]) > 0;
        let outcomes = scrape.series("tributary_endpoint_up", &labels);
        (known && outcomes > 0).then(|| scrape.count("tributary_endpoint_up", &labels))
    }

    /// Has other services asked from now on, and waits until it is so.
    fn change_to(&self, services: &[&Tributary]) {
        let path = self.server.folder().join("targets.json");
        replace(&path, &targets(services));
        patiently(|| {
            let in_use = scrape(self.admin).series("tributary_endpoint_up", &[("backend", "who")]);
            let all = services.iter().all(|service| {
                let addr = service.addr.to_string();
                let labels = [("endpoint", addr.as_str())];
                scrape(self.admin).series("tributary_endpoint_up", &labels) == 1
            });
            all && in_use == services.len()
        });
    }
}

fn ask(addr: SocketAddr, program: &Program) -> String {
    let reply = call_json(addr, program, "get", r#"{"n": 1}"#).expect("a reply");
    let reply: serde_json::Value = serde_json::from_str(&reply).expect("JSON");
    reply["who"].as_str().unwrap_or_default().to_owned()
}

fn targets(services: &[&Tributary]) -> String {
    let addrs: Vec<String> = services.iter().map(|of| of.addr.to_string()).collect();
    format!(r#"[{{"targets": {addrs:?}, "labels": {{"zone": "a"}}}}]"#)
}

fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).expect("the folder is ours");
    std::fs::rename(&next, path).expect("the folder is ours");
}

fn signal(service: &Tributary, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &service.id().to_string()])
        .status();
    assert!(sent.expect("kill exists").success());
}

/// The endpoint and the fate of the last call that is kept.
fn last_call(admin: SocketAddr) -> (String, String) {
    let (_, body) = get(admin, "/calls?limit=1");
    let calls: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let lookup = &calls["calls"][0]["lookups"][0];
    let text = |key: &str| lookup[key].as_str().unwrap_or_default().to_owned();
    (text("endpoint"), text("fate"))
}

#[test]
fn calls_that_are_kept_name_the_endpoint_that_answered_or_did_not() {
    let service = who("a");
    let addr = service.addr.to_string();
    let front = Front::start(&[&service], "");
    patiently(|| front.get() == "a");
    patiently(|| last_call(front.admin) == (addr.clone(), "ok".to_owned()));
    signal(&service, "STOP");
    assert_eq!(front.get(), "", "no server answers in time");
    patiently(|| last_call(front.admin) == (addr.clone(), "timeout".to_owned()));
    signal(&service, "CONT");
}

#[test]
fn the_report_says_how_many_endpoints_were_asked_if_there_were_several() {
    let services = ["a", "b"].map(who);
    let [a, b] = &services;
    let keys = "breaker = { mode = \"off\" }\nbalance = \"round_robin\"";
    let hedge = "hedge = { after = \"20ms\", budget = 1.0, min_per_second = 100 }";
    let front = Front::start_with(&[a, b], keys, hedge);
    patiently(|| front.get() == "a");
    patiently(|| front.get() == "b");
    patiently(|| front.attempts() == (None, None));
    signal(a, "STOP");
    patiently(|| front.attempts() == (Some(2), Some(true)));
    patiently(|| {
        front.get();
        let (_, body) = get(front.admin, "/calls?limit=1");
        let calls: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let lookup = &calls["calls"][0]["lookups"][0];
        let times = ["started_us", "hedged_us", "done_us"].map(|time| lookup[time].as_u64());
        (&lookup["attempts"], &lookup["hedged"]) == (&2.into(), &true.into())
            && times.iter().all(Option::is_some)
            && times.is_sorted()
    });
    // Both hang: the time of the lookup is over, and the report says so.
    signal(b, "STOP");
    patiently(|| front.attempts() == (Some(2), Some(true)));
    for service in &services {
        signal(service, "CONT");
    }
    patiently(|| front.attempts() == (None, None));
}

#[test]
fn one_of_three_hangs_and_comes_back_and_another_one_dies() {
    let services = ["a", "b", "c"].map(who);
    let [a, b, c] = &services;
    let mut front = Front::start(&[a, b, c], "retry = {}\nbreaker = { consecutive = 3 }");
    patiently(|| {
        let mut names = front.ask(60);
        names.sort_unstable();
        names.dedup();
        names == ["a", "b", "c"]
    });
    signal(a, "STOP");
    patiently(|| {
        front.get();
        front.up(a) == Some(0)
    });
    let names = front.ask(200);
    let missing = names.iter().filter(|name| name.is_empty()).count();
    assert!(missing <= 10, "{missing} probes of 200");
    assert!(!names.contains(&"a".to_owned()));
    signal(a, "CONT");
    patiently(|| front.get() == "a");
    // Until it has answered more than once, it remains ejected.
    patiently(|| {
        front.get();
        front.up(a) == Some(1)
    });
    front.server.wait_for_line("endpoint is ejected");
    front.server.wait_for_line("endpoint is asked again");

    let [_a, b, _c] = services;
    let gone = b.addr.to_string();
    b.kill();
    let names = front.ask(200);
    assert!(
        names.iter().all(|name| name == "a" || name == "c"),
        "what was under way is asked again elsewhere: {names:?}"
    );
    patiently(|| {
        let labels = [("backend", "who"), ("endpoint", gone.as_str())];
        scrape(front.admin).count("tributary_endpoint_up", &labels) == 0
    });
}

#[test]
fn a_service_that_hangs_costs_no_call_if_another_is_asked_meanwhile() {
    let services = ["a", "b"].map(who);
    let [a, b] = &services;
    let hedge = "hedge = { after = \"20ms\", budget = 1.0 }";
    let front = Front::start_with(&[a, b], "breaker = { mode = \"off\" }", hedge);
    patiently(|| {
        let names = front.ask(20);
        names.contains(&"a".into()) && names.contains(&"b".into())
    });
    let counts = || {
        let scrape = scrape(front.admin);
        let hedges = [("backend", "who"), ("outcome", "won")];
        let answers = [("backend", "who"), ("source", "hedged")];
        [
            scrape.sum("tributary_endpoint_hedges_total", &hedges),
            scrape.sum("tributary_lookup_answers_total", &answers),
        ]
    };
    signal(a, "STOP");
    let [before, _] = counts();
    patiently(|| {
        assert_eq!(front.ask(10), vec!["b"; 10]);
        counts()[0] >= before + 5
    });
    let [won, answered] = counts();
    assert_eq!(won, answered, "the source of each says so");
    signal(a, "CONT");
    patiently(|| front.get() == "a");
}

#[test]
fn services_change_under_load_and_no_call_is_lost() {
    let services = ["a", "b", "c"].map(who);
    let [a, b, c] = &services;
    let front = Front::start(&[a], "");
    let stop = Arc::new(AtomicBool::new(false));
    let callers = [(); 3].map(|()| {
        let (stop, program) = (Arc::clone(&stop), Arc::clone(&front.program));
        let addr = front.server.addr;
        thread::spawn(move || {
            let mut names = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                names.push(ask(addr, &program));
            }
            names
        })
    });
    for in_use in [&[b][..], &[a, b, c], &[c], &[a, c], &[b]] {
        front.change_to(in_use);
    }
    // An empty list, and half of a list, change nothing.
    for nonsense in ["[]", "[{\"targets\": ["] {
        let count = |what| {
            let labels = [("backend", "who"), ("outcome", what)];
            scrape(front.admin).count("tributary_endpoint_discoveries_total", &labels)
        };
        let before = count("empty") + count("failed");
        replace(&front.server.folder().join("targets.json"), nonsense);
        patiently(|| count("empty") + count("failed") > before);
        assert_eq!(front.up(b), Some(1));
    }
    stop.store(true, Ordering::Relaxed);
    let names = callers.map(|caller| caller.join().expect("no call failed"));
    let names = names.concat();
    assert!(names.len() > 100, "{} calls are few", names.len());
    let lost = names.iter().filter(|name| name.is_empty()).count();
    assert_eq!(lost, 0, "of {}", names.len());
    for name in ["a", "b", "c"] {
        assert!(names.iter().any(|one| one == name), "{name} was asked");
    }
}

#[test]
fn check_connect_prints_what_sources_say_and_who_accepts() {
    let accepts = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = accepts.local_addr().expect("it is bound").port();
    let dead = free_port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    write("front.thrift", FRONT);
    write("who.thrift", WHO);
    write(
        "targets.json",
        &format!(r#"[{{"targets": ["127.0.0.1:{port}", "127.0.0.1:{dead}"]}}]"#),
    );
    write(
        "tributary.toml",
        r#"
[server]
idl = "front.thrift"
[backends.who]
kind = "thrift"
endpoints = ["file:targets.json", "file:missing.json"]
idl = "who.thrift"
[lookups.who]
backend = "who"
call = "who"
[views.get.lookups]
who = {}
"#,
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.arg("check").arg("--connect").arg("-c");
    let output = command.arg(folder.path().join("tributary.toml")).output();
    let output = output.expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    for wanted in [
        "who: file:targets.json names 127.0.0.1:".into(),
        "who: 1 of 2 accepted a connection".into(),
        format!("at 127.0.0.1:{dead}: Connection refused"),
        "file:missing.json: No such file".into(),
    ] {
        assert!(said.contains(&wanted), "{wanted}\n{said}");
    }
    assert_eq!(output.status.code(), Some(1));
}

/// What is wrong with a configuration whose backend has these keys.
fn problems(keys: &str) -> Vec<String> {
    problems_of(keys, "")
}

/// What is wrong if the lookup has more keys too.
fn problems_of(keys: &str, of_lookup: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    write("front.thrift", FRONT);
    write("who.thrift", WHO);
    let config = format!(
        "[server]\nidl = \"front.thrift\"\n[backends.who]\nkind = \"thrift\"\nidl = \"who.thrift\"\n{keys}\n\
         [lookups.who]\nbackend = \"who\"\ncall = \"who\"\ntimeout = \"200ms\"\n{of_lookup}\n[views.get.lookups]\nwho = {{}}\n"
    );
    write("tributary.toml", &config);
    let path = folder.path().join("tributary.toml");
    let problems = check(&path.to_string_lossy(), &Registry::new());
    let problems = problems.err().unwrap_or_default().into_iter();
    problems
        .map(|of| format!("{} {}: {}", of.code, of.key, of.message))
        .collect()
}

#[test]
fn a_policy_that_cannot_work_is_a_problem() {
    let dns = "endpoints = \"dns:who.internal:9090\"";
    assert_eq!(
        problems(&format!("{dns}\nbalance = \"hash\"\nhash_on = \"m\"")),
        [
            "config.unknown_name lookups.who: its backend has `hash_on = \"m\"`, and the lookup has no such parameter"
        ]
    );
    assert!(problems(&format!("{dns}\nbalance = \"hash\"\nhash_on = \"n\"")).is_empty());
    assert_eq!(
        problems(&format!("{dns}\nretry = {{}}")),
        [
            "config.clash lookups.who: `retry` has no time: the lookup has 200ms, and one attempt to connect may take 250ms"
        ]
    );
    assert!(problems(&format!("{dns}\nretry = {{}}\nconnect_timeout = \"50ms\"")).is_empty());
    assert_eq!(
        problems_of(dns, "hedge = { after = \"200ms\" }"),
        [
            "config.clash lookups.who: `hedge` has no time: the lookup has 200ms, and a second endpoint is asked after 200ms"
        ]
    );
    assert!(problems_of(dns, "hedge = { after = \"199ms\" }").is_empty());
    assert_eq!(
        problems(&format!("{dns}\nurl = \"thrift://127.0.0.1:1\"")),
        ["config.clash backends.who.url: `url` and `endpoints` both say where it is"]
    );
}
