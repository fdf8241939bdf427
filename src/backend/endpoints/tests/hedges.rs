//! A question that is slow goes to a second endpoint, as rarely as the budget says, and the first answer counts.

use super::*;
use crate::backend::Hedge;

const TWO: &str = "endpoints = ['10.0.0.1:1', '10.0.0.2:1']\nbreaker = { mode = 'off' }\n";

/// The key of a lookup whose backend has these keys.
fn hedge(key: &str, backend: &str) -> Result<Option<Hedge>, Vec<String>> {
    let config = read(backend).expect("valid keys");
    let document = document(key);
    let mut section = whole(&document);
    let hedge = Hedge::read(&mut section, config.as_ref(), None);
    section.finish();
    let problems = document.problems.into_vec().into_iter();
    let problems: Vec<String> = problems
        .map(|of| format!("{}: {}", of.key, of.message))
        .collect();
    problems.is_empty().then_some(hedge).ok_or(problems)
}

/// What is said to do about the mistake in a key.
fn help(key: &str) -> String {
    let document = document(key);
    let mut section = whole(&document);
    let config = read(TWO).expect("valid keys");
    Hedge::read(&mut section, config.as_ref(), None);
    section.finish();
    let mut problems = document.problems.into_vec();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.pop().and_then(|of| of.help).unwrap_or_default()
}

#[test]
fn a_mistake_is_answered_with_what_was_probably_meant() {
    for mode in ["'on'", "'enabled'", "true", "'True'"] {
        let said = help(&format!("hedge = {{ mode = {mode} }}"));
        assert!(
            said.starts_with("leave `mode` out, or write `\"enforce\"`"),
            "{said}"
        );
    }
    for mode in ["'disabled'", "'no'", "false"] {
        let said = help(&format!("hedge = {{ mode = {mode} }}"));
        assert!(said.starts_with("write `\"off\"`"), "{said}");
    }
    let said = help("hedge = { mode = 'mesure' }");
    assert_eq!(said, "did you mean `\"measure\"`?");
    for after in ["'p99.9'", "'p100'", "'95'", "0.95", "'P95'"] {
        let said = help(&format!("hedge = {{ after = {after} }}"));
        assert!(
            said.contains("`\"p50\"` to `\"p99\"`") && said.contains("`\"20ms\"`"),
            "{said}"
        );
    }
    assert!(help("hedge = 'on'").starts_with("`true` for the defaults"));
}

/// A lookup that is asked of two endpoints.
struct Slow {
    test: Test,
    hedge: Hedge,
}

async fn slow(key: &str, backend: &str) -> Slow {
    let hedge = hedge(key, backend).expect("a valid key");
    Slow {
        hedge: hedge.expect("it is on"),
        test: test(backend).await,
    }
}

impl Slow {
    /// Who answered, whether that was the second endpoint, and after how long.
    async fn ask(&self) -> (Result<String, Code>, bool, Duration) {
        self.ask_within(1000 * MS).await
    }

    async fn ask_within(&self, time: Duration) -> (Result<String, Code>, bool, Duration) {
        let now = Instant::now();
        let context = Context::new(now, now + time);
        let ask = Ask {
            params: &[],
            context: &context,
            deadline: now + time,
            allowed: time,
            step: 0,
        };
        let attempt = async |fake: &Fake| {
            self.test.asked.borrow_mut().push(fake.label.clone());
            fake.ask().await
        };
        let asking = (self.test.endpoints).ask_hedged(None, (&ask, &self.hedge), attempt);
        let outcome = tokio::time::timeout_at(ask.deadline, asking).await;
        let (answer, is_second) = match outcome {
            Ok(Ok((answer, is_second))) => (Ok(answered_by(&answer)), is_second),
            Ok(Err(err)) => (Err(err.code), false),
            Err(_elapsed) => (Err(Code::LookupTimeout), false),
        };
        (answer, is_second, now.elapsed())
    }

    fn acts(&self, one: &Act, two: &Act) {
        self.test.acts("10.0.0.1:1", one.clone());
        self.test.acts("10.0.0.2:1", two.clone());
    }

    /// How many of so many questions were answered.
    async fn answered(&self, questions: usize, time: Duration) -> usize {
        let mut answered = 0;
        for _ in 0..questions {
            answered += usize::from(self.ask_within(time).await.0.is_ok());
        }
        answered
    }

    fn counts(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.test.endpoints.board().hedges();
        let counts = Hedged::ALL.into_iter().zip(counts);
        counts.filter(|(_, count)| *count > 0).collect()
    }

    fn outcomes(&self, label: &str) -> BTreeMap<&'static str, u64> {
        let outcomes = EndpointOutcome::ALL.into_iter();
        let counts = outcomes.zip(self.test.shown(label).outcomes);
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

/// A budget for every question.
const ALL: &str = "hedge = { after = '20ms', budget = 1.0, min_per_second = 100 }";

fn slowly(millis: u32) -> Act {
    Act::After(millis * MS, None)
}

fn fails_slowly(millis: u32, err: LookupError) -> Act {
    Act::After(millis * MS, Some(err))
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_slow_question_goes_to_another_endpoint_and_the_first_answer_counts() {
    let slow = slow(ALL, TWO).await;
    slow.acts(&Act::Hang, &Act::Answer);
    let mut seconds = 0;
    for _ in 0..20 {
        let (answer, is_second, took) = slow.ask().await;
        assert_eq!(answer.as_deref(), Ok("10.0.0.2:1"));
        assert_eq!(took, if is_second { 20 * MS } else { Duration::ZERO });
        seconds += u64::from(is_second);
    }
    assert!(seconds > 5, "{seconds} of 20");
    assert_eq!(slow.counts(), BTreeMap::from([("won", seconds)]));
    let hanging = slow.outcomes("10.0.0.1:1");
    assert_eq!(hanging, BTreeMap::from([("other", seconds)]), "dropped");

    let answers = |label| slow.outcomes(label).get("ok").copied().unwrap_or_default();
    let before = answers("10.0.0.1:1");
    slow.acts(&slowly(30), &slowly(30));
    let (answer, is_second, took) = slow.ask().await;
    assert_eq!((is_second, took), (false, 30 * MS), "the first was sooner");
    assert_eq!(slow.counts()["lost"], 1);
    assert!(answer.is_ok());
    let both = answers("10.0.0.1:1") - before + answers("10.0.0.2:1");
    assert_eq!(both, 21, "the second was dropped");
    slow.acts(&slowly(10), &slowly(10));
    slow.test.counts();
    assert_eq!(slow.answered(50, 100 * MS).await, 50);
    assert_eq!(slow.test.counts().values().sum::<usize>(), 50, "quick ones");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_failure_waits_for_the_other_answer_and_is_not_retried() {
    let keys = format!("{TWO}retry = {{ budget = 1.0 }}");
    let slow = slow(ALL, &keys).await;
    let gone = || fails_slowly(30, unavailable());
    slow.acts(&gone(), &slowly(50));
    let mut seconds = 0;
    for _ in 0..20 {
        let (answer, is_second, took) = slow.ask().await;
        assert_eq!(answer.as_deref(), Ok("10.0.0.2:1"));
        assert_eq!(took, if is_second { 70 * MS } else { 50 * MS });
        seconds += usize::from(is_second);
    }
    assert!((1..20).contains(&seconds), "{seconds}");
    assert_eq!(slow.test.counts().values().sum::<usize>(), 40, "two each");

    slow.acts(&gone(), &gone());
    let (answer, _, took) = slow.ask().await;
    assert_eq!((answer, took), (Err(Code::LookupUnavailable), 50 * MS));
    assert_eq!(slow.test.counts().values().sum::<usize>(), 2);
    assert_eq!(slow.counts()["failed"], 1);

    // What a store says itself is an answer.
    let says_no = || fails_slowly(30, LookupError::new(Code::LookupRefused, "no"));
    slow.acts(&says_no(), &says_no());
    let (answer, _, took) = slow.ask().await;
    assert_eq!((answer, took), (Err(Code::LookupRefused), 30 * MS));
    slow.acts(&gone(), &says_no());
    for _ in 0..10 {
        let (answer, _, _) = slow.ask().await;
        assert_eq!(answer, Err(Code::LookupRefused));
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn hedges_add_a_twentieth_to_the_load_and_a_few_a_second() {
    let slow = slow("hedge = { after = '10ms' }", TWO).await;
    slow.acts(&slowly(20), &slowly(20));
    assert_eq!(slow.answered(3000, 1000 * MS).await, 3000);
    // Within a minute: a twentieth of 3,000, and one a second; at first those of ten seconds.
    let counts = slow.counts();
    let hedged = counts["lost"];
    assert!((150..=230).contains(&hedged), "{counts:?}");
    assert_eq!(counts["no_budget"] + hedged, 3000);
    let asked = slow.test.counts().values().sum::<usize>() as u64;
    assert_eq!(asked, 3000 + hedged);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn by_default_the_slowest_twentieth_is_hedged_once_enough_is_known() {
    let key = "hedge = { budget = 1.0, min_per_second = 100 }";
    let slow = slow(key, TWO).await;
    slow.acts(&slowly(200), &slowly(200));
    assert_eq!(slow.answered(100, 300 * MS).await, 100);
    assert_eq!(slow.counts(), BTreeMap::new(), "too little is known");
    slow.acts(&slowly(5), &slowly(5));
    for _ in 0..10 {
        slow.answered(200, 300 * MS).await;
        tokio::time::advance(10_000 * MS).await;
    }
    assert_eq!(slow.counts(), BTreeMap::new(), "none is slow");
    slow.acts(&Act::Hang, &slowly(5));
    let mut tooks = Vec::new();
    for _ in 0..40 {
        let (answer, is_second, took) = slow.ask().await;
        assert_eq!(answer.as_deref(), Ok("10.0.0.2:1"));
        if is_second {
            tooks.push(took);
        }
    }
    // Up to an eighth and a millisecond later than the fifth.
    let all = 10 * MS..=12 * MS;
    assert!(tooks.iter().all(|took| all.contains(took)), "{tooks:?}");
    assert!(tooks.len() > 5);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_question_that_times_out_counts_as_slow() {
    let key = "hedge = { mode = 'measure', budget = 1.0, min_per_second = 100 }";
    let slow = slow(key, TWO).await;
    slow.acts(&Act::Hang, &Act::Hang);
    slow.answered(200, 50 * MS).await;
    slow.acts(&slowly(20), &slowly(20));
    assert_eq!(slow.answered(32, 1000 * MS).await, 32);
    assert_eq!(
        slow.counts(),
        BTreeMap::new(),
        "20 ms are less than most take"
    );
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn nobody_is_asked_twice_while_no_other_endpoint_works() {
    let keys = "endpoints = ['10.0.0.1:1', '10.0.0.2:1']\nbreaker = { consecutive = 3 }";
    let slow = slow(ALL, keys).await;
    slow.acts(&Act::Answer, &Act::Fail(unavailable()));
    while slow.test.shown("10.0.0.2:1").up {
        drop(slow.ask().await);
    }
    slow.acts(&Act::Hang, &Act::Answer);
    slow.test.counts();
    // Not even as a probe, which would be due.
    tokio::time::advance(950 * MS).await;
    let (answer, _, _) = slow.ask_within(40 * MS).await;
    let asked = slow.test.counts();
    assert_eq!(answer, Err(Code::LookupTimeout), "{asked:?}");
    assert_eq!(asked, BTreeMap::from([("10.0.0.1:1".to_owned(), 1)]));
    assert_eq!(slow.counts(), BTreeMap::from([("no_endpoint", 1)]));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn after_a_pushback_nothing_is_hedged_for_a_second() {
    let slow = slow(ALL, TWO).await;
    let wait = Act::Fail(unavailable().pushed_back());
    slow.acts(&wait, &wait);
    assert_eq!(slow.ask().await.0, Err(Code::LookupUnavailable));
    slow.acts(&Act::Hang, &Act::Hang);
    slow.answered(1, 990 * MS).await;
    assert_eq!(slow.counts(), BTreeMap::from([("pushed_back", 1)]));
    slow.answered(1, 900 * MS).await;
    let counts = BTreeMap::from([("pushed_back", 1), ("failed", 1)]);
    assert_eq!(slow.counts(), counts, "later");
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_endpoint_that_never_answers_is_ejected_although_others_answer_for_it() {
    let keys = "endpoints = ['10.0.0.1:1', '10.0.0.2:1']";
    let slow = slow(ALL, keys).await;
    slow.acts(&slowly(60), &slowly(5));
    slow.answered(100, 1000 * MS).await;
    assert!(!slow.test.shown("10.0.0.1:1").up, "it never answered first");
    let asked = slow.test.counts()["10.0.0.1:1"];
    assert!((15..20).contains(&asked), "{asked} questions");

    // It may be slow, and nothing else: if the other one is gone, it is asked at once.
    slow.acts(&slowly(300), &Act::Fail(unavailable()));
    while slow.test.shown("10.0.0.2:1").up {
        drop(slow.ask().await);
    }
    slow.test.counts();
    let answered = slow.answered(20, 900 * MS).await;
    let asked = slow.test.counts();
    assert_eq!(
        answered, asked["10.0.0.1:1"],
        "all but the probes of the other"
    );
    assert_eq!(answered + asked["10.0.0.2:1"], 20);
    assert!(answered > 10, "{asked:?}");
    // One that does not answer then either has failed.
    slow.acts(&Act::Hang, &Act::Fail(unavailable()));
    slow.answered(10, 900 * MS).await;
    let (_, _, took) = slow.ask_within(900 * MS).await;
    assert_eq!(took, Duration::ZERO);

    // One that answers now and then is slow, and nothing else.
    let slow = self::slow(ALL, keys).await;
    for _ in 0..20 {
        slow.acts(&slowly(60), &slowly(5));
        slow.answered(10, 1000 * MS).await;
        slow.acts(&slowly(5), &slowly(5));
        slow.answered(10, 1000 * MS).await;
    }
    assert_eq!(slow.test.shown("10.0.0.1:1").ejected, 0);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn measured_hedges_are_counted_and_ask_nobody() {
    let key = "hedge = { mode = 'measure', after = '20ms', budget = 1.0 }";
    let slow = slow(key, TWO).await;
    slow.acts(&slowly(50), &slowly(50));
    assert_eq!(slow.answered(10, 1000 * MS).await, 10);
    assert_eq!(slow.counts(), BTreeMap::from([("measured", 10)]));
    let outcomes = [slow.outcomes("10.0.0.1:1"), slow.outcomes("10.0.0.2:1")];
    let all = outcomes.iter().flat_map(BTreeMap::values).sum::<u64>();
    assert_eq!(all, 10, "{outcomes:?}");
    assert_eq!(slow.test.counts().values().sum::<usize>(), 10);
}

#[test]
fn the_key_says_when_and_how_often() {
    let words = |key: &str| {
        let hedge = hedge(key, TWO).expect("a valid key");
        hedge.map(|hedge| hedge.describe()).unwrap_or_default()
    };
    assert_eq!(words("hedge = false"), "");
    assert_eq!(words("hedge = { mode = 'off' }"), "");
    assert_eq!(
        words("hedge = true"),
        "asked of a second endpoint after its p95, at least 1ms, for up to 5 % of the questions and 1 a second"
    );
    assert_eq!(
        words("hedge = { mode = 'measure', after = 'p99', after_min = '3ms', budget = 0.1 }"),
        "would be asked of a second endpoint after its p99, at least 3ms, for up to 10 % of the questions and 1 a second"
    );
    assert_eq!(
        words("hedge = { after = '20ms', min_per_second = 7 }"),
        "asked of a second endpoint after 20ms for up to 5 % of the questions and 7 a second"
    );
    let problems = |key: &str, backend: &str| {
        let problems = hedge(key, backend).expect_err("a mistake");
        problems.join("; ")
    };
    let bad = |key: &str| problems(key, TWO);
    assert_eq!(
        bad("hedge = 'p95'"),
        "hedge: expected `true`, `false` or a table, found a string"
    );
    assert_eq!(
        bad("hedge = { after = 'p100' }"),
        "hedge.after: `p100` is neither a percentile that is measured nor a time"
    );
    for after in ["p49", "p99.9", "P95", "95", "99.9%", "pp", "p"] {
        assert_eq!(
            bad(&format!("hedge = {{ after = '{after}' }}")),
            format!("hedge.after: `{after}` is neither a percentile that is measured nor a time")
        );
    }
    assert_eq!(
        bad("hedge = { after = 95 }"),
        "hedge.after: expected a percentile or a time, found an integer"
    );
    assert!(bad("hedge = { after = '20' }").contains("neither a percentile"));
    assert!(bad("hedge = { after = '20mss' }").contains("is not a duration"));
    assert_eq!(
        bad("hedge = { after = '1ms', after_min = '1ms' }"),
        "hedge.after_min: `after_min` is for an `after` that is measured"
    );
    assert_eq!(
        bad("hedge = { budget = 0, min_per_second = 0 }"),
        "hedge: this budget allows no hedge"
    );
    assert_eq!(
        problems("hedge = true", "endpoints = '10.0.0.1:1'"),
        "hedge: `hedge` needs several endpoints, and its backend has a single one"
    );
    assert_eq!(
        problems("hedge = true", ""),
        "hedge: `hedge` needs several endpoints, and its backend has none"
    );
    assert!(hedge("hedge = true", "endpoints = 'dns:a.internal:1'").is_ok());
}
