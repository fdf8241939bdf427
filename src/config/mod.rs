//! The operator's TOML, as types; and the check of everything against everything.

mod section;
mod typed; // durations, sizes, words, numbers
mod bytes; // files, whole
mod secret; // `env:` and `file:`
mod pem; // certificates and keys
mod file;
mod tls;
mod access; // who may call what
mod listener;
mod server;
mod service; // an IDL, one of its services, a method of that
mod admin;
mod meta; // the service that a server has of its own
mod views;
mod check;
mod planned;
mod stores;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

pub use access::{Allow, Tokens};
pub use admin::AdminConfig;
pub use check::{Asks, BackendDef, LookupDef, Program, Registry, check, check_document};
pub use file::{BackendEntry, Config, LookupEntry, open, read};
pub use listener::{Endpoint, ListenerConfig};
pub use meta::Meta;
pub use pem::{Certificates, PrivateKey};
pub use section::{Document, Place, Section};
#[cfg(any(test, fuzzing))]
pub(crate) use section::{document, document_at, whole};
pub use server::{LimitsConfig, ServerConfig};
pub(crate) use service::{pick_service, read_idl, unknown_method};
pub use stores::{Examined, examine, remarks};
pub use tls::ListenerTls;
pub use typed::integer;
pub use views::{UseEntry, ViewEntry, WhenEntry, WithEntry};
