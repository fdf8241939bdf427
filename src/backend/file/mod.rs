//! `kind = "file"`: lookups in a CSV or JSON file that is read together with the configuration.
//!
//! In: values for some columns. Out: the rows that have them, shaped. `key` uses an index, `where` compares every row (on the
//! loop, in stretches), and without either all rows are returned. All loops share one copy in memory. A reload of the
//! configuration uses the table that is there if the file has not changed; `reload = "on_change"` watches the file.

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
mod live; // the tables in memory
mod source; // from a file to a table
mod find;
mod watched; // a file whose table is replaced
mod terms; // the keys of a lookup
mod load; // the keys of a backend

use std::sync::Arc;

use super::table_reloads::TableReloads;
use super::{Answer, Ask, Backend, Compiled, Examination, LookupError, OnLoop, Planned};
use crate::config::Section;

pub use find::Find;
pub use load::Config;
pub use loaded::Loaded;
pub use table::Table;
pub use watched::Watched;

/// A file on one loop. It holds no table: each lookup has the one that it asks.
#[derive(Debug)]
pub struct FileTable {
    /// On one of the loops, if the file is watched.
    reloads: Option<TableReloads>,
}

/// A compiled lookup.
#[derive(Debug)]
pub enum FileLookup {
    /// With its table.
    Read(Find),
    /// By its number among those of a watched file.
    Watched(Arc<Watched>, usize),
}

impl Backend for FileTable {
    type Config = Config;
    type Lookup = FileLookup;

    /// It is on this machine: what fails here is the question.
    const FAILS: bool = false;

    /// The tables are in the configuration.
    const KEPT: bool = false;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        load::read(section)
    }

    fn read_lookup(config: &Config, section: &mut Section<'_>) -> Option<Compiled<FileLookup>> {
        let compiled = terms::read(&config.loaded(), section)?;
        Some(Compiled {
            lookup: match config {
                Config::Read(_) => FileLookup::Read(compiled.lookup),
                Config::Watched(watched) => {
                    let number = watched.add(compiled.lookup);
                    FileLookup::Watched(Arc::clone(watched), number)
                }
            },
            params: compiled.params,
            enums: compiled.enums,
            yields: compiled.yields,
        })
    }

    async fn connect(config: &Config, _: &[Planned<'_, FileLookup>], _: &OnLoop) -> Self {
        let reloads = match config {
            Config::Read(_) => None,
            Config::Watched(watched) => watched.start(),
        };
        FileTable { reloads }
    }

    async fn examine(_: &Config, planned: &[Planned<'_, Self::Lookup>]) -> Examination {
        Examination::nothing("read with the configuration", planned.len())
    }

    fn table_reloads(&self) -> Option<&TableReloads> {
        self.reloads.as_ref()
    }

    async fn lookup(&self, lookup: &FileLookup, ask: Ask<'_>) -> Result<Answer, LookupError> {
        match lookup {
            FileLookup::Read(find) => find.answer(ask.params).await,
            FileLookup::Watched(watched, number) => {
                watched.generation().finds[*number].answer(ask.params).await
            }
        }
        .map(Answer::new)
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
