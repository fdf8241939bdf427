//! `kind = "file"`: lookups in a CSV or JSON file that is read once, together with the configuration.
//!
//! In: values for some columns. Out: the rows that have them, shaped. `key` uses an index, `where` compares every row (on the
//! loop, in stretches), and without either all rows are returned. All loops share one copy in memory. The file is not watched:
//! a reload of the configuration reads it again if it has changed; otherwise the old table is used.

mod cell; // values as bytes
mod table; // rows of cells
mod key; // when a cell equals a value
mod index; // rows by key
mod loaded; // a table with its indexes
mod mistakes;
mod pieces; // on all cores
mod csv_quotes;
mod csv;
mod json_elements;
mod json_columns;
mod json_mistake;
mod json;
mod reading; // from bytes to a table
mod stamp; // whether a file has changed
mod live; // the tables in memory
mod source; // from a file to a table
mod find;
mod terms; // the keys of a lookup
mod load; // the keys of a backend

use std::sync::Arc;

use super::{Answer, Ask, Backend, Compiled, Examination, LookupError, Planned};
use crate::config::Section;

pub use find::Find;
pub use loaded::Loaded;
pub use table::Table;

/// A table on one loop. It is empty: each lookup holds the table it reads.
#[derive(Debug)]
pub struct FileTable;

/// `[backends.NAME]` of `kind = "file"`: `path`, `null`, `types` and `bytes_max` are in the table already.
#[derive(Debug)]
pub struct Config {
    /// The file's rows.
    pub loaded: Arc<Loaded>,
}

impl Backend for FileTable {
    type Config = Config;
    type Lookup = Find;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        let loaded = load::read(section)?;
        Some(Config { loaded })
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Find>> {
        terms::read(&config.loaded, section)
    }

    async fn connect(_: &Config, _: &[Planned<'_, Find>], _seed: u64) -> Self {
        FileTable
    }

    async fn examine(_: &Config, planned: &[Planned<'_, Self::Lookup>]) -> Examination {
        Examination::nothing("read with the configuration", planned.len())
    }

    async fn lookup(&self, lookup: &Find, ask: Ask<'_>) -> Result<Answer, LookupError> {
        lookup.answer(ask.params).await.map(Answer::new)
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
