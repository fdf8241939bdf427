//! The stores: one trait, one file per kind.
//!
//! A kind reads its own keys of `[backends.NAME]` and `[lookups.NAME]`, connects, and answers one lookup at
//! a time; everything around that (deadline, limits, injection) is [`crate::guard`]'s. Nothing here knows of
//! views, and nothing but [`thrift`], which is a client, of Thrift messages. README has the recipe for adding a kind: one file, its module and its line
//! in `kinds!` here, one `kind = "..."` in a configuration.

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
pub mod examine;
pub mod format;
pub(crate) mod net;
pub mod rows;
pub mod sql;
pub mod template;
pub mod tls;
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

    /// Reads the keys of `[backends.NAME]`; `kind` is already taken. Problems go to the section; `None` when
    /// there were any that leave nothing to go on with.
    fn read_config(section: &mut Section<'_>) -> Option<Self::Config>;

    /// Reads a lookup's own keys; `backend`, `timeout` and the other common ones are already taken.
    fn read_lookup(
        config: &Self::Config,
        section: &mut Section<'_>,
    ) -> Option<Compiled<Self::Lookup>>;

    /// Makes ready on one loop, for what is going to be asked. Never fails: a store that is down shows in the
    /// fates of its lookups, and comes back by itself; a lookup that can't be made ready costs itself only.
    async fn connect(
        config: &Self::Config,
        planned: &[Planned<'_, Self::Lookup>],
        seed: u64,
    ) -> Self;

    /// Reaches the store, for `check --connect`, and has it say what it knows of each lookup. Runs none of
    /// them and changes nothing.
    async fn examine(_config: &Self::Config, planned: &[Planned<'_, Self::Lookup>]) -> Examination {
        Examination::nothing("not reached: this kind has nothing to ask", planned.len())
    }

    /// Asks the store. `Value::Null` in the answer means there is nothing: fate `empty`.
    ///
    /// The future may be dropped at any await (deadline, cancelled call); an implementation must not leave a
    /// connection with an unread answer behind that is then used again.
    async fn lookup(&self, lookup: &Self::Lookup, ask: Ask<'_>) -> Result<Answer, LookupError>;

    /// Whether [`Backend::lookup_many`] carries several of these for about the price of one.
    fn batches(_lookup: &Self::Lookup) -> bool {
        false
    }

    /// How they travel together, in words for the operator. Called only for lookups that batch.
    fn batching(_lookup: &Self::Lookup) -> String {
        "one question per turn of the loop".into()
    }

    /// Asks several questions as one, whatever calls they are of: one answer each, in their order, each with
    /// its own error. Equal questions are to be asked once. Called only for lookups that batch.
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
    /// What [`Backend::lookup`] is given.
    pub lookup: L,
    /// The names the lookup mentions, each once, in the order in which [`Ask::params`] carries them.
    pub params: Vec<Arc<str>>,
    /// What an answer looks like, as far as the configuration tells.
    pub yields: Yields,
}

/// A lookup that is going to be asked.
#[derive(Debug)]
pub struct Planned<'a, L> {
    /// Its name, for the log.
    pub name: &'a Arc<str>,
    /// As its kind compiled it.
    pub lookup: &'a L,
    /// The longest that any view gives it: nobody waits for an answer for longer.
    pub budget: Duration,
}

/// What a lookup's answers look like; the check holds it against the IDL type they fill.
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
    /// When the answer is of no use any more; never later than the call's deadline.
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

/// What a store said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The value; `Null` when there is nothing.
    pub value: Value,
    /// When the first byte of it came, where the kind can tell.
    pub first_answer: Option<Instant>,
    /// Where it came from.
    pub source: Source,
}

impl Answer {
    /// An answer from the store itself, with no word on when it began.
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

    /// An exception of the method, by the name of its type: where the lookup is required and the method declares
    /// it, this is what the call throws. Anywhere else it is an error like any other, `lookup.threw`.
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

            /// Makes ready on one loop.
            pub async fn connect(&self, planned: &[Planned<'_, AnyLookup>], seed: u64) -> AnyBackend {
                match self {
                    $(AnyConfig::$variant(config) => {
                        let planned: Vec<_> = planned.iter().filter_map(AnyLookup::$module).collect();
                        let backend = <$module::$type as Backend>::connect(config, &planned, seed).await;
                        AnyBackend::$variant(backend)
                    })*
                }
            }

            /// Has the store say what it knows of each lookup; all of them are this backend's.
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

            /// How it travels with others, in words, if it does.
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
