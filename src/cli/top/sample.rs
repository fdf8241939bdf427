//! What the admin port says at one moment: `/now`. Counts count from the start of the server.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One answer of the port.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct Sample {
    /// When it was made, in milliseconds of Unix time.
    pub(super) at_ms: u64,
    pub(super) version: String,
    pub(super) state: String,
    pub(super) calls_in_flight: u64,
    pub(super) connections: u64,
    /// The bounds of `durations`, in microseconds.
    pub(super) bounds_us: Vec<u64>,
    pub(super) methods: Vec<Method>,
    pub(super) backends: Vec<Backend>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) loops: Vec<EventLoop>,
    pub(super) refused: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct Method {
    #[serde(rename = "method")]
    pub(super) name: String,
    pub(super) ok: u64,
    pub(super) partial: u64,
    pub(super) failed: u64,
    /// How many calls took how long; the last number is of those beyond all bounds.
    pub(super) durations: Vec<u64>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct Backend {
    #[serde(rename = "backend")]
    pub(super) name: String,
    pub(super) up: bool,
    pub(super) in_flight: u64,
    pub(super) waiting: u64,
    /// Loops whose breaker is open; null if there is no breaker.
    pub(super) breakers_open: Option<u64>,
    /// Lookups by the source of their answer.
    pub(super) answers: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct Endpoint {
    pub(super) backend: String,
    #[serde(rename = "endpoint")]
    pub(super) address: String,
    pub(super) up: bool,
    pub(super) ok: u64,
    pub(super) failed: u64,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub(super) struct EventLoop {
    #[serde(rename = "loop")]
    pub(super) number: String,
    pub(super) lag_us: u64,
    pub(super) lag_max_us: u64,
    /// How long it has been working.
    pub(super) busy_us: u64,
}
