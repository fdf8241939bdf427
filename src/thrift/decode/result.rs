//! Reads what a reply holds: a method's result, one field of a struct, or an application error.

use bytes::Bytes;

use super::decoder::Decoder;
use crate::idl::{Schema, Type};
use crate::thrift::codec::{Codec, ProtocolReader};
use crate::thrift::error::{WireError, invalid};
use crate::thrift::limits::Limits;
use crate::thrift::protocol::{Protocol, with_codec};
use crate::thrift::wire_type::wire_type;
use crate::value::{Text, Value};

/// The field of `fields` that the result in `body` has set; `None` if a `void` method returned. It is an error if
/// only other fields are set, or fields of other types: they may be exceptions of a newer IDL.
pub fn decode_result(
    schema: &Schema,
    fields: &[(i16, &Type)],
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<Option<(i16, Value)>, WireError> {
    with_codec!(protocol, C => Decoder::new(schema, C::reader(body), limits.budget()).result(fields))
}

/// The field `id` of the struct in `body`, if it is set and has type `ty`, which must not contain a struct. Fields
/// before it are skipped; bytes after it are not read.
pub fn decode_field(
    id: i16,
    ty: &Type,
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<Option<Value>, WireError> {
    let schema = &Schema::default();
    with_codec!(protocol, C => Decoder::new(schema, C::reader(body), limits.budget()).only(id, ty))
}

/// Whether the first field in `body` is field 0, a method's result, without reading its value.
pub(crate) fn starts_with_result(protocol: Protocol, body: &Bytes) -> bool {
    let first = with_codec!(protocol, C => C::reader(body).field(0));
    matches!(first, Ok(Some((_, 0))))
}

/// Kind and message of the application error in `body`.
pub fn decode_application_error(
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<(i32, Text), WireError> {
    let schema = &Schema::default();
    with_codec!(protocol, C => {
        Decoder::new(schema, C::reader(body), limits.budget()).application_error()
    })
}

impl<I: ProtocolReader> Decoder<'_, I> {
    fn result(mut self, fields: &[(i16, &Type)]) -> Result<Option<(i16, Value)>, WireError> {
        self.budget.enter()?;
        let (mut found, mut unknown) = (None, None);
        let mut last = 0;
        while let Some((wire, id)) = self.input.field(last)? {
            last = id;
            match fields.iter().find(|(have, _)| *have == id) {
                Some((_, ty)) if wire_type(ty) == wire && found.is_none() => {
                    let (_, place) = found.insert((id, Value::Null));
                    self.value(ty, place)?;
                }
                _ => {
                    unknown = Some((id, wire));
                    self.input.skip(wire, &mut self.budget)?;
                }
            }
        }
        self.end()?;
        self.known()?;
        match (found, unknown) {
            (None, Some((id, wire))) => Err(invalid(format!(
                "the result is field {id} of type {wire}, which the IDL does not declare"
            ))),
            (found, _) => Ok(found),
        }
    }

    /// The field `wanted`, if it is set and has type `ty`.
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
                // The message may quote arbitrary bytes; a damaged message is better than none.
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
}
