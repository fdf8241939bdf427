//! Reads the payloads of packets. Nothing is read beyond their end, and nothing is reserved for what they announce.

use std::sync::Arc;

use mysql_common::constants::{ColumnFlags, ColumnType};
use mysql_common::io::ParseBuf;
use mysql_common::packets::Column;
use mysql_common::value::Value as Stored;

use crate::backend::mysql::error::{Error, ServerError};

/// The most columns of a table or an answer, and the most parameters of a statement.
const COLUMNS_MAX: u64 = 4096;

/// What is left of a payload.
pub(super) struct Payload<'p>(pub(super) &'p [u8]);

const SHORT: Error = Error::Protocol("a packet is too short");

impl<'p> Payload<'p> {
    pub(super) fn bytes(&mut self, length: usize) -> Result<&'p [u8], Error> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Bytes up to a zero, or all of them.
    pub(super) fn until_zero(&mut self) -> &'p [u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        let (bytes, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        bytes
    }

    /// A number of 1, 3, 4 or 9 bytes.
    pub(super) fn number(&mut self) -> Result<u64, Error> {
        match self.u8()? {
            0xfc => self.u16().map(u64::from),
            0xfd => {
                let [a, b, c] = self.array()?;
                Ok(u64::from(u32::from_le_bytes([a, b, c, 0])))
            }
            0xfe => Ok(u64::from_le_bytes(self.array()?)),
            0xfb | 0xff => Err(Error::Protocol("a packet has a length that is none")),
            small => Ok(u64::from(small)),
        }
    }

    /// Bytes after their length.
    pub(super) fn text(&mut self) -> Result<&'p [u8], Error> {
        let length = usize::try_from(self.number()?).map_err(|_| SHORT)?;
        self.bytes(length)
    }
}

/// The error that a packet carries, if it does.
pub(super) fn server_error(packet: &[u8]) -> Option<Error> {
    let mut payload = Payload(packet.strip_prefix(&[0xff])?);
    let code = payload.u16().ok()?;
    // Before the login, there is no state.
    let message = match payload.0 {
        [b'#', _, _, _, _, _, message @ ..] | message => message,
    };
    Some(Error::Server(ServerError {
        code,
        message: String::from_utf8_lossy(message).into_owned(),
    }))
}

/// How many columns an answer has.
pub(super) fn column_count(packet: &[u8]) -> Result<u64, Error> {
    let mut payload = Payload(packet);
    match payload.number() {
        Ok(count @ 1..=COLUMNS_MAX) if payload.0.is_empty() => Ok(count),
        _ => Err(Error::Protocol(
            "an answer begins with none of the packets that one may begin with",
        )),
    }
}

/// The definition of a column.
pub(super) fn column(packet: &[u8]) -> Result<Column, Error> {
    let column = ParseBuf(packet).parse(());
    column.map_err(|_| Error::Protocol("a column is of a type that is not known here"))
}

/// A statement that the server has prepared.
pub(super) struct Prepared {
    pub(super) id: u32,
    pub(super) columns: u16,
    pub(super) params: u16,
}

impl Prepared {
    pub(super) fn read(packet: &[u8]) -> Result<Self, Error> {
        let mut payload = Payload(packet);
        if payload.u8()? != 0 {
            return Err(Error::Protocol(
                "a statement is neither prepared nor refused",
            ));
        }
        let prepared = Prepared {
            id: payload.u32()?,
            columns: payload.u16()?,
            params: payload.u16()?,
        };
        if u64::from(prepared.columns) > COLUMNS_MAX {
            return Err(Error::Protocol("a statement has too many columns"));
        }
        Ok(prepared)
    }
}

/// The payload of the command that executes a prepared statement. Every value is bound with its type.
pub(super) fn put_execute(out: &mut Vec<u8>, statement: u32, params: &[Stored]) {
    out.clear();
    out.push(0x17);
    out.extend_from_slice(&statement.to_le_bytes());
    // No cursor, and one iteration.
    out.extend_from_slice(&[0, 1, 0, 0, 0]);
    if params.is_empty() {
        return;
    }
    let nulls = out.len();
    out.resize(nulls + params.len().div_ceil(8), 0);
    out.push(1);
    for (at, param) in params.iter().enumerate() {
        let (kind, unsigned) = match param {
            Stored::NULL => {
                out[nulls + at / 8] |= 1 << (at % 8);
                (ColumnType::MYSQL_TYPE_NULL, 0)
            }
            Stored::Int(_) => (ColumnType::MYSQL_TYPE_LONGLONG, 0),
            Stored::UInt(_) => (ColumnType::MYSQL_TYPE_LONGLONG, 0x80),
            Stored::Float(_) | Stored::Double(_) => (ColumnType::MYSQL_TYPE_DOUBLE, 0),
            // Parameters are never made of these; as text they mean the same.
            Stored::Bytes(_) | Stored::Date(..) | Stored::Time(..) => {
                (ColumnType::MYSQL_TYPE_VAR_STRING, 0)
            }
        };
        out.extend_from_slice(&[kind as u8, unsigned]);
    }
    for param in params {
        match param {
            Stored::NULL => {}
            Stored::Int(number) => out.extend_from_slice(&number.to_le_bytes()),
            Stored::UInt(number) => out.extend_from_slice(&number.to_le_bytes()),
            Stored::Float(number) => out.extend_from_slice(&f64::from(*number).to_le_bytes()),
            Stored::Double(number) => out.extend_from_slice(&number.to_le_bytes()),
            Stored::Bytes(bytes) => put_text(out, bytes),
            Stored::Date(..) | Stored::Time(..) => {
                put_text(out, param.as_sql(true).trim_matches('\'').as_bytes());
            }
        }
    }
}

/// Bytes after their length.
pub(super) fn put_text(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len() as u64;
    match length {
        0..=0xfa => out.push(length.to_le_bytes()[0]),
        0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&length.to_le_bytes()[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&length.to_le_bytes()[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&length.to_le_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// A row of a prepared statement: one value per column.
pub(super) fn row(packet: &[u8], columns: &Arc<[Column]>) -> Result<Vec<Stored>, Error> {
    let mut payload = Payload(packet);
    if payload.u8()? != 0 {
        return Err(Error::Protocol("a row is neither a row nor the end"));
    }
    // The first two bits are not used.
    let nulls = payload.bytes((columns.len() + 9) / 8)?;
    let is_null = |at: usize| nulls[(at + 2) / 8] >> ((at + 2) % 8) & 1 == 1;
    let columns = columns.iter().enumerate();
    let values = columns.map(|(at, column)| {
        if is_null(at) {
            Ok(Stored::NULL)
        } else {
            value(&mut payload, column)
        }
    });
    let values = values.collect::<Result<_, _>>()?;
    if payload.0.is_empty() {
        Ok(values)
    } else {
        Err(Error::Protocol("a row has more values than columns"))
    }
}

fn value(payload: &mut Payload<'_>, column: &Column) -> Result<Stored, Error> {
    use ColumnType as Type;
    let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    Ok(match column.column_type() {
        Type::MYSQL_TYPE_TINY => match (payload.u8()?, unsigned) {
            (number, true) => Stored::Int(number.into()),
            (number, false) => Stored::Int(number.cast_signed().into()),
        },
        Type::MYSQL_TYPE_SHORT | Type::MYSQL_TYPE_YEAR => match (payload.u16()?, unsigned) {
            (number, true) => Stored::Int(number.into()),
            (number, false) => Stored::Int(number.cast_signed().into()),
        },
        Type::MYSQL_TYPE_LONG | Type::MYSQL_TYPE_INT24 => match (payload.u32()?, unsigned) {
            (number, true) => Stored::Int(number.into()),
            (number, false) => Stored::Int(number.cast_signed().into()),
        },
        Type::MYSQL_TYPE_LONGLONG => {
            let number = u64::from_le_bytes(payload.array()?);
            match i64::try_from(number) {
                Err(_) if unsigned => Stored::UInt(number),
                _ => Stored::Int(number.cast_signed()),
            }
        }
        Type::MYSQL_TYPE_FLOAT => Stored::Float(f32::from_le_bytes(payload.array()?)),
        Type::MYSQL_TYPE_DOUBLE => Stored::Double(f64::from_le_bytes(payload.array()?)),
        Type::MYSQL_TYPE_TIMESTAMP
        | Type::MYSQL_TYPE_DATE
        | Type::MYSQL_TYPE_NEWDATE
        | Type::MYSQL_TYPE_DATETIME => date(payload)?,
        Type::MYSQL_TYPE_TIME => time(payload)?,
        Type::MYSQL_TYPE_NULL => Stored::NULL,
        Type::MYSQL_TYPE_STRING
        | Type::MYSQL_TYPE_VAR_STRING
        | Type::MYSQL_TYPE_VARCHAR
        | Type::MYSQL_TYPE_BLOB
        | Type::MYSQL_TYPE_TINY_BLOB
        | Type::MYSQL_TYPE_MEDIUM_BLOB
        | Type::MYSQL_TYPE_LONG_BLOB
        | Type::MYSQL_TYPE_SET
        | Type::MYSQL_TYPE_ENUM
        | Type::MYSQL_TYPE_DECIMAL
        | Type::MYSQL_TYPE_NEWDECIMAL
        | Type::MYSQL_TYPE_BIT
        | Type::MYSQL_TYPE_GEOMETRY
        | Type::MYSQL_TYPE_VECTOR
        | Type::MYSQL_TYPE_JSON => Stored::Bytes(payload.text()?.to_vec()),
        _ => {
            return Err(Error::Protocol(
                "a value is of a type that is not known here",
            ));
        }
    })
}

/// A date, alone, with a time, or with microseconds.
fn date(payload: &mut Payload<'_>) -> Result<Stored, Error> {
    let length = payload.u8()?;
    let mut part = Payload(payload.bytes(length.into())?);
    let (mut date, mut time, mut micros) = ((0, 0, 0), [0; 3], 0);
    if !matches!(length, 0 | 4 | 7 | 11) {
        return Err(Error::Protocol("a date has a length that none has"));
    }
    if length >= 4 {
        date = (part.u16()?, part.u8()?, part.u8()?);
    }
    if length >= 7 {
        time = part.array()?;
    }
    if length == 11 {
        micros = part.u32()?;
    }
    let (year, month, day) = date;
    let [hour, minute, second] = time;
    Ok(Stored::Date(year, month, day, hour, minute, second, micros))
}

/// A span of time, alone or with microseconds.
fn time(payload: &mut Payload<'_>) -> Result<Stored, Error> {
    let length = payload.u8()?;
    let mut part = Payload(payload.bytes(length.into())?);
    if !matches!(length, 0 | 8 | 12) {
        return Err(Error::Protocol("a time has a length that none has"));
    }
    if length == 0 {
        return Ok(Stored::Time(false, 0, 0, 0, 0, 0));
    }
    let negative = part.u8()? == 1;
    let (days, [hour, minute, second]) = (part.u32()?, part.array()?);
    let micros = if length == 12 { part.u32()? } else { 0 };
    Ok(Stored::Time(negative, days, hour, minute, second, micros))
}
