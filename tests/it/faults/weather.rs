//! The faults of a run.

use std::time::Duration;

use tokio::time::sleep;

use super::stores::Scripted;
use crate::support::faults::{Conditions, Direction, Proxy, Reach, Toxic};

/// One fault between the server and a store.
pub(super) struct Weather {
    pub(super) name: &'static str,
    /// Whether values may be damaged.
    pub(super) damages: bool,
    /// Whether connections lose bytes.
    loses: bool,
    conditions: fn() -> Conditions,
    /// How long the store itself holds back each answer.
    slow: Duration,
}

/// Longer than a lookup may take.
const TOO_LONG: Duration = Duration::from_millis(500);

const fn weather(name: &'static str, conditions: fn() -> Conditions) -> Weather {
    Weather {
        name,
        damages: false,
        loses: false,
        conditions,
        slow: Duration::ZERO,
    }
}

/// All of them.
pub(super) const ALL: [Weather; 14] = [
    weather("refuse", || Conditions::reach(Reach::Refused)),
    weather("flap", || {
        Conditions::reach(Reach::Flapping {
            up: Duration::from_millis(150),
            down: Duration::from_millis(150),
        })
    }),
    weather("hold", || Conditions::toxic(Toxic::Hold)),
    // Accepts and never answers.
    Weather {
        loses: true,
        ..weather("timeout", || {
            Conditions::toxic(Toxic::Timeout {
                timeout: Duration::ZERO,
            })
        })
    },
    Weather {
        loses: true,
        ..weather("timeout, closed", || {
            Conditions::toxic(Toxic::Timeout {
                timeout: Duration::from_millis(100),
            })
        })
    },
    weather("reset_peer", || {
        Conditions::toxic(Toxic::ResetPeer {
            timeout: Duration::from_millis(20),
        })
    }),
    weather("reset_peer, half", || {
        let reset = Toxic::ResetPeer {
            timeout: Duration::from_millis(50),
        };
        Conditions::fair().and(Direction::Downstream, 0.5, reset)
    }),
    weather("limit_data", || {
        Conditions::toxic(Toxic::LimitData { bytes: 1999 })
    }),
    weather("slicer", || {
        Conditions::toxic(Toxic::Slicer {
            average_size: 50,
            size_variation: 40,
            delay: Duration::from_millis(1),
        })
    }),
    weather("latency", || {
        Conditions::toxic(Toxic::Latency {
            latency: Duration::from_millis(60),
            jitter: Duration::from_millis(50),
        })
    }),
    weather("latency, too long", || {
        Conditions::toxic(Toxic::Latency {
            latency: TOO_LONG,
            jitter: Duration::from_millis(200),
        })
    }),
    weather("bandwidth", || {
        Conditions::toxic(Toxic::Bandwidth { rate: 20 })
    }),
    Weather {
        damages: true,
        ..weather("corrupt", || {
            Conditions::toxic(Toxic::Corrupt {
                run: 16,
                share: 0.2,
            })
        })
    },
    // The end of a connection comes late, while every answer comes too late.
    Weather {
        slow: TOO_LONG,
        ..weather("slow_close, held", || {
            let delay = Duration::from_millis(200);
            Conditions::toxic(Toxic::SlowClose { delay })
        })
    },
];

impl Weather {
    pub(super) fn begin(&self, proxy: &Proxy, store: Option<&Scripted>) {
        let mut conditions = (self.conditions)();
        match store {
            Some(store) => store.slow_down(self.slow),
            // A real server is not told to be slow, so its questions come late.
            None if self.slow.is_zero() => {}
            None => {
                let late = Toxic::Latency {
                    latency: self.slow,
                    jitter: Duration::ZERO,
                };
                conditions = conditions.and(Direction::Upstream, 1.0, late);
            }
        }
        proxy.set(conditions);
    }

    pub(super) async fn end(&self, proxy: &Proxy, store: Option<&Scripted>) {
        // A connection that has lost bytes does not go on behind them: TCP has no holes.
        if self.loses {
            proxy.set(Conditions::reach(Reach::Refused));
            sleep(Duration::from_millis(10)).await;
        }
        proxy.set(Conditions::fair());
        if let Some(store) = store {
            store.slow_down(Duration::ZERO);
        }
    }
}
