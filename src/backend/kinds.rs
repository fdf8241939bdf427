//! Lists the kinds of stores, and passes each operation on to the right one.

use std::any::Any;
use std::rc::Rc;
use std::time::Duration;

use super::answer::{Answer, Answers};
use super::cancels::Cancels;
use super::changes::{Changes, Keys};
use super::endpoints::{Board, Hedge};
use super::examine::Examination;
use super::invalidate::{Invalidate, NotHeard};
use super::kind::Backend;
use super::lookup::{Ask, BatchedAsk, Compiled, Planned, Unshared};
use super::lookup_error::LookupError;
use super::on_loop::OnLoop;
use super::open_connections::OpenConnections;
use super::table_reloads::TableReloads;
use super::{file, http, memcached, mysql, postgres, redis, sqlite, thrift};
use crate::config::Section;
use crate::error::Code;
use crate::value::Value;

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

            /// Whether a reload keeps what [`AnyConfig::connect`] made if nothing has changed.
            pub fn is_kept(&self) -> bool {
                match self { $(AnyConfig::$variant(_) => <$module::$type as Backend>::KEPT,)* }
            }

            /// Whether what [`AnyConfig::connect`] makes depends on the lookups.
            pub fn prepares(&self) -> bool {
                match self { $(AnyConfig::$variant(_) => <$module::$type as Backend>::PREPARES,)* }
            }

            /// Whether its servers hold different parts of it, so that one that fails must not keep lookups from the others.
            pub fn is_divided(&self) -> bool {
                match self {
                    $(AnyConfig::$variant(config) => <$module::$type as Backend>::is_divided(config),)*
                }
            }

            /// Whether a store of this kind may fail as a whole, so that a breaker is of use.
            pub fn fails(kind: &str) -> bool {
                match kind {
                    $($kind => <$module::$type as Backend>::FAILS,)*
                    _ => false,
                }
            }

            /// How long an attempt to connect may take after which a lookup is asked once more, if it ever is.
            pub fn retries_after(&self) -> Option<Duration> {
                match self {
                    $(AnyConfig::$variant(config) => <$module::$type as Backend>::retries_after(config),)*
                }
            }

            /// Describes its endpoints to the operator, if it has any.
            pub fn balancing(&self) -> Option<String> {
                match self {
                    $(AnyConfig::$variant(config) => <$module::$type as Backend>::balancing(config),)*
                }
            }

            /// Whether the store says in this way when answers of a lookup are no longer right.
            pub fn is_heard(&self, lookup: &AnyLookup, how: &Invalidate) -> Result<(), NotHeard> {
                match (self, lookup) {
                    $((AnyConfig::$variant(config), AnyLookup::$variant(lookup)) =>
                        <$module::$type as Backend>::is_heard(config, lookup, how),)*
                    _ => Ok(()),
                }
            }

            /// What is probably a mistake in hearing of changes for a lookup, and what to do about it.
            pub fn hears_too_much(&self, lookup: &AnyLookup, how: &Invalidate) -> Option<NotHeard> {
                match (self, lookup) {
                    $((AnyConfig::$variant(_), AnyLookup::$variant(lookup)) =>
                        <$module::$type as Backend>::hears_too_much(lookup, how),)*
                    _ => None,
                }
            }

            /// The host and the port of its server, if it has one server and that is reached over TCP.
            pub fn address(&self) -> Option<(String, u16)> {
                match self {
                    $(AnyConfig::$variant(config) => <$module::$type as Backend>::address(config),)*
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
                            enums: compiled.enums,
                            yields: compiled.yields,
                        })
                    })*
                }
            }

            /// Prepares the store on one loop.
            pub async fn connect(&self, planned: &[Planned<'_, AnyLookup>], on: &OnLoop) -> AnyBackend {
                match self {
                    $(AnyConfig::$variant(config) => {
                        let planned: Vec<_> = planned.iter().filter_map(AnyLookup::$module).collect();
                        let backend = <$module::$type as Backend>::connect(config, &planned, on).await;
                        AnyBackend::$variant(backend)
                    })*
                }
            }

            /// Asks the store about each lookup; all of them use this backend.
            pub async fn examine(&self, planned: &[Planned<'_, AnyLookup>]) -> Examination {
                match self {
                    $(AnyConfig::$variant(config) => {
                        let planned: Vec<_> = planned.iter().filter_map(AnyLookup::$module).collect();
                        let examining = <$module::$type as Backend>::examine(config, &planned);
                        Examination::of(Box::pin(examining), planned.len()).await
                    })*
                }
            }
        }

        impl AnyLookup {
            $(
                fn $module<'a>(
                    planned: &Planned<'a, AnyLookup>,
                ) -> Option<Planned<'a, <$module::$type as Backend>::Lookup>> {
                    let Planned { name, budget, invalidate, .. } = *planned;
                    match planned.lookup {
                        AnyLookup::$variant(lookup) => {
                            Some(Planned { name, lookup, budget, invalidate })
                        }
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

            /// The lane of its store in which it travels with others.
            pub fn lane(&self) -> usize {
                match self {
                    $(AnyLookup::$variant(lookup) => <$module::$type as Backend>::lane(lookup),)*
                }
            }

            /// Why calls can't share its answers, if they can't.
            pub fn unshared(&self) -> Option<Unshared> {
                match self {
                    $(AnyLookup::$variant(lookup) => <$module::$type as Backend>::unshared(lookup),)*
                }
            }

            /// Whether asking twice has the effect of asking once.
            pub fn is_repeatable(&self) -> bool {
                match self {
                    $(AnyLookup::$variant(lookup) => <$module::$type as Backend>::is_repeatable(lookup),)*
                }
            }

            /// What an answer to these parameters depends on; `None` if that can't be said.
            pub fn keys(&self, params: &[Value], how: &Invalidate) -> Option<Keys> {
                match self {
                    $(AnyLookup::$variant(lookup) => {
                        Keys::of(|each| <$module::$type as Backend>::keys(lookup, params, how, each))
                    })*
                }
            }

            /// What its store has to be asked to name, so that it says when answers are no longer right.
            pub fn hears_of<'l>(&'l self, how: &'l Invalidate) -> &'l str {
                match self {
                    $(AnyLookup::$variant(lookup) => {
                        <$module::$type as Backend>::hears_of(lookup, how)
                    })*
                }
            }

            /// When it is asked of a second endpoint, if it ever is.
            pub fn hedge(&self) -> Option<&Hedge> {
                match self {
                    $(AnyLookup::$variant(lookup) => <$module::$type as Backend>::hedge(lookup),)*
                }
            }

            /// Whether it may travel with others.
            pub fn batches(&self) -> bool {
                match self {
                    $(AnyLookup::$variant(lookup) => <$module::$type as Backend>::batches(lookup),)*
                }
            }
        }

        impl AnyBackend {
            /// The requests to the store to stop a statement, if its kind makes such requests.
            pub fn cancels(&self) -> Option<&Cancels> {
                match self { $(AnyBackend::$variant(backend) => backend.cancels(),)* }
            }

            /// What it says about answers that are no longer right, if anybody wants to know.
            pub fn changes(&self) -> Option<&Rc<Changes>> {
                match self { $(AnyBackend::$variant(backend) => backend.changes(),)* }
            }

            /// What hears that, for a store that takes its place.
            pub fn hearing(&self) -> Option<Rc<dyn Any>> {
                match self { $(AnyBackend::$variant(backend) => backend.hearing(),)* }
            }

            /// The number of its connections, if that changes with the load.
            pub fn open_connections(&self) -> Option<&OpenConnections> {
                match self { $(AnyBackend::$variant(backend) => backend.open_connections(),)* }
            }

            /// The counts of its endpoints, if it has any.
            pub fn board(&self) -> Option<&Board> {
                match self { $(AnyBackend::$variant(backend) => backend.board(),)* }
            }

            /// The counts of a file that is watched, if its thread was started for this store.
            pub fn table_reloads(&self) -> Option<&TableReloads> {
                match self { $(AnyBackend::$variant(backend) => backend.table_reloads(),)* }
            }

            /// Asks several questions of one lane together.
            pub async fn lookup_many<'a>(
                &self,
                asked: impl Iterator<Item = (&'a AnyLookup, &'a [Value])>,
                answers: Answers<'_>,
            ) {
                match self {
                    $(AnyBackend::$variant(backend) => {
                        let (_, most) = asked.size_hint();
                        let mut of_kind = Vec::with_capacity(most.unwrap_or_default());
                        // Not `extend`: an iteration that passes the elements on goes through a queue fastest.
                        asked.for_each(|(lookup, params)| {
                            if let AnyLookup::$variant(lookup) = lookup {
                                of_kind.push(BatchedAsk { lookup, params });
                            }
                        });
                        backend.lookup_many(&of_kind, answers).await;
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
