//! Who is asked next.

use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::*;
use crate::backend::endpoints::endpoint::hash_of;
use crate::value::Value;

#[tokio::test(flavor = "local", start_paused = true)]
async fn questions_go_to_all_alike_and_fewer_to_those_that_are_busy() {
    let test = test(THREE).await;
    for _ in 0..3000 {
        assert!(test.ask().await.is_ok());
    }
    let counts = test.counts();
    assert_eq!(counts.len(), 3);
    for (label, count) in counts {
        assert!((800..1200).contains(&count), "{label}: {count}");
    }
    test.acts("10.0.0.2:1", Act::Hang);
    let asking: Vec<_> = (0..300).map(|_| Box::pin(test.ask())).collect();
    let mut asking = Box::pin(join_all(asking));
    assert!(asking.as_mut().now_or_never().is_none());
    // The others answer at once, so nearly all that is in flight is there; two draws rarely hit it.
    let counts = test.counts();
    assert!(counts["10.0.0.2:1"] < 20, "{counts:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_slow_one_gets_little_with_ewma() {
    let test = test(&format!("{THREE}balance = 'ewma'")).await;
    let slow = async |label: &str| {
        let now = Instant::now();
        let context = Context::new(now, now + 1000 * MS);
        let ask = Ask {
            params: &[],
            context: &context,
            deadline: now + 1000 * MS,
            allowed: 1000 * MS,
            step: 0,
        };
        let asking = test.endpoints.ask(None, &ask, async |fake| {
            test.asked.borrow_mut().push(fake.label.clone());
            tokio::time::sleep(if fake.label == label { 50 * MS } else { MS }).await;
            Ok(Answer::new(Value::Null))
        });
        asking.await.expect("it answers");
    };
    for _ in 0..1000 {
        slow("10.0.0.3:1").await;
    }
    let counts = test.counts();
    assert!(counts["10.0.0.3:1"] < 100, "{counts:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn round_robin_asks_one_after_the_other() {
    let test = test(&format!("{THREE}balance = 'round_robin'")).await;
    for _ in 0..9 {
        assert!(test.ask().await.is_ok());
    }
    let asked = test.asked.borrow();
    for three in asked.windows(3) {
        let mut three = three.to_vec();
        three.sort();
        three.dedup();
        assert_eq!(three.len(), 3, "{asked:?}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn round_robin_spreads_what_an_absent_endpoint_would_get() {
    let four = "endpoints = ['10.0.0.1:1', '10.0.0.2:1', '10.0.0.3:1', '10.0.0.4:1']\n";
    let test = test(&format!("{four}balance = 'round_robin'")).await;
    test.acts("10.0.0.1:1", Act::Down);
    for _ in 0..1200 {
        assert!(test.ask().await.is_ok());
    }
    // Its neighbour alone would get 600.
    let counts = test.counts();
    assert!(
        counts.values().all(|count| (350..450).contains(count)),
        "{counts:?}"
    );
}

/// Who is asked for each of a thousand keys.
async fn homes(test: &Test) -> Vec<String> {
    let mut homes = Vec::new();
    for key in 0..1000 {
        let hash = hash_of(format!("user {key}").as_bytes());
        homes.push(test.ask_within(MS, Some(hash)).await.expect("an answer"));
    }
    homes
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_hash_stays_where_it_is_when_another_endpoint_leaves() {
    let balance = "balance = 'hash'\nhash_on = 'user'";
    let four = "endpoints = ['10.0.0.1:1', '10.0.0.2:1', '10.0.0.3:1', '10.0.0.4:1']\n";
    let all = homes(&test(&format!("{four}{balance}")).await).await;
    let fewer = homes(&test(&format!("{THREE}{balance}")).await).await;
    for (home, now) in all.iter().zip(&fewer) {
        assert!(home == now || home == "10.0.0.4:1", "{home} moved to {now}");
    }
    let left = all.iter().filter(|home| *home == "10.0.0.4:1").count();
    assert!((200..300).contains(&left), "{left} of 1000 were its own");
    // The same in another process, and for one that is down for a while.
    let again = test(&format!("{four}{balance}")).await;
    assert_eq!(homes(&again).await, all);
    again.acts("10.0.0.4:1", Act::Down);
    assert_eq!(homes(&again).await, fewer);
    again.acts("10.0.0.4:1", Act::Answer);
    assert_eq!(homes(&again).await, all);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn one_that_is_known_to_be_down_is_not_asked_unless_all_are() {
    for balance in ["p2c", "ewma", "round_robin"] {
        let test = test(&format!("{THREE}balance = '{balance}'")).await;
        test.acts("10.0.0.1:1", Act::Down);
        for _ in 0..200 {
            assert!(test.ask().await.is_ok());
        }
        assert!(!test.counts().contains_key("10.0.0.1:1"), "{balance}");
        test.acts("10.0.0.2:1", Act::Down);
        test.acts("10.0.0.3:1", Act::Down);
        assert_eq!(test.ask().await, Err(Code::LookupUnavailable));
        assert_eq!(test.shown("10.0.0.1:1").ejected, 0, "{balance}");
    }
}

#[test]
fn keys_that_make_no_sense_are_problems() {
    let dns = "endpoints = 'dns:users.internal:9090'\n";
    for (keys, problem) in [
        ("balance = 'hash'", "balance: `balance` needs `endpoints`"),
        ("endpoints = []", "endpoints: no endpoint is named"),
        (
            "endpoints = 7",
            "endpoints: expected a string or an array of strings, found an integer",
        ),
        (
            "endpoints = 'users'",
            "endpoints: not a source of endpoints",
        ),
        (
            "endpoints = 'dns:users'",
            "endpoints: not a source of endpoints",
        ),
        (
            "endpoints = 'srv:users:9090'",
            "endpoints: not a source of endpoints",
        ),
        (
            "endpoints = 'file:'",
            "endpoints: not a source of endpoints",
        ),
        (
            "endpoints = ['a:1', 'a:1']",
            "endpoints: it is listed twice",
        ),
        (
            &format!("{dns}balance = 'hash'"),
            "balance: nothing says what to hash",
        ),
        (
            &format!("{dns}hash_on = 'id'"),
            "hash_on: `hash_on` needs `balance = \"hash\"`",
        ),
        (&format!("{dns}refresh = '10ms'"), "refresh: too often"),
        (
            &format!("{dns}nameserver = 'here'"),
            "nameserver: not the address of a name server",
        ),
        (
            &format!("{dns}retry = {{ budget = 0.0, min_per_second = 0 }}"),
            "retry: this budget allows no retry",
        ),
        (
            &format!("{dns}breaker = {{ consecutive = 0, success_min = 0 }}"),
            "breaker: this breaker can never open",
        ),
    ] {
        assert_eq!(
            read(keys).map(|_| ()),
            Err(vec![problem.to_owned()]),
            "{keys}"
        );
    }
    assert!(read("").is_ok_and(|config| config.is_none()));
    for fine in [
        "dns:users:9090",
        "srv:_thrift._tcp.users.",
        "file:a.json",
        "[::1]:9090",
    ] {
        assert!(read(&format!("endpoints = '{fine}'")).is_ok(), "{fine}");
    }
}
