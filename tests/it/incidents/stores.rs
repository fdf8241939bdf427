//! A store is down behind a default, hung or gone; or it is slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{Calls, Incident, prints};
use crate::admin::patiently;
use crate::support::Redis;
use crate::support::stub::{Stub, answer};

const DOWN: &str = "A store is down behind a default";

fn behind_a_default(redis: &Redis) -> Incident {
    let store = format!("kind = \"redis\"\nurl = \"redis://{}\"", redis.addr);
    let lookup = "get = \"page:{id}\"\ntimeout = \"200ms\"";
    Incident::start(DOWN, [&store, lookup], "")
}

#[test]
fn a_store_that_hangs_behind_a_default_is_seen_and_its_return_too() {
    let redis = Redis::start();
    redis.run("set page:1 text");
    let incident = behind_a_default(&redis);
    patiently(|| incident.text() == "text");
    assert!(prints(&["health", "--addr", &incident.admin]).contains("ready"));
    redis.signal("STOP");
    incident.assert_quotes("tributary_backend_up{backend=\"pages\"} 0", || {
        assert_eq!(incident.text(), "none");
        incident.of_port("/metrics")
    });
    assert_eq!(incident.row_of_store()[0], "down");
    let now = incident.now();
    let mut stores = now["backends"].as_array().expect("a list").iter();
    let store = stores.find(|of| of["backend"] == "pages");
    assert_eq!(store.expect("it is there")["up"], false);
    incident.assert_says("\"up\":false");
    incident.assert_alert(
        "TributaryStoreDown",
        "The store pages does not answer",
        || (),
    );
    redis.signal("CONT");
    incident.assert_quotes("tributary_backend_up{backend=\"pages\"} 1", || {
        incident.text();
        incident.of_port("/metrics")
    });
    assert_eq!(incident.row_of_store()[0], "up");
    incident.assert_no_alert("TributaryStoreDown", || ());
}

#[test]
fn a_store_that_is_gone_behind_a_default_is_named_by_the_calls() {
    let redis = Redis::start();
    let incident = behind_a_default(&redis);
    patiently(|| incident.text() == "none");
    drop(redis);
    let failed = || {
        assert_eq!(incident.text(), "none");
        incident.of_port("/calls?list=failed&limit=1")
    };
    incident.assert_quotes(
        "\"fate\":\"default\",\"code\":\"lookup.unavailable\"",
        failed,
    );
    incident.assert_quotes("\"outcome\":\"partial\"", failed);
    let _calls = Calls::start(&incident);
    for (name, summary) in [
        ("TributaryStoreDown", "The store pages does not answer"),
        (
            "TributaryLookupsFail",
            "of the calls of page: lookup.unavailable",
        ),
        (
            "TributaryCallsPartial",
            "of the replies of page lack a part",
        ),
    ] {
        incident.assert_alert(name, summary, || ());
    }
    let mut alerts = incident.prometheus.alerts().into_iter();
    assert!(alerts.all(|alert| alert != "TributaryCallsFail"));
    patiently(|| {
        let row = incident.row_of_store();
        assert_eq!(row[0], "down");
        row[1] == row[2] && row[1] != "0"
    });
    incident.assert_quotes("tributary_backend_up{backend=\"pages\"} 0", || {
        incident.of_port("/metrics")
    });
}

#[test]
fn a_slow_store_is_the_lookup_that_decides() {
    let is_slow = Arc::new(AtomicBool::new(true));
    let slows = Arc::clone(&is_slow);
    let store = Stub::start(move |_| {
        let (_sender, never) = channel::<()>();
        if slows.load(Ordering::Relaxed) {
            // Slower than the threshold of the alert.
            let _timed_out = never.recv_timeout(Duration::from_millis(1200));
        }
        answer("200 OK", "content-type: application/json\r\n", "\"text\"")
    });
    let backend = format!("kind = \"http\"\nurl = \"http://{}\"", store.addr);
    let lookup = "get = \"/{id}\"\ntimeout = \"9s\"";
    let views = "[views.page]\ndeadline = \"9s\"";
    let incident = Incident::start("A store is slow", [&backend, lookup], views);
    let calls = Calls::start(&incident);
    let ended_slow = || incident.of_port("/calls?list=slowest&limit=1");
    incident.assert_quotes("\"critical\":true", ended_slow);
    let tap = ["tap", "page", "--slower", "1s", "--limit", "1"];
    let tapped = incident.prints(&tap);
    incident.assert_says("decided by text");
    assert!(tapped.contains("decided by text"), "{tapped}");
    patiently(|| incident.row_of_store()[3] == "1");
    let live = incident.prints(&["explain", "--live", "page"]);
    let words: Vec<&str> = live.split_whitespace().collect();
    let decides = ["text", "100", "%"];
    assert!(words.windows(3).any(|of| of == decides), "{live}");
    let summary = "of the calls of page takes more than a second";
    incident.assert_alert("TributaryCallsSlow", summary, || ());
    is_slow.store(false, Ordering::Relaxed);
    incident.assert_no_alert("TributaryCallsSlow", || ());
    drop(calls);
}

#[test]
fn a_store_that_is_too_slow_for_its_lookups_times_out() {
    let redis = Redis::start();
    let store = format!("kind = \"redis\"\nurl = \"redis://{}\"", redis.addr);
    let lookup = "get = \"page:{id}\"\ntimeout = \"200ms\"";
    let incident = Incident::start("A store is slow", [&store, lookup], "");
    patiently(|| incident.text() == "none");
    redis.signal("STOP");
    incident.assert_quotes("\"code\":\"lookup.timeout\"", || {
        incident.text();
        incident.of_port("/calls?list=slowest&limit=1")
    });
    let summary = "of the calls of page: lookup.timeout";
    incident.assert_alert("TributaryLookupsFail", summary, || {
        incident.text();
    });
    redis.signal("CONT");
}
