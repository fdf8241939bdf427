//! Defines the servers of `kind = "memcached"`.

use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::address::Address;
use super::ring::Ring;

/// Servers as `[backends.NAME]` describes them.
pub struct Config {
    pub(super) servers: Vec<Address>,
    /// Who we are there, if the servers ask.
    pub(super) account: Option<Arc<Account>>,
    pub(super) ring: Arc<Ring>,
    /// How many connections each loop holds to each server.
    pub(super) connections: usize,
    /// How long making a connection may take.
    pub(super) connect_timeout: Duration,
    /// How long one server may take to answer.
    pub(super) answer_timeout: Duration,
    /// How old a connection may become.
    pub(super) age_max: Duration,
}
