//! A server over MariaDB that comes and goes, from a client's side.

use std::process::Command;

use crate::support::{Mysql, Tributary, free_port};

const IDL: &str = "struct Airport { 1: required string code, 2: optional i32 altitude, 3: optional bool open, 4: optional string since }
struct Reply { 1: required i64 count, 2: optional list<Airport> airports }
service S { Reply get(1: list<string> codes) }";

const TABLES: &str = "create or replace table airports (code char(3) primary key, altitude int, open tinyint(1), since date);
insert into airports values ('JFK', 13, 1, '1948-07-01'), ('LGA', 21, null, null), ('EWR', 18, 0, '1928-10-01');";

fn config(port: u16) -> String {
    format!(
        r#"
[server]
idl = "s.thrift"

[backends.places]
kind = "mysql"
url = "mysql://root@127.0.0.1:{port}/test"

[lookups.airport]
backend = "places"
sql = "select * from airports where code in (:code)"
rows = "one"
batch = {{ key = "code" }}

[lookups.count]
backend = "places"
sql = "select count(*) from airports"
rows = "value"

[views.get.lookups]
count = {{ use = "count", default = -1 }}
airports = {{ use = "airport", foreach = "codes", with = {{ code = "item" }} }}
"#
    )
}

/// `get` of four codes, one of them twice and one unknown.
fn get(server: &Tributary) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(["call", "get", r#"codes=["JFK","XXX","LGA","JFK"]"#])
        .args(["--addr", &server.addr.to_string(), "--idl"])
        .arg(server.folder().join("s.thrift"))
        .output()
        .expect("the program itself");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_server_that_was_never_there_is_found_when_it_comes_and_lost_when_it_goes() {
    let port = free_port();
    let server = Tributary::start(&config(port), &[("s.thrift", IDL)]);
    let down = serde_json::json!({ "count": -1 });
    assert_eq!(get(&server), down);
    let jfk =
        serde_json::json!({ "code": "JFK", "altitude": 13, "open": true, "since": "1948-07-01" });
    let lga = serde_json::json!({ "code": "LGA", "altitude": 21 });
    let up = serde_json::json!({ "count": 3, "airports": [jfk, lga, jfk] });
    let mut data = Some(Mysql::data(TABLES));
    for _ in 0..2 {
        let Ok(mysql) = Mysql::start_on(port, data.take().expect("given back")) else {
            panic!("the port is still free")
        };
        // Each try is a process of its own, which takes a while: connections come back long before the last.
        assert!(
            (0..500).any(|_| get(&server) == up),
            "it finds MariaDB: {}",
            get(&server)
        );
        data = Some(mysql.stop());
        assert!(
            (0..500).any(|_| get(&server) == down),
            "it sees that MariaDB is gone"
        );
    }
}
