//! Asks the admin port twice a second, on a thread of its own, so that keys work while the server does not answer.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::super::admin_port::AdminPort;
use super::super::error::CommandError;
use super::sample::Sample;

/// The time between two questions.
pub(super) const PERIOD: Duration = Duration::from_millis(500);

/// A sample, or why there is none.
pub(super) type Heard = Result<Sample, String>;

/// The thread. It ends with this.
pub(super) struct Feed {
    samples: Receiver<Heard>,
    _stop: Sender<()>,
}

impl Feed {
    pub(super) fn start(port: AdminPort) -> Self {
        let (sender, samples) = channel();
        let (stop, stopped) = channel::<()>();
        thread::spawn(move || {
            loop {
                let sample = ask(&port).map_err(|err| err.message());
                if sender.send(sample).is_err() {
                    return;
                }
                if stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Feed {
            samples,
            _stop: stop,
        }
    }

    /// The next sample that has come, if there is one.
    pub(super) fn next(&self) -> Option<Heard> {
        self.samples.try_recv().ok()
    }
}

fn ask(port: &AdminPort) -> Result<Sample, CommandError> {
    port.read("/now")
}

/// Two samples, half a second apart.
pub(super) fn two_samples(port: &AdminPort) -> Result<(Sample, Sample), CommandError> {
    let before = ask(port)?;
    let (_open, never) = channel::<()>();
    let _elapsed = never.recv_timeout(PERIOD);
    Ok((before, ask(port)?))
}
