//! `[callers.*]`: one caller's rate and share, told apart by tokens, and kept over a reload.

use crate::admin::scrape::Scrape;
use crate::admin::{get, patiently};
use crate::header::{CALL, frame, read};
use crate::support::airports::{CONFIG, FILES};
use crate::support::message::message;
use crate::support::{Tributary, Wire};

const BATCH: &str = "0123456789abcdef-batch";
const TOKEN: [(&str, &str); 1] = [("batch.token", BATCH)];

/// With these keys of `[callers]`.
fn server(callers: &str) -> Tributary {
    let above = "admin = { listen = \"127.0.0.1:0\" }\n[server]\ntokens = { batch = \"file:batch.token\" }\n\
        listeners = [{ listen = \"127.0.0.1:0\", plain_tokens = true }]";
    let config = CONFIG.replace("[server]", above) + callers;
    Tributary::start(&config, &[&FILES[..], &TOKEN].concat())
}

/// A call of `get` by the holder of the token, and of everybody else.
fn by(token: Option<&str>) -> Vec<u8> {
    let header = token.map_or_else(
        || "00 00".to_owned(),
        |token| {
            let bearer = format!("Bearer {token}");
            format!(
                "00 00 01 01 0d 'authorization' {:02x} '{bearer}'",
                bearer.len()
            )
        },
    );
    frame(9, &header, &message(CALL, "get", 1, "JFK"))
}

/// The outcome of a call. `Err`: it was refused, and the caller should wait for so long, if that is known.
fn ask(wire: &mut Wire, call: &[u8]) -> Result<(), Option<u64>> {
    wire.send(call);
    let (reply, pairs) = read(wire, 9, 0);
    let text = String::from_utf8_lossy(&reply);
    if text.contains("Kennedy") {
        return Ok(());
    }
    assert!(text.contains("call.rate_limited"), "{text}");
    let wait = pairs
        .iter()
        .find(|(name, _)| name == "tributary-retry-after");
    Err(wait.map(|(_, ms)| ms.parse().expect("a number")))
}

#[test]
fn a_caller_beyond_its_rate_is_refused_and_others_are_not() {
    let mut server = server("\n[callers.\"token:batch\"]\nrate = \"1/h\"\nburst = 3\n");
    let tokens = server.next_port();
    let mut batch = Wire::connect(tokens);
    for _ in 0..3 {
        assert_eq!(ask(&mut batch, &by(Some(BATCH))), Ok(()));
    }
    let wait = ask(&mut batch, &by(Some(BATCH)))
        .expect_err("refused")
        .expect("it says when");
    assert!((3_500_000..=3_600_000).contains(&wait), "{wait}");
    // Another connection of the same caller, and one without a token.
    assert!(ask(&mut Wire::connect(tokens), &by(Some(BATCH))).is_err());
    assert_eq!(ask(&mut Wire::connect(tokens), &by(None)), Ok(()));
    server.reload("serving the reloaded");
    assert!(
        ask(&mut batch, &by(Some(BATCH))).is_err(),
        "a reload forgives nothing"
    );
    let (_, log) = server.stop("TERM");
    let lines = log
        .lines()
        .filter(|line| line.contains("caller is limited"));
    let lines: Vec<&str> = lines.collect();
    let limited = "code=call.rate_limited caller=\"token:batch\" limit=\"rate\"";
    assert!(lines[0].contains(limited), "{log}");
    assert!(lines.len() <= 2, "once for each configuration: {log}");
}

#[test]
fn a_caller_with_too_many_calls_in_flight_is_refused_until_one_ends() {
    let mut server = server("\n[callers.\"*\"]\nshare = 0.001\n");
    let tokens = server.next_port();
    // 8 of 8,192.
    let mut slow = Wire::connect(tokens);
    for at in 0..8 {
        slow.send_frame(&message(CALL, "slow", at, "JFK"));
    }
    let mut other = Wire::connect(tokens);
    patiently(|| {
        let mut probe = Wire::connect(tokens);
        ask(&mut probe, &by(None)) == Err(None)
    });
    for _ in 0..8 {
        assert!(String::from_utf8_lossy(&slow.read_frame()).contains("Kennedy"));
    }
    assert_eq!(ask(&mut other, &by(None)), Ok(()));
}

#[test]
fn measuring_refuses_nothing_and_counts_what_it_would_refuse() {
    let mut server = server("\n[callers.\"*\"]\nrate = \"1/h\"\nburst = 2\nmode = \"measure\"\n");
    let admin = server.admin();
    let mut wire = server.connect();
    for _ in 0..5 {
        assert_eq!(ask(&mut wire, &by(None)), Ok(()));
    }
    let scrape = Scrape::read(&get(admin, "/metrics").1);
    let count = |outcome| {
        let labels = [("caller", "*"), ("outcome", outcome)];
        scrape.count("tributary_caller_calls_total", &labels)
    };
    assert_eq!(
        (count("admitted"), count("measured_rate"), count("rate")),
        (2, 3, 0)
    );
}
