//! Any bytes read as a file become a table whose rows have one value per column, or an error.

use super::csv::{CellType, CsvFile};
use super::json;
use super::mistakes::Mistakes;
use super::pieces::Progress;
use super::table::Table;
use crate::fuzzing::{FuzzInput, hold};
use crate::value::Value;

/// As JSON.
pub(in crate::backend) fn json_file(input: &FuzzInput<'_>) {
    let progress = Progress::new("fuzz", input.0.len());
    for read in [json::read, json::read_lines] {
        hold_table(read(input.0, &progress));
    }
}

/// As CSV; the first byte chooses the types of its columns.
pub(in crate::backend) fn csv_file(input: &mut FuzzInput<'_>) {
    let choice = usize::from(input.byte());
    let table = match CsvFile::open(input.0, [b',', b';'][choice / 8 % 2]) {
        Ok(file) => {
            let kinds =
                (0..file.names.len()).map(|at| CellType::ALL[(choice + at) % CellType::ALL.len()]);
            let kinds: Vec<CellType> = kinds.collect();
            file.rows(&kinds, "NA", &Progress::new("fuzz", input.0.len()))
        }
        Err(mistake) => Err(Mistakes::one(mistake)),
    };
    hold_table(table);
}

fn hold_table(table: Result<Table, Mistakes>) {
    match table {
        Ok(table) => {
            let width = table.names.len();
            let mut rows = table.rows();
            hold(
                rows.all(|row| {
                    let values = row.values(width);
                    let single: Vec<Value> = (0..width).map(|at| row.value(at)).collect();
                    // NaN does not equal itself.
                    format!("{values:?}") == format!("{single:?}")
                }),
                "rows are as long as columns are many, and so read one by one",
                &table.names,
            );
        }
        Err(mistakes) => hold(
            !mistakes.first.is_empty(),
            "what is no table has a reason",
            mistakes,
        ),
    }
}
