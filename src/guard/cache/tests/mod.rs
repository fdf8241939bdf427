//! What calls get, and what the store is asked, with a scripted store and paused time.

mod model; // any sequence of events, compared with a naive model
mod coalesced; // questions under way
mod stale; // old answers
mod invalidated; // answers that are no longer right
mod entries; // limits and times

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::task::yield_now;
use tokio::time::{Instant, advance, sleep_until};

use super::super::chain::{Before, Detached, Guard, Inside, Way};
use super::super::params::Params;
use super::super::question::{Question, late};
use super::super::reply_slots::{ReplySlots, SlotId};
use super::super::sending::Progress;
use super::Cache;
use crate::backend::{Answer, LookupError, StoreMemory};
use crate::context::Context;
use crate::error::Code;
use crate::metrics::{LoopMetrics, ProgramMetrics};
use crate::plan::LookupId;
use crate::program::{Program, check};
use crate::random::Random;
use crate::timeline::Source;
use crate::value::Value;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// What the store does with a question.
#[derive(Clone, Debug)]
enum Reply {
    /// Answers with this value after so long.
    Value(Value, Duration),
    Fails(Code),
    /// Never answers.
    Hangs,
}

/// A store of which a test says what it does.
#[derive(Default)]
struct Store {
    /// What it does with the next questions; after that it hangs.
    replies: RefCell<VecDeque<Reply>>,
    /// What it does with any other question.
    always: RefCell<Option<Reply>>,
    asked: RefCell<Vec<Vec<Value>>>,
    cancelled: Cell<usize>,
    logged: RefCell<Vec<Code>>,
    /// Whether questions wait to be sent.
    holds: Cell<bool>,
}

/// Counts a question that is dropped.
struct Asked(Rc<Store>, Cell<bool>);

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.1.get() {
            self.0.cancelled.set(self.0.cancelled.get() + 1);
        }
    }
}

impl Inside for Store {
    fn ask(
        self: Rc<Self>,
        question: Detached,
    ) -> LocalBoxFuture<'static, Result<Answer, LookupError>> {
        let next = self.replies.borrow_mut().pop_front();
        let reply = next.or_else(|| self.always.borrow().clone());
        self.asked.borrow_mut().push(question.params.to_vec());
        if !self.holds.get() {
            question.sending.set(Progress::Alone);
        }
        let asked = Asked(self, Cell::new(false));
        Box::pin(async move {
            let asked = asked;
            let deadline = question.deadline;
            let answer = async {
                match reply.unwrap_or(Reply::Hangs) {
                    Reply::Value(value, after) => {
                        sleep_until(Instant::now() + after).await;
                        Ok(Answer::new(value))
                    }
                    Reply::Fails(code) => Err(LookupError::new(code, "it is scripted")),
                    Reply::Hangs => pending().await,
                }
            };
            let answer = tokio::time::timeout_at(deadline, answer).await;
            asked.1.set(true);
            answer.unwrap_or_else(|_| Err(late(deadline, &question.context)))
        })
    }

    fn log(&self, _: LookupId, err: &LookupError) {
        self.logged.borrow_mut().push(err.code);
    }
}

impl Store {
    fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.replies.borrow_mut().extend(replies);
    }

    fn always(&self, reply: Reply) {
        self.always.replace(Some(reply));
    }

    fn asked(&self) -> usize {
        self.asked.borrow().len()
    }
}

fn value(number: i64) -> Reply {
    Reply::Value(Value::I64(number), Duration::ZERO)
}

/// The program of a lookup `it` with these keys.
fn program(keys: &str) -> Arc<Program> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let toml = format!(
        "[server]\nidl = 's.thrift'\n[backends.store]\nkind = 'redis'\nin_flight_max = 16\n\
         url = 'redis://127.0.0.1:1'\n[lookups.it]\nbackend = 'store'\nget = '{{n}}'\n\
         format = 'i64'\n{keys}\n[views.get]\ndeadline = '1s'\n[views.get.lookups]\nit = 'it'\n"
    );
    let idl = "struct R { 1: optional i64 it } service S { R get(1: i64 n) }";
    for (name, text) in [("s.thrift", idl), ("t.toml", &toml)] {
        std::fs::write(folder.path().join(name), text).expect("the folder is ours");
    }
    let path = folder.path().join("t.toml");
    let checked = check(&path.to_string_lossy(), &Vec::new());
    Arc::new(checked.unwrap_or_else(|problems| panic!("{}", problems[0].render(false))))
}

struct Test {
    cache: Cache,
    store: Rc<Store>,
    memory: StoreMemory,
}

/// What a call gets at once.
enum Got {
    Answer(Answer),
    Waits(Waiting),
}

/// A call that waits.
struct Waiting {
    slots: ReplySlots,
    slot: SlotId,
}

impl Test {
    fn new(keys: &str) -> Self {
        let program = program(keys);
        let metrics = ProgramMetrics::new(&LoopMetrics::unscraped(), &program);
        let cache = Cache::new(&program, &Random::seeded(7), &metrics);
        let store = Rc::new(Store::default());
        let memory = StoreMemory::default();
        let inside: Rc<dyn Inside> = Rc::clone(&store) as _;
        cache.ask_through(Rc::downgrade(&inside), &memory);
        Test {
            cache,
            store,
            memory,
        }
    }

    /// Asks for `key`, with so much time.
    fn ask_within(&self, key: &Value, time: Duration) -> Got {
        let now = Instant::now();
        let context = Context::new(now, now + time);
        let slots = ReplySlots::with_capacity(1);
        let params: Rc<[Value]> = [key.clone()].into();
        let question = Question {
            lookup: LookupId(0),
            params: Params::Own(params),
            context: &context,
            asked: now,
            deadline: context.deadline,
            allowed: SECOND.into(),
            step: 0,
        };
        let way = Way {
            slots: &slots,
            outside: 1,
        };
        match self.cache.before(&question, way) {
            Before::Answer(answer) => Got::Answer(answer.expect("a kept answer")),
            Before::Joined(slot) => Got::Waits(Waiting { slots, slot }),
            Before::Pass | Before::Hold(_) | Before::Later(_) => panic!("not here"),
        }
    }

    fn ask(&self, key: i64) -> Got {
        self.ask_within(&Value::I64(key), SECOND)
    }

    /// The outcome of a call that asks for `key`.
    async fn call(&self, key: i64) -> Result<Answer, LookupError> {
        match self.ask(key) {
            Got::Answer(answer) => Ok(answer),
            Got::Waits(waiting) => waiting.outcome().await,
        }
    }

    /// The value and the source that a call gets.
    async fn get(&self, key: i64) -> (Value, Source) {
        let answer = self.call(key).await.expect("an answer");
        (answer.value, answer.source)
    }

    /// The answer for a call that has had so much of a second's time.
    fn late_after(&self, key: i64, time: Duration) -> Option<Answer> {
        let now = Instant::now();
        let context = Context::new(now, now);
        let question = Question {
            lookup: LookupId(0),
            params: Params::Own([Value::I64(key)].into()),
            context: &context,
            asked: now - time,
            deadline: now,
            allowed: SECOND.into(),
            step: 0,
        };
        self.cache.late(&question)
    }

    fn late(&self, key: i64) -> Option<Answer> {
        self.late_after(key, SECOND)
    }
}

impl Got {
    fn waits(self) -> Waiting {
        match self {
            Got::Waits(waiting) => waiting,
            Got::Answer(answer) => panic!("it was answered at once: {answer:?}"),
        }
    }
}

impl Waiting {
    fn now(&self) -> Option<Result<Answer, LookupError>> {
        match self.slots.take(self.slot) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    /// The outcome, for which paused time moves on.
    async fn outcome(&self) -> Result<Answer, LookupError> {
        loop {
            if let Some(answer) = self.now() {
                return answer;
            }
            settle().await;
            if let Some(answer) = self.now() {
                return answer;
            }
            advance(MS).await;
        }
    }
}

/// Lets every task go as far as it can without time.
async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}
