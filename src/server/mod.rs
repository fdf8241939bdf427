//! Sockets: accepts connections, starts one loop per worker, drains and reloads.
//!
//! In: a checked [`Program`](crate::program::Program). Each worker thread has its own single-threaded runtime and its own
//! backends; workers share the program and the stop signal. What a message means is
//! [`crate::service`]'s job. A client's bytes pass these files:
//!
//! 1. `run` opens the `socket`s and starts a `worker` per loop;
//! 2. the `acceptor` accepts a connection and places it on a loop, its `listener` serves it there, and `tls` decrypts it;
//! 3. `connection` cuts messages out and sends replies.

mod options;
mod run;
mod worker;
mod state; // what connections share
mod acceptor;
mod shares; // which loop gets a connection
mod placing; // from the acceptor to the loops
mod listener;
mod incoming;
mod accept_backoff;
mod client;
mod tls;
mod connection;
mod disconnect_log;
mod socket; // opening listening sockets
mod inherited; // those that the service manager opened
mod descriptors;
mod drained; // how a drain ended
mod orphans; // of the first process of a container
mod signals;
mod reload_progress; // for the service manager
mod reload; // makes the programs of reloads
mod file_watch; // files whose change causes a reload
mod start_only; // keys that a reload can't change
mod service_manager; // is told what the server does
mod access_log;
mod access_line; // of the access log
mod periodic; // threads with a task of their own
mod watchdog; // loops that stand still
mod freed_memory; // is given back to the system
mod memory_fit; // how the limits fit the memory
mod warnings; // of a configuration that is served
mod embed; // a server inside a Rust program

pub use embed::{Running, Server, StartError};
pub use options::{Bound, Options, Reload};
pub use run::run;
pub use socket::Address;
