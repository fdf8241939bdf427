//! What `else` names is asked when a lookup fails: another backend, then another lookup.

use std::process::Command;

use serde_json::{Value as Json, json};

use crate::admin::{patiently, scrape};
use crate::support::{Redis, Tributary};

const IDL: &str = r#"
include "tributary.thrift"
struct Reply { 1: optional string name, 2: optional tributary.Report report }
service S { Reply get(1: string id) }
"#;

fn config(main: &Redis, replica: &Redis) -> String {
    format!(
        r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "s.thrift"
workers = 1
[backends.main]
kind = "redis"
url = "redis://{}"
[backends.replica]
kind = "redis"
url = "redis://{}"
[backends.old]
kind = "file"
path = "names.csv"
[lookups.name]
backend = "main"
get = "name:{{id}}"
timeout = "150ms"
[lookups.old_name]
backend = "old"
key = {{ id = "{{id}}" }}
rows = "one"
columns = ["name"]
[views.get]
report = true
[views.get.lookups]
name = {{ use = "name", else = ["replica", "old"], default = "nobody" }}
old = {{ use = "old_name", timeout = "50ms" }}
"#,
        main.addr, replica.addr
    )
}

fn get(server: &Tributary, id: &str) -> Json {
    server.call(&["get", &format!("id={id}")])
}

/// The value, its backend, what was asked last instead of the lookup, and why the lookup itself failed.
fn told(reply: &Json) -> [&Json; 4] {
    let lookup = &reply["report"]["lookups"][0];
    [
        &reply["name"],
        &lookup["backend"],
        &lookup["answered_by"],
        &lookup["first_code"],
    ]
}

#[test]
fn a_replica_answers_for_a_store_that_is_down_and_an_old_table_for_both() {
    let (main, replica) = (Redis::start(), Redis::start());
    main.run("set name:7 Ann");
    replica.run("set name:7 Anna");
    let names = "id,name\n7,Annie\n";
    let config = config(&main, &replica);
    let mut server = Tributary::start(&config, &[("s.thrift", IDL), ("names.csv", names)]);
    let admin = server.admin();
    let counted = |fallback: &str, outcome: &str| {
        let labels = [
            ("lookup", "name"),
            ("fallback", fallback),
            ("outcome", outcome),
        ];
        scrape(admin).count("tributary_fallbacks_total", &labels)
    };
    patiently(|| get(&server, "7")["name"] == json!("Ann"));
    patiently(|| scrape(admin).count("tributary_backend_up", &[("backend", "replica")]) == 1);
    let reply = get(&server, "7");
    let none = &Json::Null;
    assert_eq!(told(&reply), [&json!("Ann"), &json!("main"), none, none]);
    assert_eq!(
        (counted("replica", "answered"), counted("old", "answered")),
        (0, 0)
    );

    drop(main);
    let reply = get(&server, "7");
    assert_eq!(
        told(&reply)[..3],
        [&json!("Anna"), &json!("replica"), &json!("replica")]
    );
    let code = told(&reply)[3].as_str().expect("a code").to_owned();
    assert!(
        ["lookup.unavailable", "lookup.timeout"].contains(&&*code),
        "{code}"
    );
    assert_eq!(reply["report"]["complete"], json!(true), "{reply}");
    assert_eq!(counted("replica", "answered"), 1);
    let empty = get(&server, "8");
    assert_eq!(
        empty["report"]["lookups"][0]["answered_by"],
        json!("replica")
    );
    assert_eq!(
        counted("replica", "empty"),
        1,
        "the default is for what no store has"
    );
    assert_eq!(empty["name"], json!("nobody"));

    drop(replica);
    let reply = get(&server, "7");
    assert_eq!(
        told(&reply)[..3],
        [&json!("Annie"), &json!("old"), &json!("old")]
    );
    assert_eq!(
        (counted("replica", "failed"), counted("old", "answered")),
        (1, 1)
    );
    let failed = scrape(admin).samples("tributary_lookup_failures_total", &[("lookup", "name")]);
    let failed: usize = failed.iter().map(|(_, count)| count).sum();
    assert_eq!(failed, 4, "each attempt that failed");
}

#[test]
fn the_chain_and_its_worst_case_are_explained() {
    let (main, replica) = (Redis::start(), Redis::start());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tributary.toml");
    let files = [("s.thrift", IDL), ("names.csv", "id,name\n7,Annie\n")];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    std::fs::write(&path, config(&main, &replica)).expect("the folder is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.arg("explain").arg("-c").arg(&path).arg("get");
    let output = command.output().expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let chain = "else replica (redis replica, timeout 150ms), then old (file old, timeout 50ms), default \"nobody\"";
    assert!(text.contains(chain), "{text}");
    let worst = "worst case: 350ms of the deadline's 1s: name 150ms + replica 150ms + old 50ms";
    assert!(text.contains(worst), "{text}");
}
