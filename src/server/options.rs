//! How a server is run, and the addresses it reports.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::socket::Address;
use crate::program::{Program, Refused};
use crate::recorder::Tally;

/// Checks the configuration again.
pub type Reload = Box<dyn Fn() -> Result<Program, Refused> + Send>;

/// How a server is run, besides its program.
pub struct Options {
    /// Ends the server: new connections are refused, calls in flight are finished.
    pub shutdown: CancellationToken,
    /// Stop on SIGTERM and SIGINT (a second one exits immediately); reload on SIGHUP.
    pub signals: bool,
    /// How a reload reads the configuration: at SIGHUP, and if it says so, when its files change.
    pub reload: Option<Reload>,
    /// What became of the lines of the log, for the metrics, if the log belongs to the server.
    pub log: Option<Arc<Tally>>,
    /// Receives the bound addresses.
    pub bound: Box<dyn Fn(Bound) + Send>,
}

/// The addresses of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Where clients connect, in the configuration's order.
    pub listeners: Vec<Address>,
    /// The admin port, if there is one.
    pub admin: Option<SocketAddr>,
    /// The number of event loops.
    pub workers: usize,
}

impl Bound {
    /// The first port that clients connect to, if there is one.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(|address| match address {
            Address::Tcp(addr) => Some(*addr),
            Address::Unix(_) => None,
        })
    }

    /// Logs all addresses.
    pub fn log(self) {
        for addr in &self.listeners {
            info!(workers = self.workers, %addr, "listening");
        }
        if let Some(admin) = self.admin {
            info!(addr = %admin, port = "admin", "listening");
        }
    }
}
