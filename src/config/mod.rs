//! Reads the operator's TOML into types, one section per file, and reports what is wrong with each key.
//!
//! Names are not resolved here: [`crate::program`] checks the sections against each other and against the IDL.

mod shapes; // what would be right
mod section;
mod effective; // every value, and where it is from
mod definition; // whether a table says what it said before
mod tables; // tables in tables
mod typed; // durations, sizes, words, numbers
mod bytes; // whole files
mod secret; // `env:` and `file:`
mod expiry;
mod pem; // certificates and keys
mod tls;
mod access; // who may call what
mod brownout; // when optional lookups are left out
mod callers; // how much each caller may use
mod guard_mode; // off, measure or enforce
mod breaker; // when a store gets no lookups
mod limits;
mod listener;
mod unserved;
mod services;
mod workers;
mod server;
mod service; // an IDL, one of its services, a method of that
mod reload; // when the configuration is read again
mod admin;
mod log; // of calls
mod views;

pub use access::{Allow, AllowEntry, AllowKey, InjectKey, Tokens};
pub use admin::{AdminConfig, AdminProbe, AdminToken, ProbeTls, UnreadyRefusals};
pub(crate) use admin::{read_admin, read_probe};
pub use breaker::BreakerConfig;
pub use brownout::BrownoutKey;
pub(crate) use bytes::text_of;
pub(crate) use callers::read_callers;
pub use callers::{CallerConfig, Rate};
pub use definition::Definition;
pub use effective::Effective;
pub use expiry::CertificateExpiry;
pub use guard_mode::GuardMode;
pub use limits::LimitsConfig;
pub use listener::{Endpoint, ListenerConfig};
pub(crate) use log::read_log;
pub use log::{AccessLog, CallLines, LogConfig};
pub use pem::{Certificates, PrivateKey};
pub use reload::ReloadConfig;
pub(crate) use section::article;
pub use section::{Document, Place, Section};
#[cfg(any(test, fuzzing))]
pub(crate) use section::{document, document_at, whole};
pub use server::ServerConfig;
pub(crate) use server::read_server;
pub(crate) use service::{pick_service, read_idl, unknown_method};
pub use services::ServiceEntry;
pub use tls::ListenerTls;
pub use typed::integer;
pub use unserved::Unserved;
pub use views::{BoundParam, UseEntry, ViewEntry, WhenEntry, WithEntry};
pub use workers::Workers;
