//! Any bytes as a column of any type: a value, or an error.

use mysql_common::constants::ColumnType;
use mysql_common::packets::Column;
use mysql_common::value::Value as Stored;

pub(in crate::backend) use super::client::fuzz::packet;
use super::value::{param, value};
use crate::error::Code;
use crate::fuzzing::{FuzzInput, hold};

/// The first bytes choose the type, the character set and how it is stored.
pub(in crate::backend) fn column(input: &mut FuzzInput<'_>) {
    let Ok(kind) = ColumnType::try_from(input.byte()) else {
        return;
    };
    let column = Column::new(kind).with_character_set(input.choose(&[63, 45]));
    let way = input.byte();
    let mut byte = || input.byte();
    let stored = match way % 6 {
        0 => Stored::UInt(u64::from_be_bytes([(); 8].map(|()| byte()))),
        1 => Stored::Double(f64::from_be_bytes([(); 8].map(|()| byte()))),
        2 => Stored::Date(
            u16::from_be_bytes([byte(), byte()]),
            byte(),
            byte(),
            byte(),
            byte(),
            byte(),
            u32::from_be_bytes([(); 4].map(|()| byte())),
        ),
        3 => Stored::Time(
            byte() & 1 == 1,
            u32::from_be_bytes([(); 4].map(|()| byte())),
            byte(),
            byte(),
            byte(),
            u32::from_be_bytes([(); 4].map(|()| byte())),
        ),
        _ => Stored::Bytes(input.0.to_vec()),
    };
    match value(&column, stored) {
        Ok(read) => {
            if let Err(err) = param(&read) {
                hold(
                    err.code == Code::LookupBadParam,
                    "what is read can be asked for",
                    err,
                );
            }
        }
        Err(err) => hold(err.code == Code::LookupBadAnswer, "an answer is bad", err),
    }
}
