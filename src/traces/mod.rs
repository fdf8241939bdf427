//! Sends calls as spans to a collector of traces, over OTLP/HTTP, on its own thread.
//!
//! In: calls that [`recorder`](crate::recorder) took, from a bounded queue. Out: requests as
//! <https://opentelemetry.io/docs/specs/otlp/> describes them. A collector that is down, slow or silent costs the calls
//! nothing: what does not fit into the queue is dropped and counted. No values are sent: neither parameters nor answers.

mod span;
mod call_spans; // what a call becomes
mod store; // what is said of a store
mod resource; // what is said of this server
mod protobuf;
mod json;
mod gzip;
mod verdict; // of a collector
mod connection;
mod delivery; // in batches, again and again

use std::io;
use std::rc::Rc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, LocalOptions};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::program::TracesConfig;
use crate::supervise::supervise;
use delivery::Delivery;

pub use delivery::Calls;
pub use json::to_json;
pub use resource::Resource;

/// Sends calls to a collector. Dropping it sends what still waits, for at most a second, and ends its thread.
#[derive(Debug)]
pub struct Exporter {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts sending. Fails if there can't be another thread.
    pub fn start(config: &TracesConfig, calls: Calls) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let (config, stopped) = (config.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("traces".into());
        let thread = thread.spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            let sent = runtime.map(|runtime| {
                runtime.block_on(async move {
                    let delivery = Rc::new(Delivery::new(&config, calls, stopped));
                    let sending = supervise("traces", move || Rc::clone(&delivery).run());
                    drop(sending.await);
                });
            });
            if let Err(err) = sent {
                warn!(error = %err, "traces are not sent");
            }
        })?;
        Ok(Exporter {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(Err(_panic)) = self.thread.take().map(JoinHandle::join) {
            warn!("the thread that sends traces panicked");
        }
    }
}
