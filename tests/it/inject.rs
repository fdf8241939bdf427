//! `server.inject`: a caller asks for faults in its own call, and no other caller notices.

use crate::admin::get;
use crate::admin::scrape::Scrape;
use crate::header::{CALL, frame, pairs, read};
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;
use crate::support::{Tributary, Wire};

const CHAOS: &str = "Bearer 0123456789abcdef-chaos";

fn server(inject: &str) -> Tributary {
    let above = format!(
        "admin = {{ listen = \"127.0.0.1:0\" }}\n[server]\ntokens = {{ chaos = \"file:chaos.token\" }}\n{inject}\n\
         listeners = [{{ listen = \"127.0.0.1:0\", plain_tokens = true }}]"
    );
    let token = [("chaos.token", &CHAOS["Bearer ".len()..])];
    let files = [&FILES[..], &token].concat();
    Tributary::start(&CONFIG.replace("[server]", &above), &files)
}

/// The reply to a call of `get` with these headers.
fn ask(wire: &mut Wire, headers: &[(&str, &str)]) -> String {
    wire.send(&frame(9, &pairs(headers), &message(CALL, "get", 1, "JFK")));
    String::from_utf8_lossy(&read(wire, 9, 0).0).into_owned()
}

#[track_caller]
fn assert_says(reply: &str, words: &[&str]) {
    assert!(
        words.iter().all(|word| reply.contains(word)),
        "expected {words:?}: {reply}"
    );
}

#[test]
fn a_caller_that_may_inject_faults_gets_them_and_nobody_else_does() {
    let mut server = server("inject = [\"token:chaos\"]");
    let tokens = server.next_port();
    let admin = server.admin();
    let mut chaos = Wire::connect(tokens);
    let by = ("authorization", CHAOS);
    let fails = ("tributary-inject", "airport=error:unavailable");
    let failed = ["call.required_failed", "lookup.unavailable"];
    for _ in 0..20 {
        assert_says(&ask(&mut chaos, &[by, fails]), &failed);
    }
    assert_says(
        &ask(
            &mut chaos,
            &[by, ("tributary-inject", "backend/airports=error:refused")],
        ),
        &["lookup.refused"],
    );
    let hangs = [
        by,
        ("tributary-inject", "*=hang"),
        ("deadline-budget", "20"),
    ];
    assert_says(&ask(&mut chaos, &hangs), &["call.deadline"]);
    assert_says(
        &ask(&mut chaos, &[by, ("tributary-inject", "far=hang")]),
        &["Kennedy"],
    );
    assert_says(
        &ask(
            &mut chaos,
            &[by, ("tributary-inject", "airport=trickle:1MiB")],
        ),
        &["Kennedy"],
    );
    let trickles = [
        by,
        ("tributary-inject", "airport=trickle:1B"),
        ("deadline-budget", "50"),
    ];
    assert_says(&ask(&mut chaos, &trickles), &["call.deadline"]);
    assert_says(
        &ask(&mut chaos, &[by, ("tributary-inject", "airport=slowly")]),
        &["call.bad_params", "`airport=slowly`"],
    );
    let unknown = [by, ("tributary-inject", "nix=hang")];
    assert_says(
        &ask(&mut chaos, &unknown),
        &["call.bad_params", "there is no lookup `nix`"],
    );
    // Callers without the right, and calls without the wish.
    assert_says(&ask(&mut chaos, &[by]), &["Kennedy"]);
    let mut other = Wire::connect(tokens);
    assert_says(&ask(&mut other, &[fails]), &["call.forbidden"]);
    assert_says(&ask(&mut other, &[]), &["Kennedy"]);
    let scrape = Scrape::read(&get(admin, "/metrics").1);
    let up = scrape.number("tributary_backend_up", &[("backend", "airports")]);
    assert!(up > 0.5, "the store has not failed");
}

#[test]
fn a_server_that_allows_it_to_no_one_ignores_the_wish() {
    let server = server("");
    let mut wire = server.connect();
    let wish = ("tributary-inject", "airport=error:unavailable");
    assert_says(&ask(&mut wire, &[wish]), &["Kennedy"]);
}

#[test]
fn a_test_system_may_allow_it_to_everybody() {
    let server = server("inject = [\"*\"]");
    let mut wire = server.connect();
    let wish = ("tributary-inject", "airport=error:shed");
    assert_says(&ask(&mut wire, &[wish]), &["lookup.shed"]);
}
