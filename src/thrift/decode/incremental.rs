//! Reads a struct of many values in slices of the loop's time; other tasks run in between.
//!
//! Input and output are those of [`super::decode_struct_counted`]. Open structs and containers are kept on an
//! explicit stack, so that reading can stop anywhere; values that hold no others are read by the ordinary
//! decoder. If reading fails, the values read so far are dropped in slices too.

use bytes::Bytes;

use super::complete::{Unknown, complete, leave_out};
use super::decoder::{Decoder, RESERVED_MAX};
use crate::coop::{Coop, VALUES};
use crate::idl::{Schema, StructId, StructType, Type};
use crate::thrift::codec::{Codec, ProtocolReader};
use crate::thrift::error::{WireError, too_many_values};
use crate::thrift::limits::Limits;
use crate::thrift::protocol::{Protocol, with_codec};
use crate::thrift::wire_type::wire_type;
use crate::value::{Record, Value};

/// Like [`super::decode_struct_counted`], in slices of `coop`. After each slice `paid` gets the number of values so
/// far and says whether that many are allowed.
pub(crate) async fn decode_struct_sliced(
    (schema, id): (&Schema, StructId),
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
    (coop, paid): (&Coop, impl FnMut(usize) -> bool),
) -> Result<(Value, usize), WireError> {
    with_codec!(protocol, C => {
        let decoder = Decoder::new(schema, C::reader(body), limits.budget());
        read(decoder, id, coop, paid).await
    })
}

async fn read<I: ProtocolReader>(
    mut decoder: Decoder<'_, I>,
    id: StructId,
    coop: &Coop,
    mut paid: impl FnMut(usize) -> bool,
) -> Result<(Value, usize), WireError> {
    let values_max = decoder.budget.values;
    let mut reading = Reading {
        coop,
        open: Vec::new(),
    };
    let outermost = Container::record(&mut decoder, id)?;
    reading.open.push(Open::new(outermost));
    loop {
        {
            let _slice = coop.slice().await;
            for _ in 0..VALUES {
                if let Some(value) = reading.step(&mut decoder)? {
                    decoder.end()?;
                    decoder.known()?;
                    return Ok((value, values_max - decoder.budget.values));
                }
            }
        }
        if !paid(values_max - decoder.budget.values) {
            return Err(too_many_values());
        }
    }
}

/// A struct that is being read.
struct Reading<'s, 'p> {
    coop: &'p Coop,
    /// The open structs and containers, outermost first.
    open: Vec<Open<'s>>,
}

struct Open<'s> {
    container: Container<'s>,
    /// It contains something unknown.
    unknown: Unknown,
}

impl<'s> Open<'s> {
    fn new(container: Container<'s>) -> Self {
        Open {
            container,
            unknown: None,
        }
    }
}

/// A struct or container that is being read.
enum Container<'s> {
    Record {
        of: &'s StructType,
        values: Vec<Value>,
        last: i16,
        /// Whether it had fields that the IDL does not have.
        skipped: bool,
        /// Where the field being read stands.
        at: Option<usize>,
    },
    List {
        of: &'s Type,
        left: usize,
        values: Vec<Value>,
    },
    /// While `has_key` is set, the last pair has only its key.
    Map {
        key: &'s Type,
        value: &'s Type,
        left: usize,
        pairs: Vec<(Value, Value)>,
        has_key: bool,
    },
}

impl<'s> Reading<'s, '_> {
    /// Reads one value, or opens or closes a struct or container. Returns the outermost struct when it is complete.
    fn step<I: ProtocolReader>(
        &mut self,
        decoder: &mut Decoder<'s, I>,
    ) -> Result<Option<Value>, WireError> {
        match self.advance(decoder) {
            // Name the field that each open struct is at, innermost first.
            Err(err) => Err(self
                .open
                .iter()
                .rev()
                .fold(err, |err, open| match &open.container {
                    Container::Record {
                        of, at: Some(at), ..
                    } => err.inside(&of.fields[*at].name),
                    _ => err,
                })),
            advanced => advanced,
        }
    }

    fn advance<I: ProtocolReader>(
        &mut self,
        decoder: &mut Decoder<'s, I>,
    ) -> Result<Option<Value>, WireError> {
        let Some(top) = self.open.last_mut() else {
            return Ok(Some(Value::Null));
        };
        let Some(ty) = top.container.next(decoder)? else {
            return self.close(decoder);
        };
        let opened = match ty {
            Type::Struct(id) => Container::record(decoder, *id)?,
            Type::List(of) | Type::Set(of) => Container::list(decoder, of)?,
            Type::Map(key, value) if !Decoder::<I>::is_any_map(key, value) => {
                Container::map(decoder, key, value)?
            }
            _ => {
                decoder.value(ty, top.container.place())?;
                self.filled(decoder);
                return Ok(None);
            }
        };
        self.open.push(Open::new(opened));
        Ok(None)
    }

    /// Closes the innermost container, which is complete.
    fn close<I: ProtocolReader>(
        &mut self,
        decoder: &mut Decoder<'s, I>,
    ) -> Result<Option<Value>, WireError> {
        if let Some(Open { container, unknown }) = self.open.last_mut() {
            if let (
                Container::Record {
                    of,
                    values,
                    skipped,
                    ..
                },
                None,
            ) = (container, &unknown)
            {
                *unknown = complete(of, values, *skipped, &mut decoder.budget)?;
            }
            decoder.unknown = unknown.take();
        }
        decoder.budget.leave();
        let closed = self.open.pop();
        let closed = closed.map_or(Value::Null, |open| open.container.into_value());
        let Some(around) = self.open.last_mut() else {
            return Ok(Some(closed));
        };
        *around.container.place() = closed;
        self.filled(decoder);
        Ok(None)
    }

    /// The value being read is complete, and may be unknown.
    fn filled<I: ProtocolReader>(&mut self, decoder: &mut Decoder<'s, I>) {
        let is_outermost = self.open.len() == 1;
        let Some(Open { container, unknown }) = self.open.last_mut() else {
            return;
        };
        if let Some(err) = decoder.unknown.take() {
            let left = match container {
                Container::Record {
                    of,
                    values,
                    at: Some(at),
                    ..
                } => leave_out(*err, (of, is_outermost), *at, values),
                _ => Some(err),
            };
            *unknown = left.or(unknown.take());
        }
        container.filled();
    }
}

impl Drop for Reading<'_, '_> {
    fn drop(&mut self) {
        if !self.open.is_empty() {
            let open = self.open.drain(..);
            self.coop
                .drop_later(open.map(|open| open.container.into_value()).collect());
        }
    }
}

impl<'s> Container<'s> {
    fn record<I: ProtocolReader>(
        decoder: &mut Decoder<'s, I>,
        id: StructId,
    ) -> Result<Self, WireError> {
        let of = decoder.schema.get(id);
        decoder.budget.enter()?;
        decoder.budget.spend(of.fields.len())?;
        Ok(Container::Record {
            of,
            values: vec![Value::Null; of.fields.len()],
            last: 0,
            skipped: false,
            at: None,
        })
    }

    fn list<I: ProtocolReader>(
        decoder: &mut Decoder<'s, I>,
        of: &'s Type,
    ) -> Result<Self, WireError> {
        let left = decoder.list_head(of)?;
        Ok(Container::List {
            of,
            left,
            values: Vec::with_capacity(left.min(RESERVED_MAX)),
        })
    }

    fn map<I: ProtocolReader>(
        decoder: &mut Decoder<'s, I>,
        key: &'s Type,
        value: &'s Type,
    ) -> Result<Self, WireError> {
        let left = decoder.map_head(key, value)?;
        Ok(Container::Map {
            key,
            value,
            left,
            pairs: Vec::with_capacity(left.min(RESERVED_MAX)),
            has_key: false,
        })
    }

    /// The type of the next value; `None` at the end.
    fn next<I: ProtocolReader>(
        &mut self,
        decoder: &mut Decoder<'s, I>,
    ) -> Result<Option<&'s Type>, WireError> {
        match self {
            Container::Record {
                of,
                last,
                skipped,
                at,
                ..
            } => {
                let of: &'s StructType = of;
                while let Some((wire, id)) = decoder.input.field(*last)? {
                    *last = id;
                    match of.position_of_id(id) {
                        Some(found) if wire_type(&of.fields[found].ty) == wire => {
                            *at = Some(found);
                            return Ok(Some(&of.fields[found].ty));
                        }
                        _ => {
                            *skipped = true;
                            decoder.input.skip(wire, &mut decoder.budget)?;
                        }
                    }
                }
                Ok(None)
            }
            Container::List { left: 0, .. } => Ok(None),
            Container::List { of, left, values } => {
                *left -= 1;
                values.push(Value::Null);
                Ok(Some(of))
            }
            Container::Map {
                value,
                has_key: true,
                ..
            } => Ok(Some(value)),
            Container::Map { left: 0, .. } => Ok(None),
            Container::Map {
                key, left, pairs, ..
            } => {
                *left -= 1;
                pairs.push((Value::Null, Value::Null));
                Ok(Some(key))
            }
        }
    }

    /// Where the value being read goes.
    fn place(&mut self) -> &mut Value {
        let place = match self {
            Container::Record { values, at, .. } => at.and_then(|at| values.get_mut(at)),
            Container::List { values, .. } => values.last_mut(),
            Container::Map { pairs, has_key, .. } => {
                let pair = pairs.last_mut();
                pair.map(|(key, value)| if *has_key { value } else { key })
            }
        };
        place.expect("`next` made it")
    }

    /// The value being read is complete.
    fn filled(&mut self) {
        match self {
            Container::Record { at, .. } => *at = None,
            Container::List { .. } => {}
            Container::Map { has_key, .. } => *has_key = !*has_key,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Container::Record { of, values, .. } => Value::Record(Record {
                names: of.names.clone(),
                values,
            }),
            Container::List { values, .. } => Value::List(values),
            Container::Map { pairs, .. } => Value::Map(pairs),
        }
    }
}
