//! Finds the rows of a table by the values of some columns.
//!
//! A hash table holds the number of the first row with each key, not the key, which is in the row. Rows with the same key
//! form a chain in the order of the file. Rows in which one of the columns equals nothing are not found.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::key::{equals, with_key};
use super::table::Table;

/// Ends a chain. A table has fewer rows.
const NONE: u32 = u32::MAX;

/// The rows of one table by some of its columns.
#[derive(Debug)]
pub(super) struct Index {
    columns: Box<[usize]>,
    /// The first row of each chain.
    firsts: HashTable<u32>,
    /// The next row of each row's chain; empty if each key has one row.
    next: Vec<u32>,
}

impl Index {
    /// Indexes `table` by `columns`.
    pub(super) fn new(table: &Table, columns: &[usize]) -> Self {
        let mut index = Index {
            columns: columns.into(),
            firsts: HashTable::with_capacity(table.len() as usize),
            next: Vec::new(),
        };
        let mut scratch = (Vec::new(), Vec::new());
        // From the end, so that each row comes in front of those that follow it.
        for row in (0..table.len()).rev() {
            index.add(table, row, &mut scratch);
        }
        if index.firsts.len() < index.firsts.capacity() / 2 {
            let Index {
                columns, firsts, ..
            } = &mut index;
            firsts.shrink_to_fit(|row| {
                hash_of_row(table, columns, *row, &mut Vec::new()).unwrap_or_default()
            });
        }
        index
    }

    fn add(&mut self, table: &Table, row: u32, (scratch, other): &mut (Vec<u8>, Vec<u8>)) {
        let Index {
            columns,
            firsts,
            next,
        } = self;
        let Some(hash) = hash_of_row(table, columns, row, scratch) else {
            return;
        };
        let this = table.row(row);
        let same = |first: &u32| {
            let first = table.row(*first);
            columns.iter().all(|column| {
                let cell = this.cell(*column);
                with_key(this, cell, scratch, |key| {
                    equals(first, *column, key, other)
                }) == Some(true)
            })
        };
        let rehash =
            |row: &u32| hash_of_row(table, columns, *row, &mut Vec::new()).unwrap_or_default();
        match firsts.entry(hash, same, rehash) {
            Entry::Vacant(vacant) => {
                vacant.insert(row);
            }
            Entry::Occupied(mut occupied) => {
                let after = std::mem::replace(occupied.get_mut(), row);
                if next.is_empty() {
                    *next = vec![NONE; table.len() as usize];
                }
                next[row as usize] = after;
            }
        }
    }

    /// The columns by which it finds rows.
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The first row with these keys, which `keys` gives, one per column.
    #[inline]
    pub(super) fn first<'k, K>(&self, table: &Table, keys: impl Fn() -> K) -> Option<u32>
    where
        K: Iterator<Item = Cow<'k, [u8]>>,
    {
        let mut hasher = FixedState::default().build_hasher();
        for key in keys() {
            hasher.write_usize(key.len());
            hasher.write(&key);
        }
        let mut scratch = Vec::new();
        let same = |row: &u32| {
            let row = table.row(*row);
            let mut pairs = self.columns.iter().zip(keys());
            pairs.all(|(column, key)| equals(row, *column, &key, &mut scratch))
        };
        self.firsts.find(hasher.finish(), same).copied()
    }

    /// The row after `row` with the same keys.
    pub(super) fn after(&self, row: u32) -> Option<u32> {
        let next = self.next.get(row as usize).copied();
        next.filter(|row| *row != NONE)
    }

    /// Whether several rows have the same key.
    pub(super) fn has_repeats(&self) -> bool {
        !self.next.is_empty()
    }
}

/// As [`Index::first`] hashes the row's keys; `None` if one equals nothing.
fn hash_of_row(table: &Table, columns: &[usize], row: u32, scratch: &mut Vec<u8>) -> Option<u64> {
    let row = table.row(row);
    let mut hasher = FixedState::default().build_hasher();
    for column in columns {
        with_key(row, row.cell(*column), scratch, |key| {
            hasher.write_usize(key.len());
            hasher.write(key);
        })?;
    }
    Some(hasher.finish())
}
