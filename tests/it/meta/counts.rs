//! Metrics of the service: a fetch counts as a call of its view, all other methods are counted together.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::doors::{fetch, message};
use crate::support::Tributary;
use crate::support::airports::{CONFIG, FILES};

fn scrape(admin: SocketAddr) -> String {
    let mut stream = TcpStream::connect(admin).expect("the port is open");
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    answer
}

#[test]
fn a_fetch_counts_as_a_call_of_its_view() {
    let config = format!("{CONFIG}\n[admin]\n  listen = \"127.0.0.1:0\"\n");
    let mut server = Tributary::start(&config, &FILES);
    let admin = server.admin();
    let mut wire = server.connect();
    let mut call = |name: &str, body: &[u8]| {
        wire.send_frame(&message(1, name, body));
        wire.read_frame()
    };
    call("Tributary:fetch", &fetch("get", "JFK"));
    call("Tributary:fetch", &fetch("get", "LAX"));
    call("Tributary:fetch", &fetch("get", "???"));
    // Parameters that do not fit count as a failed call; an unknown view is not counted.
    call("Tributary:fetch", &fetch("get", "")[..10]);
    call("Tributary:fetch", &fetch("got", "JFK"));
    call("Tributary:health", &[0]);
    call("Tributary:explain", &[0]);
    let scraped = scrape(admin);
    for (method, outcome, count) in [
        ("get", "ok", 2),
        ("get", "call.required_empty", 1),
        ("get", "call.bad_params", 1),
        ("_TRIBUTARY", "ok", 1),
        ("_TRIBUTARY", "call.unknown_method", 2),
    ] {
        let line =
            format!("tributary_calls_total{{method=\"{method}\",outcome=\"{outcome}\"}} {count}\n");
        assert!(scraped.contains(&line), "{line}{scraped}");
    }
    let others = "method=\"_OTHER\",outcome=\"call.unknown_method\"";
    assert!(!scraped.contains(others), "{scraped}");
    let line = "tributary_lookups_total{method=\"get\",lookup=\"airport\",fate=\"ok\"} 2\n";
    assert!(scraped.contains(line), "{scraped}");
}
