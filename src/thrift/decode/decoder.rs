//! Reads values of the types that the IDL declares.
//!
//! A field that the IDL does not know, or whose wire type differs, is skipped as if it were absent. An element of
//! a different type is an error. An unset field takes its default value, otherwise it is null. A union of a newer IDL
//! leaves a field around it unset (see [`super::complete`]).

use bytes::Bytes;

use super::complete::{Unknown, complete, leave_out};
use crate::idl::{Schema, StructId, Type};
use crate::thrift::budget::Budget;
use crate::thrift::codec::ProtocolReader;
use crate::thrift::error::{WireError, invalid};
use crate::thrift::wire_type::wire_type;
use crate::value::{Record, Text, Value};

/// Memory is reserved for at most this many elements before they are read, whatever count is declared.
pub(super) const RESERVED_MAX: usize = 256;

/// Reads values of one schema from one message.
pub(in crate::thrift) struct Decoder<'s, I> {
    pub(super) schema: &'s Schema,
    pub(super) input: I,
    pub(super) budget: Budget,
    /// The value that was read last contains something unknown, and is not to be used.
    pub(super) unknown: Unknown,
}

impl<'s, I: ProtocolReader> Decoder<'s, I> {
    #[inline]
    pub(super) fn new(schema: &'s Schema, input: I, budget: Budget) -> Self {
        Decoder {
            schema,
            input,
            budget,
            unknown: None,
        }
    }

    /// Reads the struct that is the whole body, and counts its values.
    #[inline]
    pub(super) fn whole(
        &mut self,
        id: StructId,
        values_max: usize,
    ) -> Result<(Value, usize), WireError> {
        let value = self.fields(id, true)?;
        self.end()?;
        self.known()?;
        Ok((value, values_max - self.budget.values))
    }

    /// Refuses a body whose value is unknown.
    pub(super) fn known(&mut self) -> Result<(), WireError> {
        self.unknown.take().map_or(Ok(()), |err| Err(*err))
    }

    /// Reads a struct.
    pub(super) fn record(&mut self, id: StructId) -> Result<Value, WireError> {
        self.fields(id, false)
    }

    fn fields(&mut self, id: StructId, is_outermost: bool) -> Result<Value, WireError> {
        // Of an element of the same list, before this one.
        let before = self.unknown.take();
        let mut unknown = None;
        let mut skipped = false;
        let schema = self.schema;
        let of = schema.get(id);
        self.budget.enter()?;
        self.budget.spend(of.fields.len())?;
        let mut values = vec![Value::Null; of.fields.len()];
        let mut last = 0;
        while let Some((wire, id)) = self.input.field(last)? {
            last = id;
            match of.position_of_id(id) {
                Some(at) if wire_type(&of.fields[at].ty) == wire => {
                    let field = &of.fields[at];
                    self.value(&field.ty, &mut values[at])
                        .map_err(|err| err.inside(&field.name))?;
                    if let Some(err) = self.unknown.take() {
                        unknown = leave_out(*err, (of, is_outermost), at, &mut values).or(unknown);
                    }
                }
                _ => {
                    skipped = true;
                    self.input.skip(wire, &mut self.budget)?;
                }
            }
        }
        if unknown.is_none() {
            unknown = complete(of, &mut values, skipped, &mut self.budget)?;
        }
        self.unknown = unknown.or(before);
        self.budget.leave();
        Ok(Value::Record(Record {
            names: of.names.clone(),
            values,
        }))
    }

    /// Reads a value into `place`. Returning it instead would copy it at every level.
    #[inline]
    pub(super) fn value(&mut self, ty: &Type, place: &mut Value) -> Result<(), WireError> {
        *place = match ty {
            Type::Bool => Value::Bool(self.input.bool()?),
            Type::I8 => Value::I64(self.input.i8()?.into()),
            Type::I16 => Value::I64(self.input.i16()?.into()),
            Type::I32 | Type::Enum(_) => Value::I64(self.input.i32()?.into()),
            Type::I64 => Value::I64(self.input.i64()?),
            Type::Double => Value::Double(self.input.double()?),
            Type::String => Value::Text(text(self.input.bytes()?)?),
            Type::Binary => Value::Bytes(self.input.bytes()?),
            Type::Uuid => Value::Uuid(self.input.uuid()?),
            Type::Struct(id) => self.record(*id)?,
            Type::List(of) | Type::Set(of) => self.list(of)?,
            Type::Map(key, value) => self.map(key, value)?,
            Type::Any => self.any()?,
        };
        Ok(())
    }

    /// Reads the head of a list or set, pays for the elements, and returns their count.
    #[inline]
    pub(super) fn list_head(&mut self, of: &Type) -> Result<usize, WireError> {
        let (wire, count) = self.input.list()?;
        if count > 0 && wire != wire_type(of) {
            return Err(self.wrong_element(of));
        }
        self.budget.enter()?;
        self.budget.spend(count)?;
        Ok(count)
    }

    fn list(&mut self, of: &Type) -> Result<Value, WireError> {
        let count = self.list_head(of)?;
        let mut values = Vec::with_capacity(count.min(RESERVED_MAX));
        for _ in 0..count {
            self.value(of, values.push_mut(Value::Null))?;
        }
        self.budget.leave();
        Ok(Value::List(values))
    }

    fn map(&mut self, key: &Type, value: &Type) -> Result<Value, WireError> {
        if Self::is_any_map(key, value) {
            return self.any_map();
        }
        let count = self.map_head(key, value)?;
        let mut pairs = Vec::with_capacity(count.min(RESERVED_MAX));
        for _ in 0..count {
            let (key_place, value_place) = pairs.push_mut((Value::Null, Value::Null));
            self.value(key, key_place)?;
            self.value(value, value_place)?;
        }
        self.budget.leave();
        Ok(Value::Map(pairs))
    }

    /// Whether a map is written as the `map_value` of a `tributary.Value`.
    pub(super) fn is_any_map(key: &Type, value: &Type) -> bool {
        (key, value) == (&Type::String, &Type::Any)
    }

    /// Reads the head of a map, pays for keys and values, and returns the count of pairs.
    #[inline]
    pub(super) fn map_head(&mut self, key: &Type, value: &Type) -> Result<usize, WireError> {
        let (key_wire, value_wire, count) = self.input.map()?;
        if count > 0 && key_wire != wire_type(key) {
            return Err(self.wrong_element(key));
        }
        if count > 0 && value_wire != wire_type(value) {
            return Err(self.wrong_element(value));
        }
        self.budget.enter()?;
        self.budget.spend(count.saturating_mul(2))?;
        Ok(count)
    }

    /// Refuses bytes after the struct.
    pub(super) fn end(&self) -> Result<(), WireError> {
        match self.input.remaining() {
            0 => Ok(()),
            bytes => Err(invalid(format!(
                "{bytes} bytes follow the end of the message"
            ))),
        }
    }

    #[cold]
    fn wrong_element(&self, ty: &Type) -> WireError {
        invalid(format!(
            "the elements are not of type {}",
            self.schema.describe(ty)
        ))
    }
}

/// Text from UTF-8 bytes.
#[inline]
pub(super) fn text(bytes: Bytes) -> Result<Text, WireError> {
    Text::from_utf8(bytes).map_err(|_| invalid("text is not UTF-8"))
}
