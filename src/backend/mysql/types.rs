//! Lists MySQL's types, with the name of each and the kind of its values, one line each.

use mysql_common::constants::ColumnType;
use mysql_common::packets::Column;

/// The number of the character set `binary`.
const BINARY: u16 = 63;

/// The kind of a type's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of this many bits, signed or not.
    Integer(u32),
    Year,
    Bit,
    Double,
    Decimal,
    /// A date, a time, or both.
    Time,
    Json,
    Text,
    Bytes,
    /// The type of null, of a parameter, or one that is not known here.
    Unknown,
}

/// A column's type as in SQL, without its parentheses, and the kind of its values.
pub(super) fn type_of(column: &Column) -> (&'static str, Kind) {
    // Text and bytes differ only in their character set.
    let either = |text, bytes| match column.character_set() {
        BINARY => (bytes, Kind::Bytes),
        _ => (text, Kind::Text),
    };
    match column.column_type() {
        ColumnType::MYSQL_TYPE_TINY => ("tinyint", Kind::Integer(8)),
        ColumnType::MYSQL_TYPE_SHORT => ("smallint", Kind::Integer(16)),
        ColumnType::MYSQL_TYPE_INT24 => ("mediumint", Kind::Integer(24)),
        ColumnType::MYSQL_TYPE_LONG => ("int", Kind::Integer(32)),
        ColumnType::MYSQL_TYPE_LONGLONG => ("bigint", Kind::Integer(64)),
        ColumnType::MYSQL_TYPE_YEAR => ("year", Kind::Year),
        ColumnType::MYSQL_TYPE_BIT => ("bit", Kind::Bit),
        ColumnType::MYSQL_TYPE_FLOAT => ("float", Kind::Double),
        ColumnType::MYSQL_TYPE_DOUBLE => ("double", Kind::Double),
        ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => {
            ("decimal", Kind::Decimal)
        }
        ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => ("date", Kind::Time),
        ColumnType::MYSQL_TYPE_DATETIME => ("datetime", Kind::Time),
        ColumnType::MYSQL_TYPE_TIMESTAMP => ("timestamp", Kind::Time),
        ColumnType::MYSQL_TYPE_TIME => ("time", Kind::Time),
        ColumnType::MYSQL_TYPE_JSON => ("json", Kind::Json),
        ColumnType::MYSQL_TYPE_STRING => either("char", "binary"),
        ColumnType::MYSQL_TYPE_VARCHAR | ColumnType::MYSQL_TYPE_VAR_STRING => {
            either("varchar", "varbinary")
        }
        ColumnType::MYSQL_TYPE_TINY_BLOB
        | ColumnType::MYSQL_TYPE_BLOB
        | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
        | ColumnType::MYSQL_TYPE_LONG_BLOB => either("text", "blob"),
        ColumnType::MYSQL_TYPE_ENUM => either("enum", "enum"),
        ColumnType::MYSQL_TYPE_SET => either("set", "set"),
        ColumnType::MYSQL_TYPE_GEOMETRY => ("geometry", Kind::Bytes),
        ColumnType::MYSQL_TYPE_VECTOR => ("vector", Kind::Bytes),
        ColumnType::MYSQL_TYPE_NULL => ("null", Kind::Unknown),
        _ => ("unknown", Kind::Unknown),
    }
}
