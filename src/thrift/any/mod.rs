//! `tributary.Value`: a value of any type, which says itself what it is.
//!
//! On the wire it is a union; here it is the value itself, read and written without a record for each union. Which
//! field stands for what is fixed by the standard include, which never renumbers. What a value alone can't say (an
//! enum's name, a map without pairs) is for the caller to put in before it is written.

use thrift::protocol::TType;

use super::decode::{Decoder, RESERVED_MAX, text};
use super::encode::{Encoder, length_of};
use super::error::invalid;
use super::{Input, Output, WireError};
use crate::idl::Type;
use crate::value::{Record, Text, Value, uuid_text};

/// The ids of the union's fields.
const NULL: i16 = 1;
const BOOL: i16 = 2;
const I64: i16 = 3;
const DOUBLE: i16 = 4;
const STRING: i16 = 5;
const BINARY: i16 = 6;
const LIST: i16 = 7;
const MAP: i16 = 8;

impl<I: Input> Decoder<'_, I> {
    /// One value. Unlike in a struct, a field that is not known is an error: whatever it held would be lost.
    pub(super) fn any(&mut self) -> Result<Value, WireError> {
        self.budget.enter()?;
        let Some((wire, id)) = self.input.field(0)? else {
            return Err(invalid(
                "a `tributary.Value` of which no field is set; null is `null_value`",
            ));
        };
        let value = match (id, wire) {
            (NULL, TType::Struct) => {
                self.input.skip(wire, &mut self.budget)?;
                Value::Null
            }
            (BOOL, TType::Bool) => Value::Bool(self.input.bool()?),
            (I64, TType::I64) => Value::I64(self.input.i64()?),
            (DOUBLE, TType::Double) => Value::Double(self.input.double()?),
            (STRING, TType::String) => Value::Text(text(self.input.bytes()?)?),
            (BINARY, TType::String) => Value::Bytes(self.input.bytes()?),
            (LIST, TType::List) => self.any_list()?,
            (MAP, TType::Map) => self.any_map()?,
            _ => {
                return Err(invalid(format!(
                    "a `tributary.Value` has no field {id} of type {wire}"
                )));
            }
        };
        if self.input.field(id)?.is_some() {
            return Err(invalid(
                "a `tributary.Value` of which several fields are set",
            ));
        }
        self.budget.leave();
        Ok(value)
    }

    fn any_list(&mut self) -> Result<Value, WireError> {
        let (wire, count) = self.input.list()?;
        if count > 0 && wire != TType::Struct {
            return Err(invalid("the elements of a `list_value` are no Values"));
        }
        self.budget.enter()?;
        self.budget.spend(count)?;
        let mut values = Vec::with_capacity(count.min(RESERVED_MAX));
        for at in 0..count {
            let value = self.any();
            values.push(value.map_err(|err| err.within(&format!("element {at}")))?);
        }
        self.budget.leave();
        Ok(Value::List(values))
    }

    pub(super) fn any_map(&mut self) -> Result<Value, WireError> {
        let (key_wire, value_wire, count) = self.input.map()?;
        if count > 0 && (key_wire, value_wire) != (TType::String, TType::Struct) {
            return Err(invalid(
                "the pairs of a `map_value` are no strings and Values",
            ));
        }
        self.budget.enter()?;
        self.budget.spend(count.saturating_mul(2))?;
        let mut pairs = Vec::with_capacity(count.min(RESERVED_MAX));
        for at in 0..count {
            let key = text(self.input.bytes()?)?;
            let value = self.any();
            let value = value.map_err(|err| err.within(&format!("pair {at}")))?;
            pairs.push((Value::Text(key), value));
        }
        self.budget.leave();
        Ok(Value::Map(pairs))
    }
}

impl<O: Output> Encoder<'_, O> {
    /// One value, whatever it is. Of a record the fields that are null are left out; a map with keys that are no
    /// text becomes a list of pairs.
    pub(super) fn any(&mut self, value: &Value) -> Result<(), WireError> {
        match value {
            Value::Null => {
                self.output.field(TType::Struct, 0, NULL);
                self.output.stop();
            }
            Value::Bool(bit) => self.output.bool_field(0, BOOL, *bit),
            Value::I64(number) => self.output.i64_field(0, I64, *number),
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

#[cfg(test)]
mod tests;
