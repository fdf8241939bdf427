//! The columns of a JSON file, in the order in which their names first appear.

use std::collections::HashMap;
use std::sync::Arc;

use super::cell;
use super::table::Packed;
use crate::value::Value;

/// The column that holds an outer object's names.
pub(super) const KEY: &str = "key";

/// The columns so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    names: Vec<Arc<str>>,
    positions: HashMap<Arc<str>, usize>,
    /// The fields of the object that is being packed, by column.
    fields: Vec<(usize, Value)>,
}

impl Columns {
    /// The position of `name`, which is new or known. `guess` is where it probably is.
    pub(super) fn position(&mut self, name: &str, guess: usize) -> usize {
        if self.names.get(guess).is_some_and(|have| **have == *name) {
            return guess;
        }
        if let Some(at) = self.positions.get(name) {
            return *at;
        }
        let at = self.names.len();
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.positions.insert(name, at);
        at
    }

    /// Packs an object. `None` if it has a field that is called like the column of `key`, or if it is too long.
    pub(super) fn pack(
        &mut self,
        fields: Vec<(Value, Value)>,
        key: Option<Value>,
        rows: &mut Packed,
    ) -> Option<()> {
        let mut packing = std::mem::take(&mut self.fields);
        packing.clear();
        let has_key = key.is_some();
        packing.extend(key.map(|key| (0, key)));
        let mut guess = usize::from(has_key);
        for (name, value) in fields {
            let name = name.as_str().unwrap_or_default();
            if has_key && name == KEY {
                return None;
            }
            let at = self.position(name, guess);
            guess = at + 1;
            packing.push((at, value));
        }
        if !packing.is_sorted_by_key(|(at, _)| *at) {
            packing.sort_unstable_by_key(|(at, _)| *at);
        }
        for (at, value) in &packing {
            if !value.is_null() {
                rows.nulls_before(*at);
                cell::write(value, rows.cell());
            }
        }
        self.fields = packing;
        rows.end_row().ok()
    }

    /// Adds those of a later piece.
    pub(super) fn add_all(&mut self, later: &Columns) {
        for (at, name) in later.names.iter().enumerate() {
            self.position(name, at);
        }
    }

    /// Whether the first columns are those of `other`, in the same order.
    pub(super) fn begin_with(&self, other: &Columns) -> bool {
        self.names.starts_with(&other.names)
    }

    /// The names.
    pub(super) fn into_names(self) -> Vec<Arc<str>> {
        self.names
    }
}
