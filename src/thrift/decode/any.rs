//! Reads `tributary.Value`: the union becomes the value itself, without a record around it.

use thrift::protocol::TType;

use super::decoder::{Decoder, RESERVED_MAX, text};
use crate::thrift::any_value::{BINARY, BOOL, DOUBLE, I64, LIST, MAP, NULL, STRING};
use crate::thrift::codec::ProtocolReader;
use crate::thrift::error::{WireError, invalid};
use crate::value::Value;

impl<I: ProtocolReader> Decoder<'_, I> {
    /// Reads one value. A value of an unknown field is unknown itself, unlike a field of a struct that is skipped.
    pub(super) fn any(&mut self) -> Result<Value, WireError> {
        self.budget.enter()?;
        let Some((wire, id)) = self.input.field(0)? else {
            return Err(invalid(
                "a `tributary.Value` has no field set; null is `null_value`",
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
                self.input.skip(wire, &mut self.budget)?;
                self.unknown = Some(Box::new(invalid(format!(
                    "a `tributary.Value` has no field {id} of type {wire}"
                ))));
                Value::Null
            }
        };
        if self.input.field(id)?.is_some() {
            return Err(invalid("a `tributary.Value` has several fields set"));
        }
        self.budget.leave();
        Ok(value)
    }

    fn any_list(&mut self) -> Result<Value, WireError> {
        let (wire, count) = self.input.list()?;
        if count > 0 && wire != TType::Struct {
            return Err(invalid(
                "the elements of a `list_value` are not `tributary.Value`",
            ));
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
                "the pairs of a `map_value` are not strings and `tributary.Value`",
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
