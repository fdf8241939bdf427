//! Reads a struct of many values in pieces, between which the loop is somebody else's.
//!
//! In and out as in `decode.rs`, whose reader reads all that holds nothing else. What is open is kept on an explicit
//! stack, so that reading can stop anywhere. What was read in vain is forgotten in pieces as well.

use bytes::Bytes;

use super::decode::{Decoder, RESERVED_MAX, complete};
use super::error::too_many_values;
use super::limits::Budget;
use super::{BinaryInput, CompactInput, Input, Limits, Protocol, WireError, wire_type};
use crate::idl::{Schema, StructId, StructType, Type};
use crate::pace::{Pace, VALUES};
use crate::value::{Record, Value};

/// As [`super::decode_struct_counted`], in turns of `pace`. `paid` is told after each turn how many values there are by then, and
/// says whether there may be so many.
pub(crate) async fn decode_struct_paced(
    (schema, id): (&Schema, StructId),
    protocol: Protocol,
    body: &Bytes,
    limits: &Limits,
    (pace, paid): (&Pace, impl FnMut(usize) -> bool),
) -> Result<(Value, usize), WireError> {
    let budget = Budget::new(limits);
    match protocol {
        Protocol::Compact => {
            let input = CompactInput::new(body);
            let decoder = Decoder::new(schema, input, budget);
            read(decoder, id, pace, paid).await
        }
        Protocol::Binary | Protocol::BinaryOld => {
            let input = BinaryInput::new(body, true);
            let decoder = Decoder::new(schema, input, budget);
            read(decoder, id, pace, paid).await
        }
    }
}

async fn read<I: Input>(
    mut decoder: Decoder<'_, I>,
    id: StructId,
    pace: &Pace,
    mut paid: impl FnMut(usize) -> bool,
) -> Result<(Value, usize), WireError> {
    let values_max = decoder.budget.values;
    let mut reading = Reading {
        pace,
        open: Vec::new(),
    };
    reading.open.push(Open::record(&mut decoder, id)?);
    loop {
        {
            let _turn = pace.turn().await;
            for _ in 0..VALUES {
                if let Some(value) = reading.step(&mut decoder)? {
                    decoder.end()?;
                    return Ok((value, values_max - decoder.budget.values));
                }
            }
        }
        if !paid(values_max - decoder.budget.values) {
            return Err(too_many_values());
        }
    }
}

/// What is open, outermost first.
struct Reading<'s, 'p> {
    pace: &'p Pace,
    open: Vec<Open<'s>>,
}

enum Open<'s> {
    Record {
        of: &'s StructType,
        values: Vec<Value>,
        last: i16,
        /// The field that is being read.
        at: Option<usize>,
    },
    List {
        of: &'s Type,
        left: usize,
        values: Vec<Value>,
    },
    /// The last pair has its key only while `has_key`.
    Map {
        key: &'s Type,
        value: &'s Type,
        left: usize,
        pairs: Vec<(Value, Value)>,
        has_key: bool,
    },
}

impl<'s> Reading<'s, '_> {
    /// Reads one value, or opens or closes what holds others. The outermost struct once it is closed.
    fn step<I: Input>(&mut self, decoder: &mut Decoder<'s, I>) -> Result<Option<Value>, WireError> {
        match self.go_on(decoder) {
            // The field that each open struct is at, innermost first.
            Err(err) => Err(self.open.iter().rev().fold(err, |err, open| match open {
                Open::Record {
                    of, at: Some(at), ..
                } => err.inside(&of.fields[*at].name),
                _ => err,
            })),
            went => went,
        }
    }

    fn go_on<I: Input>(
        &mut self,
        decoder: &mut Decoder<'s, I>,
    ) -> Result<Option<Value>, WireError> {
        let Some(top) = self.open.last_mut() else {
            return Ok(Some(Value::Null));
        };
        let Some(ty) = top.next(decoder)? else {
            return self.close(decoder);
        };
        let opened = match ty {
            Type::Struct(id) => Open::record(decoder, *id)?,
            Type::List(of) | Type::Set(of) => Open::list(decoder, of)?,
            Type::Map(key, value) if !Decoder::<I>::is_any_map(key, value) => {
                Open::map(decoder, key, value)?
            }
            _ => {
                decoder.value(ty, top.place())?;
                top.filled();
                return Ok(None);
            }
        };
        self.open.push(opened);
        Ok(None)
    }

    /// The innermost is whole.
    fn close<I: Input>(
        &mut self,
        decoder: &mut Decoder<'s, I>,
    ) -> Result<Option<Value>, WireError> {
        if let Some(Open::Record { of, values, .. }) = self.open.last_mut() {
            complete(of, values, &mut decoder.budget)?;
        }
        decoder.budget.leave();
        let whole = self.open.pop().map_or(Value::Null, Open::into_value);
        let Some(around) = self.open.last_mut() else {
            return Ok(Some(whole));
        };
        *around.place() = whole;
        around.filled();
        Ok(None)
    }
}

impl Drop for Reading<'_, '_> {
    fn drop(&mut self) {
        if !self.open.is_empty() {
            let open = self.open.drain(..);
            self.pace.forget(open.map(Open::into_value).collect());
        }
    }
}

impl<'s> Open<'s> {
    fn record<I: Input>(decoder: &mut Decoder<'s, I>, id: StructId) -> Result<Self, WireError> {
        let of = decoder.schema.get(id);
        decoder.budget.enter()?;
        decoder.budget.spend(of.fields.len())?;
        Ok(Open::Record {
            of,
            values: vec![Value::Null; of.fields.len()],
            last: 0,
            at: None,
        })
    }

    fn list<I: Input>(decoder: &mut Decoder<'s, I>, of: &'s Type) -> Result<Self, WireError> {
        let left = decoder.list_head(of)?;
        Ok(Open::List {
            of,
            left,
            values: Vec::with_capacity(left.min(RESERVED_MAX)),
        })
    }

    fn map<I: Input>(
        decoder: &mut Decoder<'s, I>,
        key: &'s Type,
        value: &'s Type,
    ) -> Result<Self, WireError> {
        let left = decoder.map_head(key, value)?;
        Ok(Open::Map {
            key,
            value,
            left,
            pairs: Vec::with_capacity(left.min(RESERVED_MAX)),
            has_key: false,
        })
    }

    /// The type of the value that is read next; `None` at the end.
    fn next<I: Input>(
        &mut self,
        decoder: &mut Decoder<'s, I>,
    ) -> Result<Option<&'s Type>, WireError> {
        match self {
            Open::Record { of, last, at, .. } => {
                let of: &'s StructType = of;
                while let Some((wire, id)) = decoder.input.field(*last)? {
                    *last = id;
                    match of.position_of_id(id) {
                        Some(found) if wire_type(&of.fields[found].ty) == wire => {
                            *at = Some(found);
                            return Ok(Some(&of.fields[found].ty));
                        }
                        _ => decoder.input.skip(wire, &mut decoder.budget)?,
                    }
                }
                Ok(None)
            }
            Open::List { left: 0, .. } => Ok(None),
            Open::List { of, left, values } => {
                *left -= 1;
                values.push(Value::Null);
                Ok(Some(of))
            }
            Open::Map {
                value,
                has_key: true,
                ..
            } => Ok(Some(value)),
            Open::Map { left: 0, .. } => Ok(None),
            Open::Map {
                key, left, pairs, ..
            } => {
                *left -= 1;
                pairs.push((Value::Null, Value::Null));
                Ok(Some(key))
            }
        }
    }

    /// Where the value that is read goes.
    fn place(&mut self) -> &mut Value {
        let place = match self {
            Open::Record { values, at, .. } => at.and_then(|at| values.get_mut(at)),
            Open::List { values, .. } => values.last_mut(),
            Open::Map { pairs, has_key, .. } => {
                let pair = pairs.last_mut();
                pair.map(|(key, value)| if *has_key { value } else { key })
            }
        };
        place.expect("`next` made it")
    }

    /// The value is in its place.
    fn filled(&mut self) {
        match self {
            Open::Record { at, .. } => *at = None,
            Open::List { .. } => {}
            Open::Map { has_key, .. } => *has_key = !*has_key,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Open::Record { of, values, .. } => Value::Record(Record {
                names: of.names.clone(),
                values,
            }),
            Open::List { values, .. } => Value::List(values),
            Open::Map { pairs, .. } => Value::Map(pairs),
        }
    }
}
