//! A question is asked once more only if that is safe, of use, and within the budget.

use super::*;

const RETRY: &str = "retry = {}\nbreaker = { mode = 'off' }\n";

fn two(keys: &str) -> String {
    format!("endpoints = ['10.0.0.1:1', '10.0.0.2:1']\n{keys}")
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn another_endpoint_is_asked_once_if_no_answer_had_begun() {
    let test = test(&two(RETRY)).await;
    for err in [
        unavailable(),
        unavailable().answered(),
        unavailable().not_tried(),
        unavailable().not_sent(),
    ] {
        test.acts("10.0.0.1:1", Act::Fail(err));
        for _ in 0..5 {
            test.counts();
            assert_eq!(test.ask().await.as_deref(), Ok("10.0.0.2:1"));
            let asked = test.counts().values().sum::<usize>();
            assert_eq!(test.attempts.get().map(usize::from), Some(asked));
        }
    }
    test.acts("10.0.0.2:1", Act::Fail(unavailable()));
    test.counts();
    assert_eq!(test.ask().await, Err(Code::LookupUnavailable));
    assert_eq!(test.attempts.get(), Some(2));
    let counts = test.counts();
    assert_eq!(
        counts.values().copied().collect::<Vec<_>>(),
        [1, 1],
        "one each"
    );
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nothing_is_asked_twice_after_a_timeout_a_refusal_or_a_pushback() {
    let test = test(&two(RETRY)).await;
    let never = [
        unavailable().pushed_back(),
        unavailable().broken_off(),
        unavailable().garbage(),
        LookupError::new(Code::LookupTimeout, "the store's own"),
        LookupError::new(Code::LookupRefused, "no"),
        LookupError::new(Code::LookupFailed, "no"),
        LookupError::new(Code::LookupBadAnswer, "no"),
        LookupError::new(Code::LookupBadParam, "no"),
    ];
    for err in never {
        for label in ["10.0.0.1:1", "10.0.0.2:1"] {
            test.acts(label, Act::Fail(err.clone()));
        }
        assert_eq!(test.ask().await, Err(err.code));
        assert_eq!(test.counts().values().sum::<usize>(), 1, "{err}");
    }
    for label in ["10.0.0.1:1", "10.0.0.2:1"] {
        test.acts(label, Act::Hang);
    }
    assert_eq!(test.ask().await, Err(Code::LookupTimeout));
    assert_eq!(test.counts().values().sum::<usize>(), 1, "a timeout");
    assert_eq!(test.endpoints.board().retries(), [0, 0, 0, 0]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn retries_add_a_tenth_to_the_load_and_a_few_a_second() {
    let test = test(&two(
        "retry = { budget = 0.1, min_per_second = 1 }\nbreaker = { mode = 'off' }",
    ))
    .await;
    for label in ["10.0.0.1:1", "10.0.0.2:1"] {
        test.acts(label, Act::Fail(unavailable()));
    }
    for _ in 0..3000 {
        assert!(test.ask().await.is_err());
        tokio::time::advance(10 * MS).await;
    }
    // Within 30 seconds: a tenth of 3,000, and one a second; at first those of ten seconds.
    let [retried, no_budget, no_time, _] = test.endpoints.board().retries();
    assert!((250..=345).contains(&retried), "{retried} retries");
    assert_eq!((retried + no_budget, no_time), (3000, 0));
    assert_eq!(test.counts().values().sum::<usize>() as u64, 3000 + retried);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_retry_needs_a_quarter_of_the_time() {
    let test = test(&two(RETRY)).await;
    test.acts("10.0.0.1:1", Act::Fail(unavailable()));
    test.acts("10.0.0.2:1", Act::Fail(unavailable()));
    assert!(test.ask_of(24 * MS, 100 * MS, None).await.is_err());
    assert_eq!(test.endpoints.board().retries(), [0, 0, 1, 0]);
    assert!(test.ask_of(25 * MS, 100 * MS, None).await.is_err());
    assert_eq!(test.endpoints.board().retries(), [1, 0, 1, 0]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn without_the_key_nothing_is_asked_twice() {
    for keys in ["", "retry = { max = 0 }"] {
        let test = test(&two(keys)).await;
        test.acts("10.0.0.1:1", Act::Fail(unavailable()));
        test.acts("10.0.0.2:1", Act::Fail(unavailable()));
        assert!(test.ask().await.is_err());
        assert_eq!(test.counts().values().sum::<usize>(), 1, "{keys}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_could_not_be_sent_goes_elsewhere_at_once_without_a_budget() {
    for keys in ["breaker = { mode = 'off' }", RETRY] {
        let test = test(&two(keys)).await;
        test.acts("10.0.0.1:1", Act::Fail(unavailable().not_sent()));
        for _ in 0..200 {
            // Too little time is left for a retry.
            let asked = test.ask_of(MS, 100 * MS, None).await;
            assert_eq!(asked.as_deref(), Ok("10.0.0.2:1"));
        }
        let failed = test.counts()["10.0.0.1:1"] as u64;
        assert!(failed > 50, "{failed}");
        assert_eq!(test.endpoints.board().retries(), [0, 0, 0, failed]);
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_question_goes_to_three_endpoints_at_most_each_once() {
    for balance in ["p2c", "ewma", "round_robin"] {
        let five =
            "endpoints = ['10.0.0.1:1', '10.0.0.2:1', '10.0.0.3:1', '10.0.0.4:1', '10.0.0.5:1']";
        let keys = format!("{five}\nbalance = '{balance}'\nbreaker = {{ mode = 'off' }}");
        let test = test(&keys).await;
        for at in 1..=5 {
            test.acts(
                &format!("10.0.0.{at}:1"),
                Act::Fail(unavailable().not_sent()),
            );
        }
        for _ in 0..50 {
            assert_eq!(test.ask().await, Err(Code::LookupUnavailable));
            let counts = test.counts();
            assert_eq!(
                counts.values().copied().collect::<Vec<_>>(),
                [1, 1, 1],
                "{balance}"
            );
        }
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_endpoint_that_cannot_be_reached_is_shown_as_not_up() {
    let test = test(&two("")).await;
    assert!(test.shown("10.0.0.1:1").up);
    test.acts("10.0.0.1:1", Act::Down);
    tokio::time::sleep(1100 * MS).await;
    assert!(!test.shown("10.0.0.1:1").up && test.shown("10.0.0.2:1").up);
    assert_eq!(test.shown("10.0.0.1:1").ejected, 0);
    test.acts("10.0.0.1:1", Act::Answer);
    tokio::time::sleep(1100 * MS).await;
    assert!(test.shown("10.0.0.1:1").up);
}
