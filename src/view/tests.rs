//! The guards see one outcome for each question that a view asks, however it ends.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::{Execution, run};
use crate::backend::closure::{Closure, Input};
use crate::context::Context;
use crate::coop;
use crate::error::Code;
use crate::guard::Guards;
use crate::metrics::{LoopMetrics, ProgramMetrics};
use crate::program::{Program, Registry, check};
use crate::random::Random;
use crate::timeline::Fate;
use crate::value::Value;

const IDL: &str = "
struct Reply { 1: optional i32 a, 2: optional i32 b, 3: optional i32 c, 4: optional list<i32> all }
service S { Reply get(1: i32 n, 2: list<i32> ns) }
";

/// More values than are copied at once.
const MANY: usize = 20_000;

/// Lookups as closures: `third` doubles its parameter, `never` does not answer, `count` adds its parameter to the number of
/// elements, `many` and `lists` answer with many of them.
fn registry() -> Registry {
    let double = |input: Input| async move {
        match input.get("n") {
            Value::I64(n) => Ok(Value::from(n * 2)),
            other => panic!("{other:?}"),
        }
    };
    let never = |_| pending();
    let count = |input: Input| async move {
        match (input.get("n"), input.get("ns")) {
            (Value::I64(n), Value::List(ns)) => Ok(Value::from(n + ns.len().cast_signed() as i64)),
            other => panic!("{other:?}"),
        }
    };
    let many = |_| async { Ok(Value::List(vec![Value::from(7); MANY])) };
    let list = || Value::List(vec![Value::from(7); MANY]);
    let lists = move |_| async move { Ok(Value::List(vec![list(), list()])) };
    vec![
        (Arc::from("count"), Closure::new(&["n", "ns"], count)),
        (Arc::from("many"), Closure::new(&[], many)),
        (Arc::from("lists"), Closure::new(&[], lists)),
        (Arc::from("third"), Closure::new(&["n"], double)),
        (Arc::from("never"), Closure::new(&["n"], never)),
    ]
}

struct Test {
    program: Arc<Program>,
    guards: Guards,
}

impl Test {
    /// A server of `get` with these `lookups`, and further tables of the configuration.
    async fn new(lookups: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let toml =
            format!("[server]\nidl = \"test.thrift\"\n[views.get.lookups]\n{lookups}\n{more}");
        let doubles = (1..=40).map(|n| format!(r#"{{"n": {n}, "double": {}}}"#, n * 2));
        let doubles = doubles.collect::<Vec<_>>().join(", ");
        std::fs::write(folder.path().join("doubles.json"), format!("[{doubles}]"))
            .expect("the test's table is written");
        let path = folder.path().join("tributary.toml");
        std::fs::write(folder.path().join("test.thrift"), IDL).expect("the test's IDL is written");
        std::fs::write(&path, toml).expect("the test's configuration is written");
        let program = check(&path.to_string_lossy(), &registry());
        let program = program.unwrap_or_else(|problems| panic!("{}", problems[0].render(false)));
        let program = Arc::new(program);
        let metrics = ProgramMetrics::new(&LoopMetrics::unscraped(), &program);
        let guards = Guards::connect(Arc::clone(&program), Random::seeded(1), metrics, None).await;
        Test { program, guards }
    }

    /// One call `get(1, ns)`, dropped after `polls`.
    async fn call_halfway(&self, ns: usize, polls: usize) -> Option<Execution> {
        let plan = self.program.plan("get").expect("a view");
        let numbers = (1..=ns).map(|n| Value::from(i64::try_from(n).expect("a small number")));
        let params: Rc<[Value]> = [Value::from(1), Value::List(numbers.collect())].into();
        let now = Instant::now();
        let context = Context::new(now, now + Duration::from_mins(1));
        let mut run = Box::pin(run(
            plan,
            &self.program.services[0].schema,
            &self.guards,
            &params,
            &context,
        ));
        let mut left = polls;
        poll_fn(|cx| match run.as_mut().poll(cx) {
            Poll::Ready(execution) => Poll::Ready(Some(execution)),
            Poll::Pending => {
                left -= 1;
                if left == 0 {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn call(&self, ns: usize) -> Execution {
        let execution = self.call_halfway(ns, usize::MAX).await;
        execution.expect("a call that is not dropped ends")
    }

    /// So many calls took so long.
    fn observe(&self, calls: usize, took: Duration) {
        let plan = self.program.plan("get").expect("a view");
        for _ in 0..calls {
            self.guards.brownouts().observe(plan, took);
        }
    }

    /// How many questions had each outcome since the last call, whatever their parameters.
    fn outcomes(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for outcome in self.guards.take_outcomes() {
            let (_, outcome) = outcome.split_once("] ").expect("parameters first");
            *counts.entry(outcome.to_owned()).or_default() += 1;
        }
        counts
    }
}

fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts
        .map(|(outcome, count)| (outcome.to_owned(), count))
        .into()
}

fn fates(execution: &Execution) -> Vec<(Fate, Option<Code>)> {
    let tracks = execution.timeline.tracks.iter();
    tracks.map(|track| (track.fate, track.code)).collect()
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_guard_answers_immediately_and_sees_outcomes_of_what_it_let_pass() {
    let third = "{ use = \"third\", with = { n = \"n\" } }";
    let test = Test::new(&format!("a = {third}\nb = {third}\nc = {third}"), "").await;
    let execution = test.call(0).await;
    assert_eq!(execution.values, [2, 2, 3].map(Value::from));
    assert_eq!(fates(&execution), [(Fate::Ok, None); 3]);
    assert_eq!(test.outcomes(), counts([("answered I64(2)", 2)]));
}

/// The values of a parameter of the call, of another lookup and of its elements are copied for the lookup, which takes long.
#[tokio::test(flavor = "local")]
async fn a_loop_goes_on_while_large_inputs_are_copied() {
    let count = |ns: &str| format!("use = \"count\", with = {{ n = \"n\", ns = \"{ns}\" }}");
    let ns = i64::try_from(MANY).expect("a small number") + 1;
    for (lookups, expected) in [
        (format!("a = {{ {} }}", count("ns")), Value::from(ns)),
        (
            format!("many = {{ emit = false }}\na = {{ {} }}", count("many")),
            Value::from(ns),
        ),
        (
            format!(
                "lists = {{ emit = false }}\nall = {{ foreach = \"lists\", {} }}",
                count("item")
            ),
            vec![ns; 2].into(),
        ),
    ] {
        let test = Test::new(&lookups, "").await;
        // They are copied twice: the closure gets its own.
        let half = MANY / coop::VALUES + 10;
        assert!(test.call_halfway(MANY, half).await.is_none(), "{lookups}");
        let execution = test.call(MANY).await;
        assert!(
            execution.values.contains(&expected),
            "{lookups}: {:?}",
            fates(&execution)
        );
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn each_element_of_a_foreach_passes_the_guards() {
    let all = "all = { use = \"third\", foreach = \"ns\", with = { n = \"item\" } }";
    let test = Test::new(all, "").await;
    let answers = |last: i64| {
        let answer = |n| Value::from(if n % 3 == 0 { 3 } else { n * 2 });
        [Value::List((1..=last).map(answer).collect())]
    };
    assert_eq!(test.call(6).await.values, answers(6));
    assert_eq!(test.guards.take_outcomes().len(), 4);
    // This many are polled separately.
    assert_eq!(test.call(90).await.values, answers(90));
    assert_eq!(test.guards.take_outcomes().len(), 60);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn elements_from_memory_are_answered_in_one_turn() {
    let all = "all = { use = \"third\", foreach = \"ns\", with = { n = \"item\" } }";
    let test = Test::new(all, "").await;
    for elements in [30, 65, 100] {
        assert!(test.call_halfway(elements, 1).await.is_some(), "{elements}");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn timeouts_and_cancellations_are_distinguished() {
    let lookups = r#"
        a = { use = "never", with = { n = "n" }, timeout = "10ms" }
        b = { use = "never", with = { n = "n" }, timeout = "20ms", required = true }
        c = { use = "never", with = { n = "n" } }
    "#;
    let test = Test::new(lookups, "").await;
    let execution = test.call(0).await;
    let cancelled = (Fate::Cancelled, Some(Code::LookupCancelled));
    let timeout = (Fate::Timeout, Some(Code::LookupTimeout));
    assert_eq!(fates(&execution), [timeout, timeout, cancelled]);
    let outcomes = counts([("lookup.timeout", 2), ("cancelled", 1)]);
    assert_eq!(test.outcomes(), outcomes);
    assert!(test.call_halfway(0, 1).await.is_none());
    assert_eq!(test.outcomes(), counts([("cancelled", 3)]));
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn elements_of_a_foreach_time_out_and_are_cancelled_one_by_one() {
    let all = "all = { use = \"never\", foreach = \"ns\", with = { n = \"item\" } }";
    let test = Test::new(all, "").await;
    for elements in [2, 40] {
        let execution = test.call(elements).await;
        let late = (Fate::Timeout, Some(Code::CallDeadline));
        assert_eq!(fates(&execution), [late]);
        assert_eq!(test.outcomes(), counts([("call.deadline", elements)]));
        assert!(test.call_halfway(elements, 1).await.is_none());
        assert_eq!(test.outcomes(), counts([("cancelled", elements)]));
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_injected_fault_is_an_outcome_like_any_other() {
    let lookups = r#"
        a = { use = "faulty", with = { n = "n" } }
        b = { use = "slow", with = { n = "n" } }
        all = { use = "slow", foreach = "ns", with = { n = "item" } }
    "#;
    let table = r#"
        [backends.doubles]
        kind = "file"
        path = "doubles.json"
        [lookups.slow]
        backend = "doubles"
        key = { n = "{n}" }
        columns = ["double"]
        rows = "value"
        inject = { delay = "5ms" }
        [lookups.faulty]
        backend = "doubles"
        key = { n = "{n}" }
        columns = ["double"]
        rows = "value"
        inject = { delay = "5ms", error_rate = 1.0 }
    "#;
    let test = Test::new(lookups, table).await;
    // This many elements are polled separately.
    let execution = test.call(40).await;
    let faulty = (Fate::Error, Some(Code::LookupInjected));
    assert_eq!(
        fates(&execution),
        [faulty, (Fate::Ok, None), (Fate::Ok, None)]
    );
    assert_eq!(execution.values[1], Value::from(2));
    let doubles = (1..=40).map(|n| Value::from(n * 2));
    assert_eq!(execution.values[2], Value::List(doubles.collect()));
    let outcomes = test.outcomes();
    assert_eq!(outcomes["lookup.injected"], 1);
    assert_eq!(outcomes.values().sum::<usize>(), 42);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_injected_hang_lasts_until_the_timeout_and_an_injected_error_has_its_code() {
    let lookups = r#"
        a = { use = "hangs", with = { n = "n" }, timeout = "50ms" }
        b = { use = "fails", with = { n = "n" } }
    "#;
    let lookup =
        "backend = \"doubles\"\nkey = { n = \"{n}\" }\ncolumns = [\"double\"]\nrows = \"value\"";
    let table = format!(
        "[backends.doubles]\nkind = \"file\"\npath = \"doubles.json\"\n\
         [lookups.hangs]\n{lookup}\ninject = {{ hang_rate = 1.0 }}\n\
         [lookups.fails]\n{lookup}\n\
         inject = {{ delay = \"1h\", delay_rate = 0.0, error_rate = 1.0, error = \"bad_answer\" }}"
    );
    let test = Test::new(lookups, &table).await;
    let started = tokio::time::Instant::now();
    let execution = test.call(0).await;
    let expected = [
        (Fate::Timeout, Some(Code::LookupTimeout)),
        (Fate::Error, Some(Code::LookupBadAnswer)),
    ];
    assert_eq!(fates(&execution), expected);
    assert_eq!(started.elapsed().as_millis(), 50);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_answer_that_trickles_arrives_late_or_not_in_time() {
    let lookups = r#"
        a = { use = "slow", with = { n = "n" } }
        b = { use = "late", with = { n = "n" }, timeout = "50ms" }
        all = { use = "slow", foreach = "ns", with = { n = "item" } }
    "#;
    let lookup =
        "backend = \"doubles\"\nkey = { n = \"{n}\" }\ncolumns = [\"double\"]\nrows = \"value\"";
    // An integer takes as many bytes in memory as any value.
    let bytes = size_of::<Value>();
    let table = format!(
        "[backends.doubles]\nkind = \"file\"\npath = \"doubles.json\"\n\
         [lookups.slow]\n{lookup}\ninject = {{ delay = \"20ms\", trickle = \"{}B\" }}\n\
         [lookups.late]\n{lookup}\ninject = {{ trickle = \"1B\" }}",
        bytes * 10
    );
    let test = Test::new(lookups, &table).await;
    let started = tokio::time::Instant::now();
    let execution = test.call(40).await;
    let late = (Fate::Timeout, Some(Code::LookupTimeout));
    assert_eq!(
        fates(&execution),
        [(Fate::Ok, None), late, (Fate::Ok, None)]
    );
    assert_eq!(execution.values[0], Value::from(2));
    let doubles = (1..=40).map(|n| Value::from(n * 2));
    assert_eq!(execution.values[2], Value::List(doubles.collect()));
    let took = started.elapsed().as_millis();
    assert!(
        (119..=123).contains(&took),
        "a tenth of a second after the delay: {took} ms"
    );
    let outcomes = test.outcomes();
    assert_eq!(outcomes["lookup.timeout"], 1);
    assert_eq!(outcomes.values().sum::<usize>(), 42);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_view_whose_calls_take_too_long_leaves_out_what_is_optional() {
    for (mode, dropped) in [("enforce", true), ("measure", false)] {
        let lookups = format!(
            r#"
            a = {{ use = "double", with = {{ n = "n" }}, drop_below = 0.9 }}
            b = {{ use = "double", with = {{ n = "n" }}, drop_below = 0.0 }}
            [views.get.brownout]
            mode = "{mode}"
            "#
        );
        let lookup = "backend = \"doubles\"\nkey = { n = \"{n}\" }\ncolumns = [\"double\"]\nrows = \"value\"";
        let table = format!(
            "[backends.doubles]\nkind = \"file\"\npath = \"doubles.json\"\n[lookups.double]\n{lookup}"
        );
        let test = Test::new(&lookups, &table).await;
        let whole = [(Fate::Ok, None), (Fate::Ok, None)];
        assert_eq!(fates(&test.call(0).await), whole);
        let slow = |calls| test.observe(calls, Duration::from_hours(1));
        slow(100);
        assert_eq!(fates(&test.call(0).await), whole, "it has just begun");
        tokio::time::advance(Duration::from_secs(10)).await;
        slow(20);
        let shed = (Fate::Shed, Some(Code::LookupShed));
        let expected = [if dropped { shed } else { whole[0] }, whole[1]];
        assert_eq!(fates(&test.call(0).await), expected, "{mode}");
        test.observe(1000, Duration::ZERO);
        assert_eq!(fates(&test.call(0).await), whole, "it has recovered");
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_default_for_elements_does_not_hide_that_their_store_is_down() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = free.local_addr().expect("it is bound");
    drop(free);
    let all = "all = { use = \"value\", foreach = \"ns\", with = { n = \"item\" }, default = 7 }";
    for inject in ["", "inject = { delay = \"1ms\" }"] {
        let store = format!(
            "[backends.down]\nkind = \"redis\"\nurl = \"redis://{addr}\"\n\
             [lookups.value]\nbackend = \"down\"\nget = \"v:{{n}}\"\nformat = \"i64\"\n{inject}",
        );
        let test = Test::new(all, &store).await;
        for _ in 0..3 {
            let execution = test.call(40).await;
            let down = (Fate::Default, Some(Code::LookupUnavailable));
            assert_eq!(fates(&execution), [down]);
            assert_eq!(execution.values, [vec![7; 40].into()]);
            assert_eq!(test.outcomes(), counts([("lookup.unavailable", 40)]));
            let answering = test.guards.health().map(|(_, _, answering)| answering);
            assert_eq!(answering.collect::<Vec<_>>(), [false]);
        }
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_lookup_that_was_never_sent_is_reported_as_such() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = silent.local_addr().expect("it is bound");
    let lookups = r#"
        a = { use = "value", with = { n = "n" }, timeout = "100ms" }
        b = { use = "value", with = { n = "n" }, timeout = "50ms" }
    "#;
    // In batches, for a permit of the store, and for a permit of the lookup.
    for (backend, lookup) in [
        ("in_flight_max = 1", ""),
        ("in_flight_max = 1\nbatch_max = 1", ""),
        ("batch_max = 1", "in_flight_max = 1"),
    ] {
        let store = format!(
            "[backends.silent]\nkind = \"redis\"\nurl = \"redis://{addr}\"\n{backend}\n\
             [lookups.value]\nbackend = \"silent\"\nget = \"v:{{n}}\"\nformat = \"i64\"\n{lookup}",
        );
        let test = Test::new(lookups, &store).await;
        let execution = test.call(0).await;
        let sent = (Fate::Timeout, Some(Code::LookupTimeout));
        let not_sent = (Fate::TimeoutPool, Some(Code::LookupTimeoutPool));
        assert_eq!(fates(&execution), [sent, not_sent], "{backend}");
        let outcomes = counts([("lookup.timeout", 1), ("lookup.timeout_pool", 1)]);
        assert_eq!(test.outcomes(), outcomes, "{backend}");
    }
}
