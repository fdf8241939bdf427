//! The stores that go and come back, each with values that name their store, key and generation.
//!
//! One more is a type with its [`Store`] and a line in [`all`].

mod on_port;
mod sql;

use self::on_port::{Http, OnPort, Thrift};
use self::sql::{MariaDb, Sqlite, postgres};
use super::history::value;
use crate::support::{Memcached, Redis};

/// How many keys there are, `k0` and on.
pub(super) const KEYS: usize = 100;

/// A store that a test starts, breaks and mends.
pub(super) trait Store {
    /// Its backend, its lookup and the reply's field; what its values begin with.
    fn name(&self) -> &'static str;
    /// The keys of `[backends.NAME]`, and those of a lookup of the value of `key`.
    fn config(&self) -> (String, String);
    /// The type of the reply's field: `Row` where the lookup asks for a row with its key.
    fn field(&self) -> &'static str {
        "string"
    }
    /// Starts it. When this returns it answers, with values of `generation`.
    fn start(&mut self, generation: usize);
    /// Ends it with SIGKILL.
    fn kill(&mut self);
    /// Keeps it from answering, while all connections stay.
    fn hang(&mut self);
    /// Lets it go on.
    fn resume(&mut self);
    /// Whether it has nothing at all between its start and the end of [`Store::start`].
    fn forgets(&self) -> bool {
        false
    }
}

/// All of them, none started.
pub(super) fn all() -> Vec<Box<dyn Store>> {
    vec![
        Box::new(postgres()),
        Box::new(MariaDb::new()),
        Box::new(OnPort::<Redis>::new()),
        Box::new(OnPort::<Memcached>::new()),
        Box::new(Sqlite::new()),
        Box::new(OnPort::<Http>::new()),
        Box::new(OnPort::<Thrift>::new()),
    ]
}

/// Keys and values.
fn pairs(store: &str, generation: usize) -> Vec<(String, String)> {
    let keys = (0..KEYS).map(|at| format!("k{at}"));
    keys.map(|key| (key.clone(), value(store, &key, generation)))
        .collect()
}

/// `('k0', 'sqlite:k0:0'), ...`
fn rows(store: &str, generation: usize) -> String {
    let rows = pairs(store, generation)
        .into_iter()
        .map(|(key, value)| format!("('{key}', '{value}')"));
    rows.collect::<Vec<_>>().join(", ")
}
