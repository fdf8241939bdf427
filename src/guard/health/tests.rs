//! When a store counts as failing, and how often that is logged.

use tokio::time::advance;

use super::*;
use crate::backend::{Answer, LookupError};
use crate::context::Context;
use crate::guard::Params;
use crate::log_limit::INTERVAL;
use crate::metrics::LoopMetrics;
use crate::program::{Registry, check};
use crate::value::Value;

struct Test {
    health: Health,
    context: Context,
}

/// A store with one lookup.
fn test() -> Test {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    write("test.thrift", "service S { string get(1: string who) }");
    write("who.csv", "who\nann\n");
    write(
        "tributary.toml",
        r#"
        [server]
        idl = "test.thrift"
        [backends.table]
        kind = "file"
        path = "who.csv"
        [lookups.who]
        backend = "table"
        key = { who = "{who}" }
        rows = "value"
        [views.get.lookups]
        who = {}
        "#,
    );
    let path = folder.path().join("tributary.toml");
    let program = check(&path.to_string_lossy(), &Registry::new());
    let program = program.unwrap_or_else(|problems| panic!("{}", problems[0].render(false)));
    let program = Arc::new(program);
    let metrics = ProgramMetrics::new(&LoopMetrics::unscraped(), &program);
    let now = Instant::now();
    Test {
        health: Health::new(&program, &Random::seeded(1), &metrics),
        context: Context::new(now, now),
    }
}

impl Test {
    fn hear(&self, outcome: Outcome<'_>) {
        let question = Question {
            lookup: LookupId(0),
            params: Params::Own([].into()),
            context: &self.context,
            asked: self.context.arrived,
            deadline: self.context.deadline,
            allowed: Duration::from_secs(1).into(),
            step: 0,
        };
        self.health.after(&question, outcome);
    }

    fn answers(&self) {
        self.hear(Outcome::Answered(&Answer::new(Value::Null)));
    }

    fn fails(&self, code: Code) {
        self.hear(Outcome::Failed(&LookupError::new(code, "for a test")));
    }

    /// Whether it answers, by the metric too; and whether the log says that it fails.
    fn state(&self) -> (bool, bool) {
        let store = &self.health.stores[0];
        let answers = self.health.is_answering(0);
        assert_eq!(store.up.get(), usize::from(answers));
        (answers, store.logged.get())
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_fails_once_it_cannot_be_reached_until_it_answers_whatever_it_says() {
    let test = test();
    assert_eq!(test.state(), (true, false));
    for code in [
        Code::LookupTimeoutPool,
        Code::LookupShed,
        Code::LookupRefused,
    ] {
        test.fails(code);
        assert_eq!(test.state(), (true, false), "{code}");
    }
    for answer in [None, Some(Code::LookupRefused), Some(Code::LookupThrew)] {
        advance(INTERVAL).await;
        test.fails(Code::LookupUnavailable);
        test.fails(Code::LookupTimeoutPool);
        assert_eq!(test.state(), (false, true));
        match answer {
            None => test.answers(),
            Some(code) => test.fails(code),
        }
        assert_eq!(test.state(), (true, false), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_only_times_out_fails_after_a_second() {
    let test = test();
    for code in [Code::LookupTimeout, Code::CallDeadline] {
        for _ in 0..5 {
            test.fails(code);
            advance(SILENCE / 5).await;
            assert_eq!(test.state(), (true, false));
        }
        test.answers();
        // From the beginning, since it answered.
        test.fails(code);
        advance(SILENCE * 9 / 10).await;
        test.fails(code);
        assert_eq!(test.state(), (true, false));
        advance(SILENCE / 10).await;
        test.fails(code);
        assert!(!test.state().0, "it has answered nothing for a second");
        test.answers();
        assert_eq!(test.state(), (true, false));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_logged_once_and_a_store_that_comes_and_goes_at_a_limited_rate() {
    let test = test();
    for _ in 0..100 {
        test.fails(Code::LookupUnavailable);
        assert_eq!(test.state(), (false, true));
    }
    for _ in 0..100 {
        test.answers();
        assert_eq!(test.state(), (true, false));
        test.fails(Code::LookupUnavailable);
        assert_eq!(test.state(), (false, false), "logged a moment ago");
    }
    advance(INTERVAL).await;
    test.fails(Code::LookupUnavailable);
    assert_eq!(test.state(), (false, true), "it still fails");
}
