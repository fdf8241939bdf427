//! Writes values as the types of the IDL say.
//!
//! Callers have made the values fit their types. A value that does not fit is a bug and ends in `server.internal`;
//! nothing is converted here.

mod any; // `tributary.Value`

use thrift::protocol::TType;

use super::budget::DEPTH_CEILING;
use super::codec::{Appendix, ProtocolWriter};
use super::error::{WireError, internal};
use super::wire_type::wire_type;
use crate::idl::{Field, Requiredness, Schema, StructId, StructKind, Type};
use crate::value::{Record, Value};

/// Writes values of one schema to one message.
pub(crate) struct Encoder<'s, O> {
    schema: &'s Schema,
    pub(super) output: O,
    /// How many more levels values may be nested.
    depth: usize,
}

impl<'s, O: ProtocolWriter> Encoder<'s, O> {
    pub(crate) fn new(schema: &'s Schema, output: O) -> Self {
        Encoder {
            schema,
            output,
            depth: DEPTH_CEILING,
        }
    }

    /// Writes a struct of the fields that are set.
    pub(crate) fn fields(mut self, fields: &[(i16, &Type, &Value)]) -> Result<(), WireError> {
        let mut last = 0;
        for &(id, ty, value) in fields {
            // A null of type `tributary.Value` is written.
            if !value.is_null() || *ty == Type::Any {
                self.field(&mut last, id, ty, value)?;
            }
        }
        self.output.stop();
        Ok(())
    }

    /// Writes a result that is a struct; the struct may have one more field, which writes itself.
    pub(crate) fn result(
        mut self,
        id: StructId,
        value: &Value,
        last: Option<(i16, &dyn Appendix)>,
    ) -> Result<(), WireError> {
        let Value::Record(record) = value else {
            return Err(internal(format!(
                "found {}, expected a record",
                value.kind()
            )));
        };
        self.output.field(TType::Struct, 0, 0);
        self.record(id, record, last)?;
        self.output.stop();
        Ok(())
    }

    /// Writes a struct that is the whole body.
    pub(crate) fn whole(mut self, id: StructId, value: &Value) -> Result<(), WireError> {
        self.value(&Type::Struct(id), value)
    }

    fn record(
        &mut self,
        id: StructId,
        record: &Record,
        extra: Option<(i16, &dyn Appendix)>,
    ) -> Result<(), WireError> {
        let of = self.schema.get(id);
        if record.values.len() != of.fields.len() {
            return Err(internal(format!(
                "a record has {} values, but `{}` has {} fields",
                record.values.len(),
                of.name,
                of.fields.len()
            )));
        }
        let mut last = 0;
        let mut set = 0;
        for (field, value) in of.fields.iter().zip(&record.values) {
            if value.is_null() {
                let comes = extra.is_some_and(|(id, _)| id == field.id);
                if field.requiredness == Requiredness::Required && !comes {
                    return Err(internal(format!(
                        "required field `{}` of `{}` is not set",
                        field.name, of.name
                    )));
                }
                continue;
            }
            set += 1;
            self.named_field(&mut last, field, value)?;
        }
        if of.kind == StructKind::Union && set != 1 {
            return Err(internal(format!(
                "{set} fields of union `{}` are set",
                of.name
            )));
        }
        if let Some((id, appendix)) = extra {
            self.output.field(TType::Struct, last, id);
            self.output.appendix(appendix);
        }
        self.output.stop();
        Ok(())
    }

    #[inline]
    fn named_field(
        &mut self,
        last: &mut i16,
        field: &Field,
        value: &Value,
    ) -> Result<(), WireError> {
        self.field(last, field.id, &field.ty, value)
            .map_err(|err| err.inside(&field.name))
    }

    #[inline]
    fn field(
        &mut self,
        last: &mut i16,
        id: i16,
        ty: &Type,
        value: &Value,
    ) -> Result<(), WireError> {
        match (ty, value) {
            (Type::Bool, Value::Bool(bit)) => self.output.bool_field(*last, id, *bit),
            (Type::I64, Value::I64(number)) => self.output.i64_field(*last, id, *number),
            (Type::String | Type::Binary, Value::Text(text)) => {
                let bytes = text.as_bytes();
                let length = length_of(bytes.len())?;
                self.output.bytes_field(*last, id, bytes, length);
            }
            (Type::String | Type::Binary, Value::Bytes(bytes)) => {
                let length = length_of(bytes.len())?;
                self.output.bytes_field(*last, id, bytes, length);
            }
            _ => {
                self.output.field(wire_type(ty), *last, id);
                self.value(ty, value)?;
            }
        }
        *last = id;
        Ok(())
    }

    fn value(&mut self, ty: &Type, value: &Value) -> Result<(), WireError> {
        match (ty, value) {
            (Type::Bool, Value::Bool(bit)) => self.output.bool(*bit),
            (Type::I8, Value::I64(number)) => self.output.i8(narrow(*number)?),
            (Type::I16, Value::I64(number)) => self.output.i16(narrow(*number)?),
            (Type::I32 | Type::Enum(_), Value::I64(number)) => self.output.i32(narrow(*number)?),
            (Type::I64, Value::I64(number)) => self.output.i64(*number),
            (Type::Double, Value::Double(number)) => self.output.double(*number),
            (Type::String | Type::Binary, Value::Text(text)) => {
                let bytes = text.as_bytes();
                self.output.bytes(bytes, length_of(bytes.len())?);
            }
            (Type::String | Type::Binary, Value::Bytes(bytes)) => {
                self.output.bytes(bytes, length_of(bytes.len())?);
            }
            (Type::Uuid, Value::Uuid(uuid)) => self.output.uuid(uuid),
            _ => return self.nested(ty, value),
        }
        Ok(())
    }

    /// Writes a struct or container.
    pub(super) fn nested(&mut self, ty: &Type, value: &Value) -> Result<(), WireError> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(internal(format!(
                "values are nested deeper than {DEPTH_CEILING}"
            )));
        };
        self.depth = depth;
        match (ty, value) {
            (Type::Struct(id), Value::Record(record)) => self.record(*id, record, None)?,
            (Type::Any, value) => self.any(value)?,
            (Type::List(of) | Type::Set(of), Value::List(values)) => {
                self.output.list(wire_type(of), length_of(values.len())?);
                for value in values {
                    self.value(of, value)?;
                }
            }
            (Type::Map(key_type, value_type), Value::Map(pairs)) => {
                let count = length_of(pairs.len())?;
                self.output
                    .map(wire_type(key_type), wire_type(value_type), count);
                for (key, value) in pairs {
                    self.value(key_type, key)?;
                    self.value(value_type, value)?;
                }
            }
            _ => {
                return Err(internal(format!(
                    "found {}, expected {}",
                    value.kind(),
                    self.schema.describe(ty)
                )));
            }
        }
        self.depth += 1;
        Ok(())
    }
}

/// A length or count that an `i32` can declare.
#[inline]
pub(crate) fn length_of(length: usize) -> Result<u32, WireError> {
    match i32::try_from(length) {
        Ok(length) => Ok(length.cast_unsigned()),
        Err(_) => Err(internal(format!("a size of {length} cannot be declared"))),
    }
}

#[inline]
fn narrow<N: TryFrom<i64>>(number: i64) -> Result<N, WireError> {
    N::try_from(number).map_err(|_| internal(format!("{number} is out of range for its type")))
}
