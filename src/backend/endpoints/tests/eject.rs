//! An endpoint that fails or hangs is not asked for a while, and then a little more again and again.

use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::*;
use crate::breaker::RISE;

#[tokio::test(flavor = "local", start_paused = true)]
async fn one_of_three_that_hangs_costs_a_few_lookups_and_comes_back_gradually() {
    let test = test(THREE).await;
    test.acts("10.0.0.1:1", Act::Hang);
    let mut failed = 0;
    for _ in 0..2000 {
        let answer = test.ask_within(10 * MS, None).await;
        failed += usize::from(answer.is_err());
        tokio::time::advance(5 * MS).await;
    }
    // Five eject it; then it is probed after 1, 2, 4.. seconds.
    assert!((5..=10).contains(&failed), "{failed} of 2000");
    let shown = test.shown("10.0.0.1:1");
    assert_eq!((shown.ejected, shown.up), (1, false));
    assert_eq!(
        shown.outcomes[EndpointOutcome::Late as usize],
        failed as u64
    );
    test.acts("10.0.0.1:1", Act::Answer);
    test.counts();
    while !test.shown("10.0.0.1:1").up {
        assert!(test.ask().await.is_ok());
        tokio::time::advance(5 * MS).await;
    }
    test.counts();
    let mut shares = Vec::new();
    for _ in 0..3 {
        for _ in 0..1000 {
            assert!(test.ask().await.is_ok());
        }
        shares.push(test.counts()["10.0.0.1:1"]);
        tokio::time::advance(RISE / 2).await;
    }
    assert!(shares[0] < 100, "a tenth of a third: {shares:?}");
    assert!((120..280).contains(&shares[1]), "{shares:?}");
    assert!((270..400).contains(&shares[2]), "{shares:?}");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn one_that_works_once_and_then_hangs_gets_one_lookup_while_the_others_take_the_rest() {
    let test = test(THREE).await;
    test.acts("10.0.0.1:1", Act::Hang);
    while test.shown("10.0.0.1:1").up {
        let _late = test.ask_within(10 * MS, None).await;
    }
    test.acts("10.0.0.1:1", Act::Answer);
    test.counts();
    while !test.counts().contains_key("10.0.0.1:1") {
        assert!(test.ask().await.is_ok());
        tokio::time::advance(MS).await;
    }
    test.acts("10.0.0.1:1", Act::Hang);
    let asking: Vec<_> = (0..100).map(|_| Box::pin(test.ask())).collect();
    let answers = join_all(asking).await;
    let late = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(late, 1, "{answers:?}");
    assert_eq!(test.counts()["10.0.0.1:1"], 1);
    let shown = test.shown("10.0.0.1:1");
    assert_eq!((shown.ejected, shown.up), (1, false), "all the time");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn the_only_one_takes_more_and_more_after_its_probe() {
    let test = test("endpoints = '10.0.0.1:1'").await;
    test.acts("10.0.0.1:1", Act::Hang);
    while test.ask_within(10 * MS, None).await != Err(Code::LookupBreakerOpen) {}
    test.acts("10.0.0.1:1", Act::After(MS, None));
    while test.ask().await.is_err() {
        tokio::time::advance(MS).await;
    }
    let mut answered = Vec::new();
    for _ in 0..6 {
        let asking: Vec<_> = (0..50).map(|_| Box::pin(test.ask())).collect();
        let answers = join_all(asking).await;
        let refused = Err(Code::LookupBreakerOpen);
        assert!(answers.iter().all(|of| of.is_ok() || *of == refused));
        answered.push(answers.iter().filter(|of| of.is_ok()).count());
    }
    assert_eq!(answered, [1, 2, 4, 8, 4, 50]);
    assert!(test.shown("10.0.0.1:1").up);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn lookups_that_are_given_up_do_not_keep_it_from_coming_back() {
    let test = test("endpoints = '10.0.0.1:1'").await;
    test.acts("10.0.0.1:1", Act::Hang);
    while test.ask_within(10 * MS, None).await != Err(Code::LookupBreakerOpen) {}
    test.acts("10.0.0.1:1", Act::Answer);
    while test.ask().await.is_err() {
        tokio::time::advance(MS).await;
    }
    test.acts("10.0.0.1:1", Act::Hang);
    for _ in 0..50 {
        let asking = Box::pin(test.ask());
        assert!(asking.now_or_never().is_none(), "it is asked");
    }
    test.acts("10.0.0.1:1", Act::Answer);
    for _ in 1..20 {
        assert!(test.ask().await.is_ok());
    }
    assert!(test.shown("10.0.0.1:1").up);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn if_all_fail_lookups_end_at_once_and_each_is_probed() {
    let test = test(THREE).await;
    for label in ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"] {
        test.acts(label, Act::Hang);
    }
    while test.ask_within(10 * MS, None).await != Err(Code::LookupBreakerOpen) {}
    test.counts();
    let begun = Instant::now();
    let mut refused = 0;
    while begun.elapsed() < Duration::from_secs(20) {
        let answer = test.ask_within(10 * MS, None).await;
        refused += usize::from(answer == Err(Code::LookupBreakerOpen));
        tokio::time::advance(MS).await;
    }
    let probes: usize = test.counts().values().sum();
    assert!((40..=130).contains(&probes), "{probes} in 20 s");
    assert!(refused > 10_000, "{refused}");
    for label in ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"] {
        test.acts(label, Act::Answer);
    }
    let back = Instant::now();
    while test.ask().await.is_err() {
        tokio::time::advance(MS).await;
    }
    assert!(
        back.elapsed() <= Duration::from_secs(1),
        "{:?}",
        back.elapsed()
    );
    for _ in 0..100 {
        assert!(test.ask().await.is_ok(), "the first that is back takes all");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn callers_in_a_hurry_and_refusals_eject_nobody() {
    let test = test("endpoints = '10.0.0.1:1'").await;
    test.acts("10.0.0.1:1", Act::Hang);
    for _ in 0..50 {
        let answer = test.ask_of(49 * MS, 100 * MS, None).await;
        assert_eq!(answer, Err(Code::LookupTimeout));
    }
    let refused = LookupError::new(Code::LookupRefused, "no");
    for err in [refused, unavailable().answered(), unavailable().not_tried()] {
        let code = err.code;
        test.acts("10.0.0.1:1", Act::Fail(err));
        for _ in 0..50 {
            assert_eq!(test.ask().await, Err(code));
        }
    }
    assert_eq!(test.shown("10.0.0.1:1").ejected, 0);
    test.acts("10.0.0.1:1", Act::Hang);
    for _ in 0..5 {
        assert_eq!(
            test.ask_of(50 * MS, 100 * MS, None).await,
            Err(Code::LookupTimeout)
        );
    }
    assert_eq!(test.ask().await, Err(Code::LookupBreakerOpen));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_enforcement_nobody_is_kept_from_an_endpoint() {
    for (mode, ejected) in [("off", 0), ("measure", 1)] {
        let keys = format!("endpoints = '10.0.0.1:1'\nbreaker = {{ mode = '{mode}' }}");
        let test = test(&keys).await;
        test.acts("10.0.0.1:1", Act::Fail(unavailable()));
        for _ in 0..20 {
            assert_eq!(test.ask().await, Err(Code::LookupUnavailable), "{mode}");
        }
        assert_eq!(test.shown("10.0.0.1:1").ejected, ejected, "{mode}");
    }
}
