//! Tributary serves a Thrift service straight from its IDL.
//!
//! The life of a call, and the modules that it passes:
//!
//! 1. [`server`] reads bytes from a client's socket. [`thrift`] recognises the client's transport and protocol and cuts
//!    out one message;
//! 2. [`service`] finds the method's plan, and answers immediately what needs no lookup;
//! 3. it decodes the parameters by the types of the [`idl`], and makes the [`context`] of the call;
//! 4. [`view`] starts every lookup whose inputs are known and the dependent ones as soon as theirs arrive, and gives each
//!    lookup one fate;
//! 5. [`guard`] limits and batches lookups, and [`backend`] asks the store;
//! 6. [`coerce`] converts the answers to IDL types, [`view`] merges them in declared order, and [`timeline`] records what
//!    happened when;
//! 7. [`service`] encodes the reply or the exception, and [`server`] writes it in the order of the calls.
//!
//! Before any call: [`config`] reads the operator's file, [`plan`] compiles each view against the IDL, [`program`] checks
//! everything against everything else, and [`explain`] describes a plan. [`diagnostic`] reports mistakes. [`metrics`]
//! counts, [`recorder`] keeps some calls, [`traces`] sends some to a collector, and [`admin`] shows both to operators on its
//! own port and thread. [`cli`] is the command line, and [`manual`] holds the pages that it shows. `src/manual/architecture.md` defines the words.
//!
//! # Layers
//!
//! A module uses only modules before it in this list, which a test reads.
//!
//! ```text
//! error manual value faults random context backoff breaker supervise log_limit memory_limit offload coop stamp diagnostic idl coerce thrift handshake timeline config backend
//! plan program explain recorder metrics traces guard view service admin server cli
//! ```
//!
//! # As a library
//!
//! A Rust program can serve a configuration and add its own lookups, which work like those of the file: with the
//! same bindings, deadlines, fates and reports.
//!
//! ```
//! use tributary::{Server, Value, call_json};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let at = |name: &str| dir.path().join(name);
//! std::fs::write(at("greet.thrift"), "
//!     struct Greeting { 1: string text, 2: i32 luck }
//!     service Greeter { Greeting greet(1: string name) }
//! ")?;
//! std::fs::write(at("greet.toml"), r#"
//!     [server]
//!     idl = "greet.thrift"
//!     listen = "127.0.0.1:0"
//!     [views.greet.lookups]
//!     text = "greeting"
//!     luck = { use = "luck", with = { seed = "name" } }
//! "#)?;
//!
//! let server = Server::new(at("greet.toml"))
//!     // Runs on the loop, in the call's own task: it must not block.
//!     .lookup("greeting", &["name"], async |input| {
//!         Ok(Value::from(format!("hello, {}", input.get("name").as_str().unwrap_or("you"))))
//!     })
//!     // Runs on a bounded pool of threads: it may block or compute.
//!     .blocking_lookup("luck", &["seed"], |input| {
//!         Ok(Value::from(input.get("seed").as_str().map_or(0, |seed| seed.len() as i64)))
//!     })
//!     .spawn()?;
//!
//! // Any Thrift client may call `server.addr()`; this is one.
//! let reply = call_json(server.addr(), server.program(), "greet", r#"{"name": "Ann"}"#)?;
//! assert_eq!(reply, r#"{"text":"hello, Ann","luck":3}"#);
//! server.stop()?;
//! # Ok(())
//! # }
//! ```

pub use backend::closure::Input;
pub use backend::{LookupError, Thrown};
pub use cli::call_json;
pub use context::Context;
pub use diagnostic::Problem;
pub use error::Code;
pub use program::Program;
pub use server::{Address, Running, Server, StartError};
pub use value::{EnumValue, FieldNames, Record, Text, Value};

// The modules in reading order. They are public for this project's own tests, benchmark and fuzz targets only; a program
// that depends on them breaks with any release.
#[doc(hidden)]
pub mod server;
#[doc(hidden)]
pub mod thrift;
#[doc(hidden)]
pub mod service;
#[doc(hidden)]
pub mod idl;
#[doc(hidden)]
pub mod context;
#[doc(hidden)]
pub mod view;
#[doc(hidden)]
pub mod guard;
#[doc(hidden)]
pub mod backend;
#[doc(hidden)]
pub mod value;
#[doc(hidden)]
pub mod coerce; // stored values and columns to IDL types
#[doc(hidden)]
pub mod timeline;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod program;
#[doc(hidden)]
pub mod explain;
#[doc(hidden)]
pub mod diagnostic; // what is wrong in a file, and how to fix it
#[doc(hidden)]
pub mod error; // codes
#[doc(hidden)]
pub mod recorder; // some of the calls that ended
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod traces; // to a collector
#[doc(hidden)]
pub mod admin;
#[doc(hidden)]
pub mod manual; // the pages that `tributary manual` shows
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod random;
#[doc(hidden)]
pub mod faults; // caused on purpose
mod backoff; // delays between attempts
#[doc(hidden)]
pub mod breaker; // whether a server that has failed gets questions
mod supervise; // background tasks that a panic does not end
mod offload; // long work on other threads
mod handshake; // why there is no TLS with a client
mod coop; // long work in slices, so that short calls go first
#[doc(hidden)]
pub mod stamp; // whether files have changed
mod log_limit; // one log line per key every ten seconds
mod memory_limit; // of this process
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing; // what fuzz targets do with an input; not in the program

// Files of tests/it that unit tests share name the crate as integration tests do.
#[cfg(test)]
extern crate self as tributary;
