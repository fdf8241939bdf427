//! Tests of balancing, ejection, retries and discovery, with servers that follow a script.

mod balance; // who is asked
mod discovery; // files and name servers
mod eject; // who is not asked for a while
mod hedges; // who is asked beside a slow one
mod retries;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::backend::{Answer, Ask, LookupError, OnLoop};
use crate::config::{document, whole};
use crate::context::Context;
use crate::error::Code;

const MS: Duration = Duration::from_millis(1);

/// Whether a server is down, and what it does, by its address.
#[derive(Clone, Default)]
struct Script(Rc<RefCell<BTreeMap<String, Act>>>);

/// What a server does with a question.
#[derive(Clone, Debug, Default)]
enum Act {
    #[default]
    Answer,
    Fail(LookupError),
    Hang,
    /// It answers or fails after this time.
    After(Duration, Option<LookupError>),
    /// It is known to be down.
    Down,
}

/// Asks one server.
struct Fake {
    label: String,
    script: Script,
    /// Tells a client that was kept from one that was made anew.
    number: usize,
}

impl Client for Fake {
    fn is_down(&self) -> bool {
        matches!(self.act(), Act::Down)
    }
}

impl Fake {
    fn act(&self) -> Act {
        let script = self.script.0.borrow();
        script.get(&self.label).cloned().unwrap_or_default()
    }

    async fn ask(&self) -> Result<Answer, LookupError> {
        match self.act() {
            Act::Answer => Ok(Answer::new(self.label.as_str().into())),
            Act::Fail(err) => Err(err),
            Act::Hang => std::future::pending().await,
            Act::After(time, err) => {
                tokio::time::sleep(time).await;
                err.map_or_else(|| Ok(Answer::new(self.label.as_str().into())), Err)
            }
            Act::Down => Err(unavailable().not_tried()),
        }
    }
}

struct Test {
    endpoints: Endpoints<Fake>,
    script: Script,
    /// Each attempt so far.
    asked: RefCell<Vec<String>>,
    /// How many endpoints the last outcome says were asked, if it says that.
    attempts: Cell<Option<u8>>,
}

/// The endpoint that an answer names, which is the one that made it.
#[track_caller]
fn answered_by(answer: &Answer) -> String {
    let endpoint = answer.endpoints().and_then(|asked| asked.last.as_deref());
    assert_eq!(endpoint, answer.value.as_str());
    endpoint.expect("it has endpoints").to_owned()
}

/// How many endpoints were asked, as an outcome says.
fn attempts<E>(outcome: &Result<Result<Answer, LookupError>, E>) -> Option<u8> {
    let asked = match outcome.as_ref().ok()? {
        Ok(answer) => answer.endpoints()?,
        Err(err) => err.endpoints.as_deref()?,
    };
    Some(asked.attempts)
}

fn unavailable() -> LookupError {
    LookupError::new(Code::LookupUnavailable, "for a test")
}

/// The problems of a backend's keys.
fn read(keys: &str) -> Result<Option<Config>, Vec<String>> {
    let document = document(keys);
    let mut section = whole(&document);
    let config = Config::read(&mut section);
    section.finish();
    let problems = document.problems.into_vec();
    let problems = problems
        .into_iter()
        .map(|of| format!("{}: {}", of.key, of.message));
    config.map_err(|()| problems.collect())
}

async fn test(keys: &str) -> Test {
    test_of(read(keys).expect("valid keys").expect("endpoints")).await
}

async fn test_of(config: Config) -> Test {
    let script = Script::default();
    let (of_clients, made) = (script.clone(), Cell::new(0));
    let make = move |target: &Target, _: &OnLoop| {
        made.set(made.get() + 1);
        Fake {
            label: target.to_string(),
            script: of_clients.clone(),
            number: made.get(),
        }
    };
    let on = OnLoop {
        seed: 7,
        ..OnLoop::default()
    };
    Test {
        endpoints: Endpoints::start(&config, &on, make).await,
        script,
        asked: RefCell::default(),
        attempts: Cell::default(),
    }
}

impl Test {
    fn acts(&self, label: &str, act: Act) {
        self.script.0.borrow_mut().insert(label.into(), act);
    }

    /// Asks with this much time, of which the view allows as much.
    async fn ask_within(&self, time: Duration, hash: Option<u64>) -> Result<String, Code> {
        self.ask_of(time, time, hash).await
    }

    /// Asks with so much time, while the view allows `allowed`.
    async fn ask_of(
        &self,
        time: Duration,
        allowed: Duration,
        hash: Option<u64>,
    ) -> Result<String, Code> {
        let now = Instant::now();
        let context = Context::new(now, now + time);
        let ask = Ask {
            params: &[],
            context: &context,
            deadline: now + time,
            allowed,
            step: 0,
        };
        let asking = self.endpoints.ask(hash, &ask, async |fake| {
            self.asked.borrow_mut().push(fake.label.clone());
            fake.ask().await
        });
        let outcome = tokio::time::timeout_at(ask.deadline, asking).await;
        self.attempts.set(attempts(&outcome));
        match outcome {
            Ok(Ok(answer)) => Ok(answered_by(&answer)),
            Ok(Err(err)) => Err(err.code),
            Err(_elapsed) => Err(Code::LookupTimeout),
        }
    }

    async fn ask(&self) -> Result<String, Code> {
        self.ask_within(Duration::from_secs(1), None).await
    }

    /// Which servers were asked how often since the last time.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for label in self.asked.take() {
            *counts.entry(label).or_default() += 1;
        }
        counts
    }

    fn shown(&self, label: &str) -> Shown {
        let shown = self.endpoints.board().endpoints().into_iter();
        let mut shown = shown.filter(|shown| *shown.endpoint == *label);
        shown.next().expect("it is in use")
    }
}

const THREE: &str = "endpoints = ['10.0.0.1:1', '10.0.0.2:1', '10.0.0.3:1']\n";
