//! Apache's trait for reading, implemented with this codec's readers.
//!
//! Returns one token per call, owned as the trait requires. Each struct and container costs a level of depth until
//! its end is read.

use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TMessageIdentifier,
    TSetIdentifier, TStructIdentifier, TType,
};
use uuid::Uuid;

use crate::thrift::budget::Budget;
use crate::thrift::codec::ProtocolReader;
use crate::thrift::encode::length_of;
use crate::thrift::{Limits, WireError};

/// Apache's [`TInputProtocol`] over one of this codec's readers; one per message.
#[derive(Debug)]
pub(crate) struct ApacheReader<I> {
    input: I,
    /// The id of the last field read in the innermost struct.
    last: i16,
    /// The same for the structs around it.
    outer: Vec<i16>,
    budget: Budget,
}

impl<I> ApacheReader<I> {
    /// Reads the message of `input`.
    pub(crate) fn new(input: I, limits: &Limits) -> Self {
        ApacheReader {
            input,
            last: 0,
            outer: Vec::new(),
            budget: limits.budget(),
        }
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> usize
    where
        I: ProtocolReader,
    {
        self.input.remaining()
    }
}

impl<I: ProtocolReader> TInputProtocol for ApacheReader<I> {
    fn read_message_begin(&mut self) -> thrift::Result<TMessageIdentifier> {
        let head = self.input.head()?;
        Ok(TMessageIdentifier::new(
            head.name.as_str(),
            head.kind,
            head.sequence,
        ))
    }

    fn read_message_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn read_struct_begin(&mut self) -> thrift::Result<Option<TStructIdentifier>> {
        self.budget.enter()?;
        self.outer.push(std::mem::take(&mut self.last));
        Ok(None)
    }

    fn read_struct_end(&mut self) -> thrift::Result<()> {
        self.last = self.outer.pop().unwrap_or_default();
        self.budget.leave();
        Ok(())
    }

    fn read_field_begin(&mut self) -> thrift::Result<TFieldIdentifier> {
        let Some((field_type, id)) = self.input.field(self.last)? else {
            return Ok(TFieldIdentifier {
                name: None,
                field_type: TType::Stop,
                id: None,
            });
        };
        self.last = id;
        Ok(TFieldIdentifier {
            name: None,
            field_type,
            id: Some(id),
        })
    }

    fn read_field_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn read_bool(&mut self) -> thrift::Result<bool> {
        Ok(self.input.bool()?)
    }

    fn read_bytes(&mut self) -> thrift::Result<Vec<u8>> {
        Ok(self.input.bytes()?.to_vec())
    }

    fn read_i8(&mut self) -> thrift::Result<i8> {
        Ok(self.input.i8()?)
    }

    fn read_i16(&mut self) -> thrift::Result<i16> {
        Ok(self.input.i16()?)
    }

    fn read_i32(&mut self) -> thrift::Result<i32> {
        Ok(self.input.i32()?)
    }

    fn read_i64(&mut self) -> thrift::Result<i64> {
        Ok(self.input.i64()?)
    }

    fn read_double(&mut self) -> thrift::Result<f64> {
        Ok(self.input.double()?)
    }

    fn read_uuid(&mut self) -> thrift::Result<Uuid> {
        Ok(Uuid::from_bytes(self.input.uuid()?))
    }

    fn read_string(&mut self) -> thrift::Result<String> {
        Ok(String::from_utf8(self.input.bytes()?.to_vec())?)
    }

    fn read_list_begin(&mut self) -> thrift::Result<TListIdentifier> {
        let (ty, count) = elements(&mut self.input, &mut self.budget)?;
        Ok(TListIdentifier::new(ty, count))
    }

    fn read_list_end(&mut self) -> thrift::Result<()> {
        self.budget.leave();
        Ok(())
    }

    fn read_set_begin(&mut self) -> thrift::Result<TSetIdentifier> {
        let (ty, count) = elements(&mut self.input, &mut self.budget)?;
        Ok(TSetIdentifier::new(ty, count))
    }

    fn read_set_end(&mut self) -> thrift::Result<()> {
        self.budget.leave();
        Ok(())
    }

    fn read_map_begin(&mut self) -> thrift::Result<TMapIdentifier> {
        let (key, value, count) = self.input.map()?;
        self.budget.enter()?;
        self.budget.spend(count.saturating_mul(2))?;
        Ok(TMapIdentifier::new(
            key,
            value,
            length_of(count)?.cast_signed(),
        ))
    }

    fn read_map_end(&mut self) -> thrift::Result<()> {
        self.budget.leave();
        Ok(())
    }

    fn skip_till_depth(&mut self, field_type: TType, _depth: i8) -> thrift::Result<()> {
        // The message's limit on depth applies to skipped values too.
        Ok(self.input.skip(field_type, &mut self.budget)?)
    }

    fn read_byte(&mut self) -> thrift::Result<u8> {
        Ok(self.input.i8()?.cast_unsigned())
    }
}

/// The head of a list or set.
fn elements(
    input: &mut impl ProtocolReader,
    budget: &mut Budget,
) -> Result<(TType, i32), WireError> {
    let (ty, count) = input.list()?;
    budget.enter()?;
    budget.spend(count)?;
    Ok((ty, length_of(count)?.cast_signed()))
}
