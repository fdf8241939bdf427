//! Reads values as the types of the IDL say.
//!
//! In: the bytes of a message's body. Out: one value, whose strings are slices of the message. A field that the
//! IDL does not know, or whose wire type is another, is stepped over as if it were not there; an element of
//! another type is an error. What is not set takes its default, else it is null.

use bytes::Bytes;

use super::error::invalid;
use super::limits::Budget;
use super::{BinaryInput, CompactInput, Input, Limits, Protocol, WireError, wire_type};
use crate::idl::{Kind, Requiredness, Schema, StructId, StructType, Type};
use crate::value::{Record, Text, Value};

/// No more elements are reserved before they are read: what is declared is not yet there.
pub(super) const RESERVED_MAX: usize = 256;

/// The struct `id` that `body` holds and nothing after it, as a record.
pub fn decode_struct(
    schema: &Schema,
    id: StructId,
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<Value, WireError> {
    decode_struct_counted(schema, id, protocol, body, limits).map(|(value, _)| value)
}

/// As [`decode_struct`]; says also how many values the message had, as `values_max` counts them.
pub fn decode_struct_counted(
    schema: &Schema,
    id: StructId,
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<(Value, usize), WireError> {
    fn read(
        input: impl Input,
        schema: &Schema,
        id: StructId,
        limits: &Limits,
    ) -> Result<(Value, usize), WireError> {
        let mut decoder = Decoder {
            schema,
            input,
            budget: Budget::new(limits),
        };
        let value = decoder.record(id)?;
        decoder.end()?;
        Ok((value, limits.values_max - decoder.budget.values))
    }
    match protocol {
        Protocol::Compact => read(CompactInput::new(body), schema, id, limits),
        // They differ in the head alone.
        Protocol::Binary | Protocol::BinaryOld => {
            read(BinaryInput::new(body, true), schema, id, limits)
        }
    }
}

/// The one of `fields` that the result in `body` has set; `None` is what a `void` method returns. One that has only
/// a field that is none of these, or of another type, is an error: it may be an exception of a newer IDL.
pub fn decode_result(
    schema: &Schema,
    fields: &[(i16, &Type)],
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<Option<(i16, Value)>, WireError> {
    let budget = Budget::new(limits);
    match protocol {
        Protocol::Compact => Decoder {
            schema,
            input: CompactInput::new(body),
            budget,
        }
        .result(fields),
        Protocol::Binary | Protocol::BinaryOld => Decoder {
            schema,
            input: BinaryInput::new(body, true),
            budget,
        }
        .result(fields),
    }
}

/// The field `id` of the struct that `body` holds, if it is set and of type `ty`, which refers to no struct. What stands
/// before it is stepped over, what comes after is not looked at.
pub fn decode_field(
    id: i16,
    ty: &Type,
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<Option<Value>, WireError> {
    let schema = &Schema::default();
    let budget = Budget::new(limits);
    match protocol {
        Protocol::Compact => Decoder {
            schema,
            input: CompactInput::new(body),
            budget,
        }
        .only(id, ty),
        Protocol::Binary | Protocol::BinaryOld => Decoder {
            schema,
            input: BinaryInput::new(body, true),
            budget,
        }
        .only(id, ty),
    }
}

/// The kind and the message of the application error in `body`.
pub fn decode_application_error(
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<(i32, Text), WireError> {
    let schema = &Schema::default();
    let budget = Budget::new(limits);
    match protocol {
        Protocol::Compact => Decoder {
            schema,
            input: CompactInput::new(body),
            budget,
        }
        .application_error(),
        Protocol::Binary | Protocol::BinaryOld => Decoder {
            schema,
            input: BinaryInput::new(body, true),
            budget,
        }
        .application_error(),
    }
}

/// Reads values of one schema from one message.
pub(super) struct Decoder<'s, I> {
    pub(super) schema: &'s Schema,
    pub(super) input: I,
    pub(super) budget: Budget,
}

impl<'s, I: Input> Decoder<'s, I> {
    pub(super) fn new(schema: &'s Schema, input: I, budget: Budget) -> Self {
        Decoder {
            schema,
            input,
            budget,
        }
    }

    fn record(&mut self, id: StructId) -> Result<Value, WireError> {
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
                }
                _ => self.input.skip(wire, &mut self.budget)?,
            }
        }
        complete(of, &mut values, &mut self.budget)?;
        self.budget.leave();
        Ok(Value::Record(Record {
            names: of.names.clone(),
            values,
        }))
    }

    /// Reads a value into its place: one that is handed up by value is copied at every level.
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

    /// The count of a list's or a set's elements, which are paid for.
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

    /// It stands on the wire as a list of entries.
    pub(super) fn is_any_map(key: &Type, value: &Type) -> bool {
        (key, value) == (&Type::String, &Type::Any)
    }

    /// The count of a map's pairs, which are paid for.
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

    fn result(mut self, fields: &[(i16, &Type)]) -> Result<Option<(i16, Value)>, WireError> {
        self.budget.enter()?;
        let (mut found, mut strange) = (None, None);
        let mut last = 0;
        while let Some((wire, id)) = self.input.field(last)? {
            last = id;
            match fields.iter().find(|(have, _)| *have == id) {
                Some((_, ty)) if wire_type(ty) == wire && found.is_none() => {
                    let (_, place) = found.insert((id, Value::Null));
                    self.value(ty, place)?;
                }
                _ => {
                    strange = Some((id, wire));
                    self.input.skip(wire, &mut self.budget)?;
                }
            }
        }
        self.end()?;
        match (found, strange) {
            (None, Some((id, wire))) => Err(invalid(format!(
                "the result is field {id} of type {wire}, which the IDL does not have"
            ))),
            (found, _) => Ok(found),
        }
    }

    fn only(mut self, wanted: i16, ty: &Type) -> Result<Option<Value>, WireError> {
        self.budget.enter()?;
        let mut last = 0;
        while let Some((wire, id)) = self.input.field(last)? {
            last = id;
            if id == wanted && wire == wire_type(ty) {
                let mut value = Value::Null;
                self.value(ty, &mut value)?;
                return Ok(Some(value));
            }
            self.input.skip(wire, &mut self.budget)?;
        }
        Ok(None)
    }

    fn application_error(mut self) -> Result<(i32, Text), WireError> {
        let fields = [(1, &Type::String), (2, &Type::I32)];
        self.budget.enter()?;
        let (mut kind, mut message) = (0, Text::default());
        let mut last = 0;
        while let Some((wire, id)) = self.input.field(last)? {
            last = id;
            match fields
                .iter()
                .find(|(have, ty)| *have == id && wire_type(ty) == wire)
            {
                // The message may quote anything; better a part of it than none.
                Some((1, _)) => {
                    message = String::from_utf8_lossy(&self.input.bytes()?)
                        .into_owned()
                        .into();
                }
                Some(_) => kind = self.input.i32()?,
                None => self.input.skip(wire, &mut self.budget)?,
            }
        }
        self.end()?;
        Ok((kind, message))
    }

    /// Nothing may come after the struct.
    pub(super) fn end(&self) -> Result<(), WireError> {
        match self.input.remaining() {
            0 => Ok(()),
            bytes => Err(invalid(format!(
                "{bytes} bytes come after the end of the message"
            ))),
        }
    }

    #[cold]
    fn wrong_element(&self, ty: &Type) -> WireError {
        invalid(format!(
            "the elements are of another type than {}",
            self.schema.describe(ty)
        ))
    }
}

/// Puts defaults where nothing was set, and checks that what must be set is.
#[inline]
pub(super) fn complete(
    of: &StructType,
    values: &mut [Value],
    budget: &mut Budget,
) -> Result<(), WireError> {
    if of.kind == Kind::Union {
        return match values.iter().filter(|value| !value.is_null()).count() {
            1 => Ok(()),
            set => Err(invalid(format!(
                "{set} fields of union `{}` are set",
                of.name
            ))),
        };
    }
    for (field, value) in of.fields.iter().zip(values) {
        if value.is_null() {
            if field.requiredness == Requiredness::Required {
                return Err(invalid(format!(
                    "required field `{}` of `{}` is missing",
                    field.name, of.name
                )));
            }
            if let Some(default) = &field.default {
                // The default itself was paid for with its field, what it holds was not.
                budget.spend(held(default))?;
                *value = default.clone();
            }
        }
    }
    Ok(())
}

/// How many values `value` holds.
fn held(value: &Value) -> usize {
    let each = |value: &Value| 1 + held(value);
    match value {
        Value::List(items) => items.iter().map(each).sum(),
        Value::Record(record) => record.values.iter().map(each).sum(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| each(key) + each(value))
            .sum(),
        _ => 0,
    }
}

#[inline]
pub(super) fn text(bytes: Bytes) -> Result<Text, WireError> {
    Text::from_utf8(bytes).map_err(|_| invalid("text is not UTF-8"))
}
