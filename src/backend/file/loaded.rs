//! A table with its indexes. All loops and all lookups by the same columns share an index.

#[expect(
    clippy::disallowed_types,
    reason = "shared by the threads that read configurations; held for as long as an index is made"
)]
use std::sync::Mutex;
use std::sync::{Arc, PoisonError, Weak};

use super::index::Index;
use super::table::Table;

/// A table in memory.
#[derive(Debug)]
pub struct Loaded {
    /// The rows.
    pub table: Table,
    /// Those that some lookup uses.
    #[expect(clippy::disallowed_types, reason = "see the import")]
    indexes: Mutex<Vec<Weak<Index>>>,
}

impl Loaded {
    /// A table that has no index yet.
    pub(super) fn new(table: Table) -> Self {
        Loaded {
            table,
            indexes: Vec::new().into(),
        }
    }

    /// The index by `columns`, made now if no lookup uses it yet.
    pub(super) fn index(&self, columns: &[usize]) -> Arc<Index> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.retain(|index| index.strong_count() > 0);
        let mut live = indexes.iter().filter_map(Weak::upgrade);
        if let Some(index) = live.find(|index| index.columns() == columns) {
            return index;
        }
        let index = Arc::new(Index::new(&self.table, columns));
        indexes.push(Arc::downgrade(&index));
        index
    }
}
