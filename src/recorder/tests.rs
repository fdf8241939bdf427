//! Which calls are kept, and what they say about gains.

use tokio::time::advance;

use super::*;
use crate::error::Code;
use crate::timeline::sample::{evented, ms};

const LIMITS: RecorderLimits = RecorderLimits {
    kept: 10,
    per_second: 20,
    values: false,
};

fn plan() -> Plan {
    use crate::plan::ReplyShape;
    Plan {
        index: 0,
        method: "get".into(),
        service: 0,
        label: "get".into(),
        key: "views.get".into(),
        oneway: false,
        params: crate::idl::StructId(0),
        context_param: None,
        deadline: Duration::from_secs(1),
        steps: Vec::new(),
        referred: false,
        lanes: Arc::default(),
        declared: Vec::new(),
        reply: ReplyShape::Void,
        placing: None,
        report_field: None,
        report_always: false,
        brownout: None,
        allow: None,
        throws: Vec::new(),
    }
}

/// Ends a call that took so many milliseconds. True if it is kept.
fn end(calls: &CallRecorder, took: u64, outcome: Outcome) -> bool {
    let (plan, took) = (plan(), Duration::from_millis(took));
    let failed = outcome != Outcome::Ok;
    let now = Instant::now();
    let ending = Ending {
        arrived: now.checked_sub(took).unwrap_or(now),
        took: took.into(),
        failed,
        trace: None,
        watched: false,
    };
    let Some(wanted) = calls.wants(&plan, ending) else {
        return false;
    };
    let ended = Ended {
        outcome,
        caller: Caller::Connection(7),
        request_id: None,
        peer: None,
        trace: None,
        took,
        timeline: evented(),
        why: None,
        values: None,
    };
    drop(calls.keep(&plan, wanted, ended));
    true
}

fn took(calls: &[Arc<RecordedCall>]) -> Vec<u64> {
    calls.iter().map(|call| call.took.get() / 1000).collect()
}

#[tokio::test(start_paused = true)]
async fn a_busy_loop_keeps_a_sample_the_slowest_and_some_that_failed() {
    let recorder = Recorder::new(LIMITS, 2);
    let calls = CallRecorder::new(&recorder, 1, 1);
    let failed = Outcome::Failed(Code::CallDeadline);
    let mut kept = 0;
    for at in 0..2_000 {
        advance(Duration::from_millis(1)).await;
        let outcome = if at >= 1_000 { failed } else { Outcome::Ok };
        let slow = if at % 500 == 499 { 900 + at / 500 } else { 5 };
        kept += usize::from(end(&calls, slow, outcome));
    }
    assert!((40..80).contains(&kept), "{kept} of 2000");
    assert_eq!(took(&recorder.list(List::Slowest)), [903, 902, 901, 900]);
    let recent = recorder.list(List::Recent);
    assert_eq!(recent.len(), LIMITS.kept);
    assert_eq!(recorder.list(List::Failed).len(), LIMITS.kept);
    assert!(
        recorder
            .list(List::Failed)
            .iter()
            .all(|call| call.outcome == failed)
    );
    let last = &recent[0];
    assert!(last.id().starts_with("1-"), "{}", last.id());
    assert_eq!(
        recorder.find(&last.id()).map(|call| call.took),
        Some(last.took)
    );
    assert!(recorder.find("1-99999").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_method_is_in_the_sample_however_busy_the_others_are() {
    let recorder = Recorder::new(LIMITS, 1);
    let calls = CallRecorder::new(&recorder, 0, 1);
    let keeping = calls.keeping.as_ref().expect("it keeps");
    while keeping.sampled.takes(Instant::now()) {}
    assert!(end(&calls, 5, Outcome::Ok));
    assert_eq!(recorder.list(List::Recent).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_slowest_are_those_of_the_last_minutes() {
    let recorder = Recorder::new(LIMITS, 1);
    let calls = CallRecorder::new(&recorder, 0, 1);
    let minutes = Duration::from_mins(5);
    for took in [70, 60, 50, 40] {
        assert!(end(&calls, took, Outcome::Ok));
    }
    advance(minutes).await;
    assert!(end(&calls, 3, Outcome::Ok), "the slowest of its period");
    assert_eq!(took(&recorder.list(List::Slowest)), [70, 60, 50, 40, 3]);
    advance(minutes).await;
    end(&calls, 2, Outcome::Ok);
    assert_eq!(took(&recorder.list(List::Slowest)), [3, 2]);
    advance(minutes * 2).await;
    end(&calls, 1, Outcome::Ok);
    assert_eq!(took(&recorder.list(List::Slowest)), [1]);
    advance(minutes * 2).await;
    assert_eq!(took(&recorder.list(List::Slowest)), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn gains_are_those_of_sampled_calls_that_did_not_fail() {
    let recorder = Recorder::new(LIMITS, 2);
    let one = CallRecorder::new(&recorder, 0, 1);
    let other = CallRecorder::new(&recorder, 1, 1);
    end(&one, 503, Outcome::Ok);
    end(&other, 503, Outcome::Partial);
    end(&other, 503, Outcome::Failed(Code::CallRequiredFailed));
    let gains = recorder.gains();
    let [(method, gains)] = &gains[..] else {
        panic!("{gains:?}");
    };
    assert_eq!((&**method, gains.calls), ("get", 2));
    assert_eq!(gains.took, 2 * 503_000);
    let of = |name: &str| {
        let of = gains.lookups.iter().find(|of| *of.name == *name);
        of.map(|of| (of.decided, of.critical, of.gained))
            .expect("a lookup")
    };
    let twice = 2 * ms(10).get();
    assert_eq!(of("flight"), (0, 2, twice));
    assert_eq!(of("plane"), (2, 2, twice));
    assert_eq!(of("weather"), (0, 0, 0));
    advance(Duration::from_mins(11)).await;
    end(&one, 503, Outcome::Ok);
    assert_eq!(recorder.gains()[0].1.calls, 1);
    assert_eq!(recorder.gains_ever()[0].1.calls, 3);
}

#[tokio::test(start_paused = true)]
async fn a_loop_does_not_wait_for_a_reader() {
    let recorder = Recorder::new(LIMITS, 1);
    let calls = CallRecorder::new(&recorder, 0, 1);
    let reading = recorder.loops[0].lock().expect("no thread panicked");
    end(&calls, 5, Outcome::Ok);
    drop(reading);
    assert!(recorder.list(List::Recent).is_empty());
}
