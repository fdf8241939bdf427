//! Takes calls from the queue, in batches, and sends each batch until the collector has taken it or it is given up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::connection::{Answered, Connection};
use super::gzip::Gzip;
use super::json::to_json;
use super::protobuf::{rejected, to_protobuf};
use super::resource::Resource;
use super::verdict::{self, Verdict};
use crate::log_limit::LogLimit;
use crate::program::{Collector, TracesConfig};
use crate::random::Random;
use crate::recorder::{Dropped, RecordedCall, Tally};

/// How long calls are gathered. Until then the queue is not read, so that a loop that fills it wakes no thread.
const GATHER: Duration = Duration::from_millis(100);
/// The pause after the first failure; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A batch that was not taken for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(30);
/// How long the end of the server waits for the last batches.
const FLUSH: Duration = Duration::from_secs(1);

/// Where loops leave calls, and what became of them.
pub type Calls = (Receiver<Arc<RecordedCall>>, Arc<Tally>);

/// What sends the calls of all loops.
pub(super) struct Delivery {
    calls: Calls,
    collector: Arc<Collector>,
    batch_max: usize,
    resource: Resource,
    random: RefCell<Random>,
    /// If requests are compressed.
    gzip: Option<RefCell<Gzip>>,
    /// The memory in which spans are written.
    spans: RefCell<Vec<u8>>,
    stop: CancellationToken,
    /// Calls that were taken from the queue and are not counted yet.
    in_hand: Cell<usize>,
    /// Nothing was taken since the log said that the collector fails.
    failing: Cell<bool>,
    outages: LogLimit<()>,
    log: LogLimit<Dropped>,
}

impl Delivery {
    pub(super) fn new(config: &TracesConfig, calls: Calls, stop: CancellationToken) -> Self {
        let mut random = Random::from_process();
        Delivery {
            calls,
            collector: Arc::clone(&config.collector),
            batch_max: config.batch_max,
            resource: Resource::of_instance(&config.collector.resource, &mut random),
            random: random.into(),
            gzip: config.collector.gzip.then(|| Gzip::new().into()),
            spans: RefCell::default(),
            stop,
            in_hand: Cell::new(0),
            failing: Cell::new(false),
            outages: LogLimit::default(),
            log: LogLimit::default(),
        }
    }

    /// Sends calls until the server stops, and then for a moment what still waits.
    pub(super) async fn run(self: Rc<Self>) {
        let (_, tally) = &self.calls;
        // What the last run had in hand when it panicked.
        tally.count_dropped(Dropped::Refused, self.in_hand.take());
        let is_over = async {
            self.stop.cancelled().await;
            sleep(FLUSH).await;
        };
        tokio::select! {
            biased;
            () = self.send_all() => {}
            () = is_over => {
                let (calls, tally) = &self.calls;
                let left = self.in_hand.take() + calls.try_iter().count();
                tally.count_dropped(Dropped::Stopped, left);
                warn!(calls = left, "the last traces were not sent in time");
            }
        }
    }

    async fn send_all(&self) {
        let mut connection = Connection::new(&self.collector);
        loop {
            let is_stopping = self.stop.is_cancelled();
            let batch: Vec<_> = self.calls.0.try_iter().take(self.batch_max).collect();
            if !batch.is_empty() {
                self.send(&mut connection, &batch).await;
            } else if is_stopping {
                return;
            } else {
                let _stopped = self.stop.run_until_cancelled(sleep(GATHER)).await;
            }
        }
    }

    /// Sends a batch until it is taken, refused or given up.
    async fn send(&self, connection: &mut Connection, batch: &[Arc<RecordedCall>]) {
        self.in_hand.set(batch.len());
        let body = self.encode(batch);
        let give_up = Instant::now() + GIVE_UP;
        let mut pause = PAUSE_MIN;
        loop {
            let why = match connection.post(body.clone()).await {
                Ok(answered) => match self.judge(&answered) {
                    Verdict::Taken => return self.taken(&answered),
                    Verdict::Refused => {
                        let status = answered.status.to_string();
                        self.fails(&status);
                        return self.dropped(Dropped::Refused, &status);
                    }
                    Verdict::Again(after) => {
                        pause = after.unwrap_or(pause).min(GIVE_UP);
                        answered.status.to_string()
                    }
                },
                Err(why) => why,
            };
            let wait = pause.mul_f64(self.random.borrow_mut().about_one(0.2));
            self.fails(&why);
            if Instant::now() + wait >= give_up {
                return self.dropped(Dropped::Unreachable, &why);
            }
            sleep(wait).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn judge(&self, answered: &Answered) -> Verdict {
        let verdict = verdict::of(answered.status, answered.retry_after.as_deref());
        debug!(status = %answered.status, calls = self.in_hand.get(), "traces were sent");
        verdict
    }

    fn taken(&self, answered: &Answered) {
        self.calls.1.count_sent(self.in_hand.take());
        if self.failing.take() {
            info!("the collector takes traces again");
        }
        let spans = if self.collector.json {
            rejected_in_json(&answered.body)
        } else {
            rejected(&answered.body)
        };
        if let Some(spans) = spans.filter(|spans| *spans > 0)
            && let Some(suppressed) = self.log.allow(Dropped::Refused)
        {
            warn!(spans, suppressed, "the collector rejected spans");
        }
    }

    /// A batch was not taken. The log says so until one is, but not more often than it says anything else.
    fn fails(&self, error: &str) {
        if !self.failing.get() && self.outages.allow(()).is_some() {
            self.failing.set(true);
            warn!(error, "the collector does not take traces");
        }
    }

    fn dropped(&self, why: Dropped, error: &str) {
        let calls = self.in_hand.take();
        self.calls.1.count_dropped(why, calls);
        if let Some(suppressed) = self.log.allow(why) {
            let reason = why.as_str();
            warn!(error, calls, reason, suppressed, "traces were dropped");
        }
    }

    fn encode(&self, batch: &[Arc<RecordedCall>]) -> Bytes {
        let calls = batch.iter().map(|call| &**call);
        let mut spans = self.spans.borrow_mut();
        spans.clear();
        if self.collector.json {
            let json = to_json(&self.resource, calls).to_string();
            spans.extend_from_slice(json.as_bytes());
        } else {
            to_protobuf(&self.resource, calls, &mut spans);
        }
        match &self.gzip {
            Some(gzip) => gzip.borrow_mut().compress(&spans).into(),
            None => {
                let next = Vec::with_capacity(spans.len());
                std::mem::replace(&mut *spans, next).into()
            }
        }
    }
}

/// The number of spans that the collector says it did not take.
fn rejected_in_json(body: &[u8]) -> Option<u64> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let rejected = &answer["partialSuccess"]["rejectedSpans"];
    // 64-bit numbers are text in OTLP JSON.
    rejected
        .as_u64()
        .or_else(|| rejected.as_str()?.parse().ok())
}
