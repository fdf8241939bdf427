//! The stores: one trait, and a module for each kind.
//!
//! A kind reads its own keys of `[backends.NAME]` and `[lookups.NAME]`, connects, and answers lookups. Deadlines, limits
//! and injected faults are the business of [`crate::guard`]. Nothing here knows views, and only [`thrift`], which is a
//! client, knows Thrift messages.
//!
//! To add a kind, implement [`Backend`] in a module of its own, and add the module and a line in `kinds!` below;
//! `src/manual/adding-a-store.md` is the recipe. A store that is reached over the network takes its connections from
//! `net`.

// The kinds.
pub mod closure;
pub mod file;
pub mod http;
pub mod memcached;
pub mod postgres;
pub mod mysql;
pub mod redis;
pub mod sqlite;
pub mod thrift;

// What several kinds share.
pub(crate) mod net; // connections
pub mod tls; // the key `tls`
pub mod sql; // the key `sql`
pub mod rows; // from rows to one value
pub mod template; // keys and URLs with parameters
pub mod format; // from bytes to a value
pub mod examine; // what `check --connect` learns
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Section;
use crate::context::Context;
use crate::error::Code;
use crate::timeline::Source;
use crate::value::Value;

pub use examine::Examination;

/// One kind of store.
pub trait Backend: Sized + 'static {
    /// The keys of `[backends.NAME]`, checked.
    type Config: Send + Sync + 'static;
    /// The keys of a `[lookups.NAME]` that uses it, checked and compiled so that a call does no parsing.
    type Lookup: Send + Sync + 'static;

    /// Reads the keys of `[backends.NAME]`; `kind` is already taken. Problems go to the section; `None` if they are so
    /// bad that there is no configuration.
    fn read_config(section: &mut Section<'_>) -> Option<Self::Config>;

    /// Reads a lookup's own keys; `backend`, `timeout` and the other common ones are already taken.
    fn read_lookup(
        config: &Self::Config,
        section: &mut Section<'_>,
    ) -> Option<Compiled<Self::Lookup>>;

    /// Prepares the store on one loop, for the lookups that are going to be asked. Never fails: if the store is down, its
    /// lookups fail until it comes back; if a lookup can't be prepared, only that one fails. `seed` is for anything
    /// random, such as jitter.
    async fn connect(
        config: &Self::Config,
        planned: &[Planned<'_, Self::Lookup>],
        seed: u64,
    ) -> Self;

    /// Connects to the store for `check --connect`, and asks it about each lookup. Runs none of them and changes nothing.
    async fn examine(_config: &Self::Config, planned: &[Planned<'_, Self::Lookup>]) -> Examination {
        Examination::nothing("not reached: this kind has nothing to ask", planned.len())
    }

    /// Asks the store. `Value::Null` in the answer means that there is nothing: fate `empty`.
    ///
    /// The future may be dropped at any await (deadline, cancelled call). An implementation must then not use a connection
    /// again on which there is still an unread answer.
    async fn lookup(&self, lookup: &Self::Lookup, ask: Ask<'_>) -> Result<Answer, LookupError>;

    /// Whether [`Backend::lookup_many`] asks several of these for about the cost of one.
    fn batches(_lookup: &Self::Lookup) -> bool {
        false
    }

    /// Describes to the operator how they travel together. Called only for lookups that batch.
    fn batching(_lookup: &Self::Lookup) -> String {
        "one question per turn of the loop".into()
    }

    /// Asks several questions of any calls as one: one answer each, in their order, each with its own error. Equal
    /// questions are asked once (`net` helps with that). Called only for lookups that batch.
    async fn lookup_many(
        &self,
        asked: &[Asked<'_, Self::Lookup>],
    ) -> Vec<Result<Answer, LookupError>> {
        let never = |_| {
            Err(LookupError::new(
                Code::ServerInternal,
                "this kind does not batch",
            ))
        };
        asked.iter().map(never).collect()
    }
}

/// A lookup as its kind compiled it.
#[derive(Debug)]
pub struct Compiled<L> {
    /// Passed to [`Backend::lookup`].
    pub lookup: L,
    /// The names the lookup mentions, each once, in the order in which [`Ask::params`] carries them.
    pub params: Vec<Arc<str>>,
    /// The type of an answer, as far as the configuration tells.
    pub yields: Yields,
}

/// A lookup that is going to be asked.
#[derive(Debug)]
pub struct Planned<'a, L> {
    /// Its name, for the log.
    pub name: &'a Arc<str>,
    /// As its kind compiled it.
    pub lookup: &'a L,
    /// The longest time that any view gives it: no caller waits longer for an answer.
    pub budget: Duration,
}

/// The type of a lookup's answers, which `check` compares with the IDL type they fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yields {
    /// Anything: JSON, one SQL value.
    Any,
    /// One row or hash with named values.
    Record,
    /// A list.
    List,
    /// A bool.
    Bool,
    /// An integer.
    Integer,
    /// A double.
    Double,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The parameters' values, in the order of [`Compiled::params`].
    pub params: &'a [Value],
    /// The call's context.
    pub context: &'a Context,
    /// When an answer is no longer of use; never later than the call's deadline.
    pub deadline: Instant,
}

/// One question of a batch.
#[derive(Debug)]
pub struct Asked<'a, L> {
    /// The lookup.
    pub lookup: &'a L,
    /// Its parameters' values, in the order of [`Compiled::params`].
    pub params: &'a [Value],
}

/// A store's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The value; `Null` when there is nothing.
    pub value: Value,
    /// When its first byte came, if the kind can tell.
    pub first_answer: Option<Instant>,
    /// Where it came from.
    pub source: Source,
}

impl Answer {
    /// An answer from the store itself, without the time of its first byte.
    pub fn new(value: Value) -> Self {
        Answer {
            value,
            first_answer: None,
            source: Source::Backend,
        }
    }
}

/// Why a lookup has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct LookupError {
    /// The stable code; decides the fate.
    pub code: Code,
    /// For the log only: may name addresses, SQL and keys.
    pub detail: String,
    /// The method's own exception, where a closure throws one.
    pub thrown: Option<Box<Thrown>>,
}

/// An exception that the IDL declares, thrown by a closure.
#[derive(Clone, Debug, PartialEq)]
pub struct Thrown {
    /// Its type's name in the IDL, `Name` or `file.Name`.
    pub exception: String,
    /// Its fields: a record or a map by their names.
    pub value: Value,
}

impl LookupError {
    /// An error with its detail for the log.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        LookupError {
            code,
            detail: detail.into(),
            thrown: None,
        }
    }

    /// An exception of the method, by the name of its type. If the lookup is required and the method declares it, the call
    /// throws it; otherwise it is an error like any other, `lookup.threw`.
    pub fn thrown(exception: &str, value: impl Into<Value>) -> Self {
        let thrown = Thrown {
            exception: exception.to_owned(),
            value: value.into(),
        };
        LookupError {
            thrown: Some(Box::new(thrown)),
            ..LookupError::new(Code::LookupThrew, format!("threw `{exception}`"))
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $kind:literal $module:ident :: $type:ident;)*) => {
        /// Every `kind = "..."`.
        pub const KINDS: &[&str] = &[$($kind,)*];

        /// `[backends.NAME]` of any kind.
        pub enum AnyConfig { $($(#[$doc])* $variant(<$module::$type as Backend>::Config),)* }

        /// A compiled lookup of any kind.
        pub enum AnyLookup { $($(#[$doc])* $variant(<$module::$type as Backend>::Lookup),)* }

        /// A store of any kind.
        pub enum AnyBackend { $($(#[$doc])* $variant($module::$type),)* }

        impl AnyConfig {
            /// Reads the keys that `kind` has.
            pub fn read(kind: &str, section: &mut Section<'_>) -> Option<Self> {
                match kind {
                    $($kind => <$module::$type as Backend>::read_config(section).map(AnyConfig::$variant),)*
                    _ => None,
                }
            }

            /// Its `kind`.
            pub fn kind(&self) -> &'static str {
                match self { $(AnyConfig::$variant(_) => $kind,)* }
            }

            /// Reads the keys of a lookup that uses this backend.
            pub fn read_lookup(&self, section: &mut Section<'_>) -> Option<Compiled<AnyLookup>> {
                match self {
                    $(AnyConfig::$variant(config) => {
                        let compiled = <$module::$type as Backend>::read_lookup(config, section)?;
                        Some(Compiled {
                            lookup: AnyLookup::$variant(compiled.lookup),
                            params: compiled.params,
                            yields: compiled.yields,
                        })
                    })*
                }
            }

            /// Prepares the store on one loop.
            pub async fn connect(&self, planned: &[Planned<'_, AnyLookup>], seed: u64) -> AnyBackend {
                match self {
                    $(AnyConfig::$variant(config) => {
                        let planned: Vec<_> = planned.iter().filter_map(AnyLookup::$module).collect();
                        let backend = <$module::$type as Backend>::connect(config, &planned, seed).await;
                        AnyBackend::$variant(backend)
                    })*
                }
            }

            /// Asks the store about each lookup; all of them use this backend.
            pub async fn examine(&self, planned: &[Planned<'_, AnyLookup>]) -> Examination {
                match self {
                    $(AnyConfig::$variant(config) => {
                        let planned: Vec<_> = planned.iter().filter_map(AnyLookup::$module).collect();
                        <$module::$type as Backend>::examine(config, &planned).await
                    })*
                }
            }
        }

        impl AnyLookup {
            $(
                fn $module<'a>(
                    planned: &Planned<'a, AnyLookup>,
                ) -> Option<Planned<'a, <$module::$type as Backend>::Lookup>> {
                    let Planned { name, budget, .. } = *planned;
                    match planned.lookup {
                        AnyLookup::$variant(lookup) => Some(Planned { name, lookup, budget }),
                        _ => None,
                    }
                }
            )*

            /// Describes how it travels with others, if it does.
            pub fn batching(&self) -> Option<String> {
                let words = match self {
                    $(AnyLookup::$variant(lookup) => <$module::$type as Backend>::batching(lookup),)*
                };
                self.batches().then_some(words)
            }

            /// Whether it may travel with others.
            pub fn batches(&self) -> bool {
                match self {
                    $(AnyLookup::$variant(lookup) => <$module::$type as Backend>::batches(lookup),)*
                }
            }
        }

        impl AnyBackend {
            /// Asks several questions as one.
            pub async fn lookup_many<'a>(
                &self,
                asked: impl Iterator<Item = (&'a AnyLookup, &'a [Value])>,
            ) -> Vec<Result<Answer, LookupError>> {
                match self {
                    $(AnyBackend::$variant(backend) => {
                        let (_, most) = asked.size_hint();
                        let mut of_kind = Vec::with_capacity(most.unwrap_or_default());
                        of_kind.extend(asked.filter_map(|(lookup, params)| match lookup {
                            AnyLookup::$variant(lookup) => Some(Asked { lookup, params }),
                            _ => None,
                        }));
                        backend.lookup_many(&of_kind).await
                    })*
                }
            }

            /// Asks the store.
            pub async fn lookup(&self, lookup: &AnyLookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
                match (self, lookup) {
                    $((AnyBackend::$variant(backend), AnyLookup::$variant(lookup)) =>
                        backend.lookup(lookup, ask).await,)*
                    _ => Err(LookupError::new(Code::ServerInternal, "a lookup met a backend of another kind")),
                }
            }
        }
    };
}

kinds! {
    /// `kind = "sqlite"`
    Sqlite "sqlite" sqlite::Sqlite;
    /// `kind = "file"`
    File "file" file::FileTable;
    /// `kind = "http"`
    Http "http" http::Http;
    /// `kind = "redis"`
    Redis "redis" redis::Redis;
    /// `kind = "memcached"`
    Memcached "memcached" memcached::Memcached;
    /// `kind = "postgres"`
    Postgres "postgres" postgres::Postgres;
    /// `kind = "mysql"`
    Mysql "mysql" mysql::Mysql;
    /// `kind = "thrift"`
    Thrift "thrift" thrift::Thrift;
}
