//! The stores that go down and come back, with values that contain store, key and generation.
//!
//! To add one, implement [`Store`] and add a line to [`all`].

mod on_port;
mod sql;

use self::on_port::{Http, OnPort, Thrift};
use self::sql::{MariaDb, Sqlite, postgres};
use super::history::value;
use crate::support::{Memcached, Redis};

/// How many keys there are, from `k0` on.
pub(super) const KEYS: usize = 100;

/// A store that a test starts, breaks and repairs.
pub(super) trait Store {
    /// The name of its backend, its lookup and its field in the reply, and the prefix of its values.
    fn name(&self) -> &'static str;
    /// The keys of `[backends.NAME]`, and those of a lookup of the value of `key`.
    fn config(&self) -> (String, String);
    /// The type of the reply's field: `Row` where the lookup asks for a row with its key.
    fn field(&self) -> &'static str {
        "string"
    }
    /// Starts it. When this returns, it answers with values of `generation`.
    fn start(&mut self, generation: usize);
    /// Kills it with SIGKILL.
    fn kill(&mut self);
    /// Stops it from answering; connections stay open.
    fn hang(&mut self);
    /// Lets it continue.
    fn resume(&mut self);
    /// Whether it is empty between its start and the end of [`Store::start`].
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
