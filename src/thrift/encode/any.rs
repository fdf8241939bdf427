//! Writes `tributary.Value`: the union becomes the value itself, whatever its type.
//!
//! What a value does not know about itself (the name of an enum's number, the type of an empty map) is filled in by
//! the caller before it is written.

use thrift::protocol::TType;

use super::{Encoder, length_of};
use crate::idl::Type;
use crate::thrift::any_value::{BINARY, BOOL, DOUBLE, I64, LIST, MAP, NULL, STRING};
use crate::thrift::codec::ProtocolWriter;
use crate::thrift::error::WireError;
use crate::value::{Record, Text, Value, uuid_text};

impl<O: ProtocolWriter> Encoder<'_, O> {
    /// Writes one value of any type. Null fields of a record are omitted. A map whose keys are not text becomes
    /// a list of pairs.
    pub(super) fn any(&mut self, value: &Value) -> Result<(), WireError> {
        match value {
            Value::Null => {
                self.output.field(TType::Struct, 0, NULL);
                self.output.stop();
            }
            Value::Bool(bit) => self.output.bool_field(0, BOOL, *bit),
            Value::I64(number) => self.output.i64_field(0, I64, *number),
            Value::Enum(of) => self.output.i64_field(0, I64, of.number),
            Value::Double(number) => {
                self.output.field(TType::Double, 0, DOUBLE);
                self.output.double(*number);
            }
            Value::Text(text) => self.any_bytes(STRING, text.as_bytes())?,
            Value::Bytes(bytes) => self.any_bytes(BINARY, bytes)?,
            Value::Uuid(uuid) => self.any_bytes(STRING, uuid_text(uuid).as_bytes())?,
            Value::List(values) => {
                self.output.field(TType::List, 0, LIST);
                self.output.list(TType::Struct, length_of(values.len())?);
                for value in values {
                    self.nested(&Type::Any, value)?;
                }
            }
            Value::Map(pairs) => {
                let keyed = pairs.iter().map(|(key, value)| match key {
                    Value::Text(key) => Some((key, value)),
                    _ => None,
                });
                match keyed.collect::<Option<Vec<(&Text, &Value)>>>() {
                    Some(pairs) => {
                        self.any_map(pairs.len())?;
                        for (key, value) in pairs {
                            self.pair(key.as_bytes(), value)?;
                        }
                    }
                    None => return self.any(&Value::entries(pairs.clone())),
                }
            }
            Value::Record(record) => self.any_record(record)?,
        }
        self.output.stop();
        Ok(())
    }

    fn any_record(&mut self, record: &Record) -> Result<(), WireError> {
        let set = || {
            let pairs = record.names.iter().zip(&record.values);
            pairs.filter(|(_, value)| !value.is_null())
        };
        self.any_map(set().count())?;
        for (name, value) in set() {
            self.pair(name.as_bytes(), value)?;
        }
        Ok(())
    }

    fn any_bytes(&mut self, id: i16, bytes: &[u8]) -> Result<(), WireError> {
        let length = length_of(bytes.len())?;
        self.output.bytes_field(0, id, bytes, length);
        Ok(())
    }

    fn any_map(&mut self, count: usize) -> Result<(), WireError> {
        self.output.field(TType::Map, 0, MAP);
        let count = length_of(count)?;
        self.output.map(TType::String, TType::Struct, count);
        Ok(())
    }

    fn pair(&mut self, key: &[u8], value: &Value) -> Result<(), WireError> {
        self.output.bytes(key, length_of(key.len())?);
        self.nested(&Type::Any, value)
    }
}
