//! `kind = "file"`: lookups in a CSV or JSON file that is read once, together with the configuration.
//!
//! In: values for some columns. Out: the rows that have them, shaped. `key` uses an index, `where` compares
//! every row (on the loop, so it is for small tables), and without either all rows are returned. All loops share one copy
//! in memory, and a lookup answers immediately. The file is not watched: a reload of the configuration reads it again.

mod csv;
mod csv_quotes;
mod find;
mod json;
mod load;
mod table;
mod terms;

use std::sync::Arc;

use super::{Answer, Ask, Backend, Compiled, Examination, LookupError, Planned};
use crate::config::Section;

pub use find::Find;
pub use table::Table;

/// A table on one loop. It is empty: each lookup holds the table it reads.
#[derive(Debug)]
pub struct FileTable;

/// `[backends.NAME]` of `kind = "file"`: `path`, `null`, `types` and `bytes_max` are in the table already.
#[derive(Debug)]
pub struct Config {
    /// The file's rows.
    pub table: Arc<Table>,
}

impl Backend for FileTable {
    type Config = Config;
    type Lookup = Find;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        let table = Arc::new(load::read(section)?);
        Some(Config { table })
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<Find>> {
        terms::read(&config.table, section)
    }

    async fn connect(_: &Config, _: &[Planned<'_, Find>], _seed: u64) -> Self {
        FileTable
    }

    async fn examine(_: &Config, planned: &[Planned<'_, Self::Lookup>]) -> Examination {
        Examination::nothing("read with the configuration", planned.len())
    }

    async fn lookup(&self, lookup: &Find, ask: Ask<'_>) -> Result<Answer, LookupError> {
        lookup.answer(ask.params).map(Answer::new)
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
