//! The judge finds each violation that is planted, and nothing in a history without one.

use std::time::Duration;

use tokio::time::Instant;

use super::history::{
    Call, Connections, Content, Counts, Fault, Judge, Part, Promise, Reply, Violation, count,
    differences, grown,
};
use super::nonce::{Nonces, answer};

const NONCES: Nonces = Nonces { seed: 5 };

fn second(zero: Instant, at: f64) -> Instant {
    zero + Duration::from_secs_f64(at)
}

fn part(store: &str, fate: &str, code: &str, value: Option<String>) -> Part {
    Part {
        store: store.to_owned(),
        fate: fate.to_owned(),
        code: Some(code.to_owned()).filter(|code| !code.is_empty()),
        value,
        done: Duration::from_millis(5),
    }
}

fn good(store: &str, number: u64) -> Part {
    part(store, "ok", "", Some(answer(store, &NONCES.token(number))))
}

fn failed(store: &str, fate: &str) -> Part {
    part(store, fate, &format!("lookup.{fate}"), None)
}

/// Call 7 at this second, taking 10 ms, with these lookups.
fn call(zero: Instant, at: f64, parts: Vec<Part>) -> Call {
    Call {
        number: 7,
        connection: 1,
        sequence: 70,
        sent: second(zero, at),
        done: second(zero, at + 0.01),
        reply: Ok(Reply {
            sequence: 70,
            content: Content::Parts(parts),
        }),
    }
}

/// What is wrong, with a fault of `b` from second 10 to 20, a damaging one from 30 to 40, and a stall at second 50.
fn judged<T>(with: impl FnOnce(Instant, &Judge<'_>) -> T) -> T {
    let zero = Instant::now();
    let fault = |from, until, damages| Fault {
        store: "b",
        damages,
        from: second(zero, from),
        until: second(zero, until),
    };
    let promise = Promise {
        stores: vec!["a", "b"],
        deadline: Duration::from_secs(1),
        late_max: Duration::from_millis(50),
        recovery_max: Duration::from_secs(2),
        connections_per_second: 10,
    };
    let judge = Judge {
        nonces: NONCES,
        promise: &promise,
        faults: &[fault(10., 20., false), fault(30., 40., true)],
        made: 100,
        stalls: &[(second(zero, 50.), second(zero, 50.5))],
    };
    with(zero, &judge)
}

#[track_caller]
fn check(make: impl FnOnce(Instant) -> Call, expected: &[Violation]) {
    let found = judged(|zero, judge| judge.call(&make(zero)));
    assert_eq!(found, expected);
}

fn fine() -> Vec<Part> {
    vec![good("a", 7), good("b", 7)]
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    check(|zero| call(zero, 1., fine()), &[]);
    for (fate, at) in [
        ("timeout", 10.),
        ("breaker_open", 15.),
        ("timeout_pool", 21.9),
    ] {
        check(
            |zero| call(zero, at, vec![good("a", 7), failed("b", fate)]),
            &[],
        );
    }
    // A refusal tells the caller to try elsewhere.
    check(
        |zero| {
            let mut call = call(zero, 1., Vec::new());
            call.reply = Ok(Reply {
                sequence: 70,
                content: Content::Refused("server.overloaded".into()),
            });
            call
        },
        &[],
    );
}

#[test]
fn a_missing_reply_and_a_wrong_sequence_id() {
    check(
        |zero| Call {
            reply: Err("closed".into()),
            ..call(zero, 1., Vec::new())
        },
        &[Violation::NoReply("closed".into())],
    );
    let wrong = Violation::WrongSequence {
        expected: 71,
        got: 70,
    };
    check(
        |zero| Call {
            sequence: 71,
            ..call(zero, 1., fine())
        },
        &[wrong],
    );
    let refused = Content::Refused("server.internal".into());
    check(
        |zero| Call {
            reply: Ok(Reply {
                sequence: 70,
                content: refused,
            }),
            ..call(zero, 1., Vec::new())
        },
        &[Violation::Refused("server.internal".into())],
    );
}

#[test]
fn a_value_of_another_call_is_never_excused() {
    for at in [1., 15., 35.] {
        let mixed = Violation::MixedUp {
            store: "b".into(),
            of: 8,
        };
        check(
            |zero| call(zero, at, vec![good("a", 7), good("b", 8)]),
            &[mixed],
        );
    }
}

#[test]
fn a_value_of_another_store_or_a_damaged_one() {
    let token = NONCES.token(7);
    // Another store's, cut short, and of a call that was not made.
    for value in [
        answer("a", &token),
        answer("b", &token[..20]),
        answer("b", &NONCES.token(100)),
    ] {
        let parts = || vec![good("a", 7), part("b", "ok", "", Some(value.clone()))];
        for (at, excused) in [(1., false), (15., false), (35., true), (43., false)] {
            let damaged = Violation::Damaged {
                store: "b".into(),
                value: value.clone(),
            };
            let expected = if excused { vec![] } else { vec![damaged] };
            check(|zero| call(zero, at, parts()), &expected);
        }
    }
}

#[test]
fn a_late_reply_unless_this_process_stood_still() {
    let late = |zero, at| Call {
        done: second(zero, at + 1.06),
        ..call(zero, at, fine())
    };
    let expected = Violation::Late(Duration::from_millis(1060));
    check(|zero| late(zero, 1.), &[expected]);
    check(|zero| late(zero, 49.9), &[]);
}

#[test]
fn each_lookup_has_exactly_one_fate() {
    for parts in [
        vec![good("a", 7)],
        vec![good("a", 7), good("b", 7), good("b", 7)],
        vec![good("b", 7), good("a", 7)],
    ] {
        let names = parts.iter().map(|part| part.store.clone()).collect();
        check(|zero| call(zero, 1., parts), &[Violation::Fates(names)]);
    }
}

#[test]
fn a_partial_reply_is_not_presented_as_a_whole_one() {
    let value = good("b", 7).value;
    for wrong in [
        part("b", "timeout", "lookup.timeout", value),
        part("b", "ok", "", None),
    ] {
        let expected = Violation::Contradiction {
            store: "b".into(),
            fate: wrong.fate.clone(),
        };
        check(
            |zero| call(zero, 15., vec![good("a", 7), wrong]),
            &[expected],
        );
    }
}

#[test]
fn a_failure_that_no_fault_of_its_store_explains() {
    let unexplained = |store: &str, fate: &str, code: Option<&str>| Violation::Unexplained {
        store: store.into(),
        fate: fate.into(),
        code: code.map(Into::into),
    };
    let late = unexplained("b", "timeout", Some("lookup.timeout"));
    for at in [9., 22.1] {
        let parts = vec![good("a", 7), failed("b", "timeout")];
        check(|zero| call(zero, at, parts), std::slice::from_ref(&late));
    }
    // This process stood still.
    let late = || vec![good("a", 7), failed("b", "timeout")];
    check(|zero| call(zero, 49.995, late()), &[]);
    let refused = unexplained("b", "error", Some("lookup.error"));
    let parts = vec![good("a", 7), failed("b", "error")];
    check(|zero| call(zero, 49.995, parts), &[refused]);
    let beside = unexplained("a", "timeout", Some("lookup.timeout"));
    check(
        |zero| call(zero, 15., vec![failed("a", "timeout"), good("b", 7)]),
        &[beside],
    );
    let empty = unexplained("b", "empty", None);
    let parts = || vec![good("a", 7), part("b", "empty", "", None)];
    check(|zero| call(zero, 15., parts()), &[empty]);
    check(|zero| call(zero, 35., parts()), &[]);
}

#[test]
fn a_store_that_is_not_used_again() {
    let after = |at: f64| {
        judged(|zero, judge| {
            let before = call(zero, 15., fine());
            let without = call(zero, 20.5, vec![good("a", 7), failed("b", "timeout")]);
            judge.recovery(&judge.faults[0], &[before, without, call(zero, at, fine())])
        })
    };
    assert_eq!(after(21.), Ok(Duration::from_millis(1010)));
    for at in [22.5, 9.] {
        let found = after(at);
        assert!(
            matches!(found, Err(Violation::NotUsedAgain { store: "b", .. })),
            "{found:?}"
        );
    }
}

#[test]
fn a_storm_of_connections() {
    let of = |made| Connections {
        made,
        within: Duration::from_millis(2500),
        at_once: 6,
        given_up: 3,
    };
    let found = |made| judged(|_, judge| judge.connections(&judge.faults[0], &of(made)));
    assert_eq!(found(34), None);
    let storm = Violation::Storm {
        store: "b",
        made: 35,
        allowed: 34,
    };
    assert_eq!(found(35), Some(storm));
}

#[test]
fn what_the_other_stores_took() {
    let slow = |store: &str, millis| Part {
        done: Duration::from_millis(millis),
        ..failed(store, "timeout")
    };
    let call = call(Instant::now(), 1., vec![slow("a", 30), slow("b", 400)]);
    assert_eq!(call.others_done(Some("b")), Some(Duration::from_millis(30)));
    assert_eq!(call.others_done(None), Some(Duration::from_millis(400)));
    assert!(call.gave_up("b") && !call.gave_up("c"));
}

#[test]
fn counts_that_differ_from_the_servers() {
    let mut history = Counts::new();
    let zero = Instant::now();
    count(&mut history, &call(zero, 1., fine()));
    count(
        &mut history,
        &call(zero, 1., vec![good("a", 7), failed("b", "timeout")]),
    );
    let count = |name: &str, count| (name.to_owned(), count);
    let mut server = Counts::from([
        count("call ok", 1),
        count("call partial", 1),
        count("a ok", 2),
        count("b ok", 1),
        count("b timeout", 1),
        count("planned", 4),
    ]);
    assert_eq!(differences(&history, &server), []);
    server.insert("a ok".into(), 3);
    server.insert("b shed".into(), 1);
    let differs = |what: &str, history, server| Violation::Count {
        what: what.into(),
        history,
        server,
    };
    let expected = [differs("a ok", 2, 3), differs("b shed", 0, 1)];
    assert_eq!(differences(&history, &server), expected);
}

#[test]
fn descriptors_that_are_not_given_back() {
    assert_eq!(grown("descriptors", 30, 59, 8), None);
    assert_eq!(grown("descriptors", 3, 10, 8), None);
    let found = grown("descriptors", 30, 61, 8);
    assert!(
        matches!(found, Some(Violation::Grown { after: 61, .. })),
        "{found:?}"
    );
}
