//! Any bytes read as a file become a table whose rows have one value per column, or an error.

use super::csv::{CellType, CsvFile};
use super::json;
use super::table::Table;
use crate::fuzzing::{FuzzInput, hold};

/// As JSON.
pub(in crate::backend) fn json_file(input: &FuzzInput<'_>) {
    for read in [json::read, json::read_lines] {
        hold_table(read(input.0).map_err(|mistake| vec![mistake]));
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
            file.rows(&kinds, "NA")
        }
        Err(mistake) => Err(vec![mistake]),
    };
    hold_table(table);
}

fn hold_table(table: Result<Table, Vec<String>>) {
    match table {
        Ok(table) => {
            let long = |row: &Vec<_>| row.len() == table.names.len();
            hold(
                table.rows.iter().all(long),
                "rows are as long as columns are many",
                &table.names,
            );
        }
        Err(mistakes) => hold(
            !mistakes.is_empty(),
            "what is no table has a reason",
            mistakes,
        ),
    }
}
