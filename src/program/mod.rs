//! The program that a server runs: the configuration, checked against its IDL and against itself.
//!
//! `check` reads the whole file and yields a `Program`, or every problem at once. [`examine()`] then compares a
//! program with what its stores report, for `check --connect`.

mod inject; // planned faults
mod sharing; // answers and questions that calls share
mod replicas; // lookups that are asked at other backends too
mod file; // the whole file, key by key
mod meta; // the service that a server has of its own
mod served; // the services, and their names on the wire
mod definition; // the program itself
mod planned; // what will be asked of a store
mod unchanged; // stores that a reload keeps
mod lonely_keys; // caches that find nothing again
mod access; // whether somebody can call each view
mod callers; // how much each caller may use
mod traces; // which calls a collector gets
mod views;
mod asked_again; // whether there is time for that
mod check;
mod examine;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

pub use callers::{CallerCall, CallerLimit, CallerLimits, Exceeded};
pub use check::{Refused, check, check_again, check_document};
pub use definition::{Asks, BackendDef, InjectFrom, LookupDef, Program, Registry};
pub use examine::{Examined, examine};
pub use file::{BackendEntry, ConfigFile, LookupEntry, admin_probe, open, read};
pub use meta::Meta;
pub(crate) use meta::is_meta;
pub use served::{ServedService, built_in, find, plan, view};
pub use sharing::{CachePolicy, Coalesce, Sharing};
pub use traces::{Collector, TracedCalls, TracesConfig};
