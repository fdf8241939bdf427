//! What a faster lookup is predicted to gain is what it gains: 10 ms are taken from a lookup, and the same calls are made again.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::run;
use crate::backend::closure::{Closure, Input};
use crate::context::Context;
use crate::guard::Guards;
use crate::metrics::{LoopMetrics, ProgramMetrics};
use crate::plan::Plan;
use crate::program::{Program, check};
use crate::random::Random;
use crate::recorder::{
    CallRecorder, Caller, Ended, Ending, Gains, Outcome, Recorder, RecorderLimits,
};
use crate::value::Value;

const IDL: &str = "
struct Reply { 1: optional i32 first, 2: optional i32 then, 3: optional i32 other }
service S { Reply get(1: i32 n) }
";
const CONFIG: &str = r#"
[server]
idl = "test.thrift"
[views.get.lookups]
first = { use = "first", with = { n = "n" } }
then = { use = "then", with = { n = "first" } }
other = { use = "other", with = { n = "n" } }
"#;
const CALLS: usize = 300;
/// By how much the prediction may be wrong.
const WRONG_MAX: f64 = 0.2;

/// How long each lookup takes, in milliseconds.
#[derive(Default)]
struct Delays([AtomicU64; 3]);

const NAMES: [&str; 3] = ["first", "then", "other"];

fn program(delays: &Arc<Delays>) -> Arc<Program> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("tributary.toml");
    std::fs::write(folder.path().join("test.thrift"), IDL).expect("the folder is ours");
    std::fs::write(&path, CONFIG).expect("the folder is ours");
    let lookups = NAMES.iter().enumerate().map(|(at, name)| {
        let delays = Arc::clone(delays);
        let answer = move |_: Input| {
            let delay = Duration::from_millis(delays.0[at].load(Ordering::Relaxed));
            async move {
                sleep(delay).await;
                Ok(Value::from(1))
            }
        };
        (Arc::from(*name), Closure::new(&["n"], answer))
    });
    let program = check(&path.to_string_lossy(), &lookups.collect());
    Arc::new(program.unwrap_or_else(|problems| panic!("{}", problems[0].render(false))))
}

/// Makes all calls, whose lookups take random times, less `saved` for one of them. Returns how long they took together,
/// and the prediction.
async fn calls(saved: [u64; 3]) -> (Duration, Gains) {
    let delays = Arc::new(Delays::default());
    let program = program(&delays);
    let metrics = ProgramMetrics::new(&LoopMetrics::unscraped(), &program);
    let guards = Guards::connect(Arc::clone(&program), Random::seeded(1), metrics, None).await;
    let limits = RecorderLimits {
        kept: 1,
        per_second: 1000,
        values: false,
    };
    let recorder = Recorder::new(limits, 1);
    let recording = CallRecorder::new(&recorder, 0, 1);
    let plan: &Arc<Plan> = program.plan("get").expect("a view");
    let mut random = Random::seeded(7);
    let mut took = Duration::ZERO;
    for _ in 0..CALLS {
        // Sometimes `other` is the slowest, more often the chain of the two.
        for (at, (least, spread)) in [(12, 20), (10, 20), (10, 50)].into_iter().enumerate() {
            let delay: u64 = least + random.draw() % spread;
            delays.0[at].store(delay - saved[at], Ordering::Relaxed);
        }
        let now = Instant::now();
        let context = Context::new(now, now + Duration::from_secs(1));
        let params: Rc<[Value]> = [Value::from(1)].into();
        let schema = &program.services[0].schema;
        let ran = run(plan, schema, &guards, &params, &context).await;
        let elapsed = now.elapsed();
        took += elapsed;
        let ending = Ending {
            arrived: now,
            took: elapsed.into(),
            failed: false,
            trace: None,
            watched: false,
        };
        let wanted = recording.wants(plan, ending);
        let ended = Ended {
            outcome: Outcome::Ok,
            caller: Caller::Connection(1),
            request_id: None,
            peer: None,
            trace: None,
            took: elapsed,
            timeline: ran.timeline,
            why: None,
            values: None,
        };
        let _id = recording.keep(plan, wanted.expect("the rate is high"), ended);
    }
    let mut gains = recorder.gains_ever();
    let (_, gains) = gains.pop().expect("calls were kept");
    assert_eq!(gains.calls, u64::try_from(CALLS).expect("few"));
    (took, gains)
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn ten_milliseconds_less_gain_what_was_predicted() {
    let (before, gains) = calls([0; 3]).await;
    let mut decided = 0;
    for (at, name) in NAMES.into_iter().enumerate() {
        let mut saved = [0; 3];
        saved[at] = 10;
        let (after, _) = calls(saved).await;
        let gain = gains.lookups.iter().find(|of| *of.name == *name);
        let gain = gain.expect("a lookup of the view");
        decided += gain.decided;
        let gained = before.saturating_sub(after).as_secs_f64();
        let predicted = Duration::from_micros(gain.gained).as_secs_f64();
        let wrong = (predicted - gained).abs() / gained;
        assert!(
            gained > 0.1 && wrong <= WRONG_MAX,
            "{name}: {predicted} s predicted, {gained} s gained"
        );
    }
    assert!(decided > 0);
}
