//! Tells the service manager what the server does, so that `systemctl start`, `reload` and `stop` wait for it, and so that
//! a server whose loop is stuck is started again.
//!
//! The protocol is that of `sd_notify(3)`: lines of text, in datagrams to the Unix socket that `NOTIFY_SOCKET` names. The
//! thread that watches the loops sends them, at most one look late; no loop ever waits for the manager.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::reload_progress::Reloads;
use crate::metrics::Health;

/// How long the manager may take to accept a datagram.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);

/// The service manager.
pub(super) struct ServiceManager {
    socket: UnixDatagram,
    notified: Notified,
}

/// What it was told.
#[derive(Debug, Default)]
struct Notified {
    /// How long it waits for the next sign of life, if it does.
    watchdog: Option<Duration>,
    alive_at: Option<Instant>,
    phase: Phase,
    reloads_begun: u64,
    reloading: bool,
    stuck: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Serving,
    Stopping,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, Default)]
struct Observed {
    ready: bool,
    draining: bool,
    reloads: Reloads,
    /// The loop whose last heartbeat is the oldest, and its age.
    oldest: Option<(usize, Duration)>,
}

impl ServiceManager {
    /// That of this process, if it has one.
    pub(super) fn of_process() -> Option<Self> {
        let name = std::env::var("NOTIFY_SOCKET").ok()?;
        let watchdog = watchdog(
            std::env::var("WATCHDOG_USEC").ok().as_deref(),
            std::env::var("WATCHDOG_PID").ok().as_deref(),
        );
        match connect(&name) {
            Ok(socket) => Some(ServiceManager {
                socket,
                notified: Notified {
                    watchdog,
                    ..Notified::default()
                },
            }),
            Err(err) => {
                warn!(NOTIFY_SOCKET = name, error = %err, "can't reach the service manager");
                None
            }
        }
    }

    /// Tells it what has changed.
    pub(super) fn look(&mut self, health: &Health, reloads: Reloads) {
        let observed = Observed {
            ready: health.is_ready(),
            draining: health.is_draining(),
            reloads,
            oldest: health.ages().into_iter().max_by_key(|(_, age)| *age),
        };
        for message in self
            .notified
            .next(observed, Instant::now(), monotonic_micros)
        {
            if let Err(err) = self.socket.send(message.as_bytes()) {
                debug!(error = %err, "can't tell the service manager");
            }
        }
    }
}

impl Notified {
    /// The messages that `observed` makes necessary. `clock` is the system's monotonic clock, in microseconds.
    fn next(&mut self, observed: Observed, now: Instant, clock: impl Fn() -> u128) -> Vec<String> {
        let mut messages = Vec::new();
        if self.phase == Phase::Starting && observed.ready {
            self.phase = Phase::Serving;
            messages.push("READY=1\nSTATUS=serving".to_owned());
        }
        if self.phase == Phase::Serving {
            if observed.reloads.begun > self.reloads_begun {
                self.reloads_begun = observed.reloads.begun;
                self.reloading = true;
                messages.push(format!("RELOADING=1\nMONOTONIC_USEC={}", clock()));
            }
            if self.reloading && observed.reloads.over >= self.reloads_begun {
                self.reloading = false;
                let status = if observed.reloads.refused {
                    "serving; the last reload was refused, as the log says"
                } else {
                    "serving"
                };
                messages.push(format!("READY=1\nSTATUS={status}"));
            }
        }
        if self.phase != Phase::Stopping && observed.draining {
            self.phase = Phase::Stopping;
            messages.push("STOPPING=1\nSTATUS=draining".to_owned());
        }
        messages.extend(self.sign_of_life(observed, now));
        messages
    }

    /// The sign of life, four times as often as the manager wants it. A loop that is stuck for half that time stops it.
    fn sign_of_life(&mut self, observed: Observed, now: Instant) -> Option<String> {
        let watchdog = self.watchdog.filter(|_| self.phase != Phase::Starting)?;
        if let Some((at, age)) = observed.oldest
            && age >= watchdog / 2
        {
            let message = format!("STATUS=event loop {at} stands still");
            return (!std::mem::replace(&mut self.stuck, true)).then_some(message);
        }
        let was_stuck = std::mem::take(&mut self.stuck);
        if self.alive_at.is_some_and(|at| now < at + watchdog / 4) {
            return None;
        }
        self.alive_at = Some(now);
        let status = if was_stuck { "\nSTATUS=serving" } else { "" };
        Some(format!("WATCHDOG=1{status}"))
    }
}

/// How long the manager waits for a sign of life of this process.
fn watchdog(micros: Option<&str>, process: Option<&str>) -> Option<Duration> {
    if process.is_some_and(|process| process.parse() != Ok(std::process::id())) {
        return None;
    }
    let micros = micros?.parse().ok().filter(|&micros| micros > 0)?;
    Some(Duration::from_micros(micros))
}

fn connect(name: &str) -> io::Result<UnixDatagram> {
    let addr = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&addr)?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    Ok(socket)
}

fn monotonic_micros() -> u128 {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::try_from(now).map_or(0, |now| now.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCHDOG: Duration = Duration::from_secs(8);

    struct Rig {
        notified: Notified,
        observed: Observed,
        now: Instant,
    }

    impl Rig {
        fn ready(watchdog: Option<Duration>) -> Self {
            let notified = Notified {
                watchdog,
                phase: Phase::Serving,
                ..Notified::default()
            };
            Rig {
                notified,
                observed: Observed {
                    ready: true,
                    ..Observed::default()
                },
                now: Instant::now(),
            }
        }

        #[track_caller]
        fn says(&mut self, expected: &[&str]) {
            assert_eq!(self.notified.next(self.observed, self.now, || 7), expected);
        }
    }

    #[test]
    fn each_state_is_notified_once() {
        let mut rig = Rig::ready(None);
        (rig.notified.phase, rig.observed.ready) = (Phase::Starting, false);
        rig.says(&[]);
        rig.observed.ready = true;
        rig.says(&["READY=1\nSTATUS=serving"]);
        rig.says(&[]);
        (rig.observed.ready, rig.observed.draining) = (false, true);
        rig.says(&["STOPPING=1\nSTATUS=draining"]);
        rig.observed.reloads.begun = 1;
        rig.says(&[]);
    }

    #[test]
    fn a_reload_is_over_when_the_last_one_that_began_is() {
        let mut rig = Rig::ready(None);
        let reloading = "RELOADING=1\nMONOTONIC_USEC=7";
        rig.observed.reloads.begun = 1;
        rig.says(&[reloading]);
        rig.observed.reloads.begun = 2;
        rig.observed.reloads.over = 1;
        rig.says(&[reloading]);
        rig.observed.reloads.over = 2;
        rig.says(&["READY=1\nSTATUS=serving"]);
        // Too fast to be seen in between.
        rig.observed.reloads = Reloads {
            begun: 3,
            over: 3,
            refused: true,
        };
        let refused = "READY=1\nSTATUS=serving; the last reload was refused, as the log says";
        rig.says(&[reloading, refused]);
    }

    #[test]
    fn a_stuck_loop_ends_the_signs_of_life() {
        let mut rig = Rig::ready(Some(WATCHDOG));
        rig.says(&["WATCHDOG=1"]);
        rig.now += Duration::from_millis(1999);
        rig.says(&[]);
        rig.now += Duration::from_millis(1);
        rig.says(&["WATCHDOG=1"]);
        rig.observed.oldest = Some((3, WATCHDOG / 2));
        rig.now += WATCHDOG;
        rig.says(&["STATUS=event loop 3 stands still"]);
        rig.now += WATCHDOG;
        rig.says(&[]);
        rig.observed.oldest = Some((3, Duration::ZERO));
        rig.says(&["WATCHDOG=1\nSTATUS=serving"]);
    }

    #[test]
    fn a_server_that_starts_gives_no_sign_of_life() {
        let mut rig = Rig::ready(Some(WATCHDOG));
        (rig.notified.phase, rig.observed.ready) = (Phase::Starting, false);
        rig.says(&[]);
    }

    #[test]
    fn only_the_process_that_is_watched_gives_signs_of_life() {
        let own = std::process::id().to_string();
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), None), second);
        assert_eq!(watchdog(Some("1000000"), Some(&own)), second);
        assert_eq!(watchdog(Some("1000000"), Some("1")), None);
        assert_eq!(watchdog(Some("0"), None), None);
        assert_eq!(watchdog(Some("soon"), None), None);
        assert_eq!(watchdog(None, None), None);
    }
}
