//! Turns the body of a message into a value, as the types of the IDL say. Strings are slices of the message.

mod any; // `tributary.Value`
mod complete; // defaults and required fields
mod decoder; // values of every other type
mod incremental; // structs of many values, in slices of the loop's time
mod result; // what a reply holds

use bytes::Bytes;

use super::codec::Codec;
use super::error::WireError;
use super::limits::Limits;
use super::protocol::{Protocol, with_codec};
use crate::idl::{Schema, StructId};
use crate::value::Value;
use decoder::Decoder;

pub(crate) use incremental::decode_struct_sliced;
pub(crate) use result::starts_with_result;
pub use result::{decode_application_error, decode_field, decode_result};

/// The struct `id` in `body` as a record. Bytes after it are an error.
pub fn decode_struct(
    schema: &Schema,
    id: StructId,
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<Value, WireError> {
    decode_struct_counted(schema, id, protocol, body, limits).map(|(value, _)| value)
}

/// Like [`decode_struct`]. Also returns how many values the message had, counted as for `values_max`.
pub fn decode_struct_counted(
    schema: &Schema,
    id: StructId,
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
) -> Result<(Value, usize), WireError> {
    with_codec!(protocol, C => {
        let mut decoder = Decoder::new(schema, C::reader(body), limits.budget());
        decoder.whole(id, limits.values_max)
    })
}
