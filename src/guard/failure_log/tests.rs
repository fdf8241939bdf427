//! Failures of closures, which have no store whose health is known, are logged at a limited rate whatever their code.

use std::io;
use std::rc::Rc;
#[expect(
    clippy::disallowed_types,
    reason = "the log's writer has to be `Send` and `Sync`"
)]
use std::sync::Mutex;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, advance};

use crate::backend::LookupError;
use crate::backend::closure::Closure;
use crate::context::Context;
use crate::error::Code;
use crate::guard::{Guards, Params, Question, ReplySlots};
use crate::log_limit::INTERVAL;
use crate::metrics::{LoopMetrics, ProgramMetrics};
use crate::plan::LookupId;
use crate::program::check;
use crate::random::Random;

/// What was logged.
#[derive(Clone, Default)]
#[expect(
    clippy::disallowed_types,
    reason = "the log's writer has to be `Send` and `Sync`"
)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines since the last time.
    fn take(&self) -> Vec<String> {
        let log = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let log = String::from_utf8(log).expect("text");
        log.lines().map(ToOwned::to_owned).collect()
    }
}

/// A program with one lookup: a closure that fails.
async fn guards() -> Guards {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    };
    write("test.thrift", "service S { string get() }");
    write(
        "tributary.toml",
        "[server]\nidl = \"test.thrift\"\n[views.get.lookups]\nfails = \"fails\"",
    );
    let fails = async |_| Err(LookupError::new(Code::LookupUnavailable, "its own store"));
    let registry = vec![(Arc::from("fails"), Closure::new(&[], fails))];
    let path = folder.path().join("tributary.toml");
    let program = check(&path.to_string_lossy(), &registry);
    let program = program.unwrap_or_else(|problems| panic!("{}", problems[0].render(false)));
    let program = Arc::new(program);
    let metrics = ProgramMetrics::new(&LoopMetrics::unscraped(), &program);
    Guards::connect(program, Random::seeded(1), metrics, None).await
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_closure_that_is_unavailable_is_logged_once_per_interval() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let guards = guards().await;
    let now = Instant::now();
    let context = Context::new(now, now + Duration::from_hours(1));
    let slots = ReplySlots::with_capacity(0);
    let ask = async || {
        let question = Question {
            lookup: LookupId(0),
            params: Params::Own(Rc::from([])),
            context: &context,
            asked: context.arrived,
            deadline: context.deadline,
            allowed: Duration::from_secs(1).into(),
            step: 0,
        };
        let mut pending = guards.prepare(question);
        match pending.ask(&slots) {
            Some(answer) => answer,
            None => std::future::poll_fn(|cx| pending.poll(&slots, None, cx)).await,
        }
    };
    for _ in 0..100 {
        ask().await.expect_err("it fails");
    }
    let lines = log.take();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for word in [
        "WARN",
        "lookup failed",
        "lookup.unavailable",
        "suppressed=0",
    ] {
        assert!(lines[0].contains(word), "{}", lines[0]);
    }
    advance(INTERVAL).await;
    ask().await.expect_err("it fails");
    assert!(log.take()[0].contains("suppressed=99"));
}
