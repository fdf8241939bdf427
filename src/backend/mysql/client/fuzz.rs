//! Any bytes as a packet of any kind: what it says, or an error.

use std::sync::Arc;

use mysql_common::constants::{ColumnFlags, ColumnType};
use mysql_common::packets::Column;

use super::packet::{Prepared, column, column_count, row, server_error};
use crate::fuzzing::{FuzzInput, hold};

/// The first byte chooses the kind of packet.
pub(in crate::backend) fn packet(input: &mut FuzzInput<'_>) {
    match input.byte() % 6 {
        0 => drop(server_error(input.0)),
        1 => drop(column_count(input.0)),
        2 => drop(column(input.0)),
        3 => drop(Prepared::read(input.0)),
        4 => super::login::fuzz(input.0),
        _ => {
            let count = input.byte() % 20;
            let column = |_| {
                let flags = [ColumnFlags::empty(), ColumnFlags::UNSIGNED_FLAG];
                let kind = ColumnType::try_from(input.byte()).ok()?;
                Some(Column::new(kind).with_flags(input.choose(&flags)))
            };
            let columns: Vec<Column> = (0..count).filter_map(column).collect();
            let columns: Arc<[Column]> = columns.into();
            if let Ok(values) = row(input.0, &columns) {
                let (values, columns) = (values.len(), columns.len());
                hold(values == columns, "a value per column", (values, columns));
            }
        }
    }
}
