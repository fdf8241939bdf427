//! What counts for the breaker of a store, and that a store that works again is asked again soon.

use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::backend::Answer;
use crate::context::Context;
use crate::guard::Params;
use crate::guard::reply_slots::ReplySlots;
use crate::metrics::LoopMetrics;
use crate::plan::LookupId;
use crate::program::{Registry, check};
use crate::value::Value;

const MS: Duration = Duration::from_millis(1);

struct Test {
    breakers: Breakers,
    metrics: Rc<ProgramMetrics>,
    context: Context,
}

/// A store with a breaker as configured, and one lookup.
fn program(breaker: &str) -> Arc<Program> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    write("test.thrift", "service S { string get(1: string who) }");
    let config = format!(
        r#"
        [server]
        idl = "test.thrift"
        [backends.store]
        kind = "redis"
        url = "redis://127.0.0.1:1"
        breaker = {breaker}
        [lookups.who]
        backend = "store"
        get = "{{who}}"
        [views.get.lookups]
        who = {{}}
        "#
    );
    write("tributary.toml", &config);
    let path = folder.path().join("tributary.toml");
    let program = check(&path.to_string_lossy(), &Registry::new());
    Arc::new(program.unwrap_or_else(|problems| panic!("{}", problems[0].render(false))))
}

fn test(breaker: &str) -> Test {
    let program = program(breaker);
    let metrics = ProgramMetrics::new(&LoopMetrics::unscraped(), &program);
    let now = Instant::now();
    Test {
        breakers: Breakers::new(&program, &Random::seeded(1), &metrics),
        metrics,
        context: Context::new(now, now),
    }
}

impl Test {
    fn question(&self) -> Question<'_> {
        let asked = Instant::now();
        Question {
            lookup: LookupId(0),
            params: Params::Own([].into()),
            context: &self.context,
            asked,
            deadline: asked + Duration::from_secs(1),
            allowed: Duration::from_secs(1).into(),
            step: 0,
        }
    }

    /// A lookup, if it reaches the store.
    fn begin(&self) -> Option<Question<'_>> {
        let question = self.question();
        let way = Way {
            slots: &ReplySlots::with_capacity(0),
            outside: 0,
        };
        match self.breakers.before(&question, way) {
            Before::Pass => Some(question),
            Before::Answer(Err(err)) => {
                assert_eq!(err.code, Code::LookupBreakerOpen);
                None
            }
            _ => panic!("it answers nothing by itself"),
        }
    }

    /// Whether a lookup reaches the store, which then answers or fails.
    fn ask(&self, outcome: Result<(), Code>) -> bool {
        let question = self.begin();
        if let Some(question) = &question {
            self.hear(question, outcome);
        }
        question.is_some()
    }

    fn hear(&self, question: &Question<'_>, outcome: Result<(), Code>) {
        match outcome {
            Ok(()) => {
                let answer = Answer::new(Value::Null);
                self.breakers.after(question, Outcome::Answered(&answer));
            }
            Err(code) => {
                let err = LookupError::new(code, "for a test");
                self.breakers.after(question, Outcome::Failed(&err));
            }
        }
    }

    fn events(&self) -> (usize, Vec<u64>) {
        let metrics = self.metrics.backends[0].breaker.as_ref();
        metrics.expect("it has a breaker").now()
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_store_costs_five_timeouts_and_then_no_time_until_it_is_back() {
    let test = test("{}");
    for _ in 0..5 {
        assert!(test.ask(Err(Code::LookupTimeout)));
    }
    assert_eq!(test.events(), (1, vec![1, 0, 0, 0, 0]));
    // It hangs for ten seconds, and is asked a thousand times a second.
    let (mut asked, mut refused) = (0, 0);
    for _ in 0..10_000 {
        if test.ask(Err(Code::LookupTimeout)) {
            asked += 1;
        } else {
            refused += 1;
        }
        advance(MS).await;
    }
    assert!((10..=20).contains(&asked), "{asked} probes");
    assert_eq!(asked + refused, 10_000);
    let back = Instant::now();
    while !test.ask(Ok(())) {
        advance(MS).await;
    }
    assert!(
        back.elapsed() <= Duration::from_secs(1),
        "{:?}",
        back.elapsed()
    );
    assert_eq!(test.events().0, 1, "half-open");
    for _ in 1..100 {
        assert!(test.ask(Ok(())), "all of them again");
    }
    let (open, events) = test.events();
    assert_eq!((open, &events[..2]), (0, &[1, 1][..]));
    assert_eq!(events[2], asked + 20, "so many close it");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_stores_fault_never_opens_it() {
    let test = test("{ consecutive = 1 }");
    for code in [
        Code::LookupRefused,
        Code::LookupFailed,
        Code::LookupBadAnswer,
        Code::LookupBadParam,
        Code::LookupTooMany,
        Code::LookupTimeoutPool,
        Code::LookupShed,
    ] {
        assert!(test.ask(Err(code)) && test.ask(Err(code)), "{code}");
    }
    let mut hurried = test.question();
    hurried.deadline = hurried.asked + 499 * MS;
    for code in [Code::LookupTimeout, Code::CallDeadline] {
        test.hear(&hurried, Err(code));
        assert!(test.ask(Ok(())), "{code} of a caller in a hurry");
    }
    test.breakers.after(&test.question(), Outcome::Cancelled);
    let known = LookupError::new(Code::LookupUnavailable, "down").not_tried();
    test.breakers
        .after(&test.question(), Outcome::Failed(&known));
    assert!(test.ask(Ok(())), "nothing was tried");
    assert_eq!(test.events(), (0, vec![0; 5]));
    assert!(test.ask(Err(Code::LookupUnavailable)));
    assert!(!test.ask(Ok(())), "but this does");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_works_once_and_then_hangs_gets_a_bounded_number_of_questions() {
    let test = test("{}");
    while test.ask(Err(Code::LookupTimeout)) {}
    advance(Duration::from_secs(1)).await;
    assert!(test.ask(Ok(())), "the probe");
    let mut hung = Vec::new();
    for _ in 0..400 {
        hung.extend(test.begin());
        assert!(test.begin().is_none(), "refused");
        advance(MS).await;
    }
    assert_eq!(hung.len(), 1);
    test.hear(&hung[0], Err(Code::LookupTimeout));
    assert!(!test.ask(Ok(())), "it is open");
    assert_eq!(test.events(), (1, vec![1, 0, 2, 801, 0]));
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_keeps_no_other_lookup_from_a_store_that_works_again() {
    let test = test("{}");
    while test.ask(Err(Code::LookupTimeout)) {}
    advance(Duration::from_secs(1)).await;
    assert!(test.ask(Ok(())), "the probe");
    for code in [Code::LookupShed, Code::LookupTimeoutPool] {
        assert!(test.ask(Err(code)), "it was not sent: {code}");
    }
    for _ in 0..100 {
        let question = test.begin().expect("it is asked");
        test.breakers.after(&question, Outcome::Cancelled);
    }
    for _ in 1..20 {
        assert!(test.ask(Ok(())));
    }
    assert_eq!(test.events().0, 0, "closed");
}

#[tokio::test(start_paused = true)]
async fn to_measure_refuses_nothing_and_counts_what_would_be_refused() {
    let test = test("{ mode = 'measure', consecutive = 2 }");
    for _ in 0..10 {
        assert!(test.ask(Err(Code::LookupTimeout)));
    }
    assert_eq!(test.events(), (1, vec![1, 0, 0, 0, 8]));
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_is_known_of_a_store_that_did_not_change() {
    let opened = |test: &Test| {
        test.ask(Err(Code::LookupUnavailable));
        assert!(!test.ask(Ok(())));
    };
    for (after, is_kept) in [
        ("{ consecutive = 1 }", true),
        ("{ consecutive = 2 }", false),
    ] {
        let before = test("{ consecutive = 1 }");
        opened(&before);
        let mut reloaded = test(after);
        reloaded.breakers.take_over(&before.breakers);
        assert_eq!(reloaded.ask(Ok(())), !is_kept, "{after}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_breaker_that_stays_open_is_logged_although_its_opening_was_not() {
    let test = test("{ consecutive = 1, open_max = \"1s\" }");
    let is_logged = || {
        let store = test.breakers.stores[0].as_ref().expect("a breaker");
        (store.breaker.borrow().is_open(), store.logged.get())
    };
    test.ask(Err(Code::LookupUnavailable));
    assert_eq!(is_logged(), (true, true));
    advance(1100 * MS).await;
    assert!(test.ask(Ok(())), "the probe");
    assert_eq!(is_logged(), (true, true), "half-open");
    for _ in 1..20 {
        assert!(test.ask(Ok(())));
    }
    assert_eq!(is_logged(), (false, false));
    test.ask(Err(Code::LookupUnavailable));
    assert_eq!(is_logged(), (true, false), "it was logged a moment ago");
    for _ in 0..10 {
        advance(1100 * MS).await;
        assert!(test.ask(Err(Code::LookupUnavailable)), "a probe");
    }
    assert_eq!(is_logged(), (true, true));
}
