//! One caller overloads the server.

use super::{Calls, Incident, prints};
use crate::admin::patiently;
use crate::support::Redis;

const TITLE: &str = "One caller overloads the server";

fn start(redis: &Redis, more: &str) -> Incident {
    let store = format!("kind = \"redis\"\nurl = \"redis://{}\"", redis.addr);
    let lookup = "get = \"page:{id}\"\ntimeout = \"200ms\"";
    Incident::start(TITLE, [&store, lookup], more)
}

#[test]
fn a_caller_beyond_its_limit_is_counted() {
    let redis = Redis::start();
    let incident = start(&redis, "[callers.\"*\"]\nrate = \"1/h\"\nburst = 1");
    assert_eq!(incident.text(), "none");
    let path = incident.server.folder().join("tributary.toml");
    let addr = incident.server.addr.to_string();
    let path = path.to_string_lossy();
    let refused = prints(&["call", "-c", &path, "--addr", &addr, "page", "id=1"]);
    assert!(refused.contains("call.rate_limited"), "{refused}");
    incident.assert_quotes(
        "tributary_caller_calls_total{caller=\"*\",outcome=\"rate\"} 1",
        || incident.of_port("/metrics"),
    );
    let calls = Calls::start(&incident);
    incident.assert_quotes("caller: rate", || incident.prints(&["top", "--once"]));
    incident.assert_alert("TributaryCallerLimited", "* is refused", || ());
    drop(calls);
    incident.assert_no_alert("TributaryCallerLimited", || ());
}

#[test]
fn without_limits_the_server_refuses_and_a_tap_shows_who_calls() {
    let redis = Redis::start();
    let incident = start(&redis, "[server.limits]\ncalls_max = 1");
    patiently(|| incident.text() == "none");
    redis.signal("STOP");
    let calls = [Calls::start(&incident), Calls::start(&incident)];
    incident.assert_quotes("overloaded: calls_max", || {
        incident.prints(&["top", "--once"])
    });
    let summary = "of all calls are refused: calls_max";
    incident.assert_alert("TributaryOverloaded", summary, || ());
    let tapped = incident.prints(&["tap", "--limit", "1"]);
    assert!(tapped.contains(" page "), "{tapped}");
    assert!(tapped.contains(", connection "), "{tapped}");
    drop(calls);
    redis.signal("CONT");
    incident.assert_no_alert("TributaryOverloaded", || ());
}
