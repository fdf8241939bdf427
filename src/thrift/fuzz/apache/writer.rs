//! Apache's trait for writing, implemented with this codec's writers.
//!
//! Takes one token per call. No protocol writes the names of structs and fields, so they are ignored.

use thrift::protocol::{
    TFieldIdentifier, TListIdentifier, TMapIdentifier, TMessageIdentifier, TOutputProtocol,
    TSetIdentifier, TStructIdentifier, TType,
};
use uuid::Uuid;

use crate::thrift::encode::length_of;
use crate::thrift::error::{internal, negative};
use crate::thrift::{HeadOut, ProtocolWriter, WireError};

/// Apache's [`TOutputProtocol`] over one of this codec's writers; one per message.
#[derive(Debug)]
pub(crate) struct ApacheWriter<O> {
    output: O,
    /// The id of the last field written in the innermost struct.
    last: i16,
    /// The same for the structs around it.
    outer: Vec<i16>,
    /// The bool field whose value comes next: compact writes both together.
    bool_field: Option<i16>,
}

impl<O> ApacheWriter<O> {
    /// Writes to `output`.
    pub(crate) fn new(output: O) -> Self {
        ApacheWriter {
            output,
            last: 0,
            outer: Vec::new(),
            bool_field: None,
        }
    }
}

impl<O: ProtocolWriter> TOutputProtocol for ApacheWriter<O> {
    fn write_message_begin(&mut self, identifier: &TMessageIdentifier) -> thrift::Result<()> {
        let head = HeadOut {
            name: &identifier.name,
            kind: identifier.message_type,
            sequence: identifier.sequence_number,
        };
        self.output.head(&head, length_of(head.name.len())?);
        Ok(())
    }

    fn write_message_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn write_struct_begin(&mut self, _: &TStructIdentifier) -> thrift::Result<()> {
        self.outer.push(std::mem::take(&mut self.last));
        Ok(())
    }

    fn write_struct_end(&mut self) -> thrift::Result<()> {
        self.last = self.outer.pop().unwrap_or_default();
        Ok(())
    }

    fn write_field_begin(&mut self, identifier: &TFieldIdentifier) -> thrift::Result<()> {
        let id = identifier
            .id
            .ok_or_else(|| internal("a field without an id"))?;
        if identifier.field_type == TType::Bool {
            self.bool_field = Some(id);
        } else {
            self.output.field(identifier.field_type, self.last, id);
            self.last = id;
        }
        Ok(())
    }

    fn write_field_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn write_field_stop(&mut self) -> thrift::Result<()> {
        self.output.stop();
        Ok(())
    }

    fn write_bool(&mut self, value: bool) -> thrift::Result<()> {
        if let Some(id) = self.bool_field.take() {
            self.output.bool_field(self.last, id, value);
            self.last = id;
        } else {
            self.output.bool(value);
        }
        Ok(())
    }

    fn write_bytes(&mut self, value: &[u8]) -> thrift::Result<()> {
        self.output.bytes(value, length_of(value.len())?);
        Ok(())
    }

    fn write_i8(&mut self, value: i8) -> thrift::Result<()> {
        self.output.i8(value);
        Ok(())
    }

    fn write_i16(&mut self, value: i16) -> thrift::Result<()> {
        self.output.i16(value);
        Ok(())
    }

    fn write_i32(&mut self, value: i32) -> thrift::Result<()> {
        self.output.i32(value);
        Ok(())
    }

    fn write_i64(&mut self, value: i64) -> thrift::Result<()> {
        self.output.i64(value);
        Ok(())
    }

    fn write_double(&mut self, value: f64) -> thrift::Result<()> {
        self.output.double(value);
        Ok(())
    }

    fn write_uuid(&mut self, value: &Uuid) -> thrift::Result<()> {
        self.output.uuid(value.as_bytes());
        Ok(())
    }

    fn write_string(&mut self, value: &str) -> thrift::Result<()> {
        self.write_bytes(value.as_bytes())
    }

    fn write_list_begin(&mut self, identifier: &TListIdentifier) -> thrift::Result<()> {
        self.output
            .list(identifier.element_type, count(identifier.size)?);
        Ok(())
    }

    fn write_list_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn write_set_begin(&mut self, identifier: &TSetIdentifier) -> thrift::Result<()> {
        self.output
            .list(identifier.element_type, count(identifier.size)?);
        Ok(())
    }

    fn write_set_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn write_map_begin(&mut self, identifier: &TMapIdentifier) -> thrift::Result<()> {
        let key = identifier.key_type.unwrap_or(TType::Stop);
        let value = identifier.value_type.unwrap_or(TType::Stop);
        self.output.map(key, value, count(identifier.size)?);
        Ok(())
    }

    fn write_map_end(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> thrift::Result<()> {
        Ok(())
    }

    fn write_byte(&mut self, value: u8) -> thrift::Result<()> {
        self.output.i8(value.cast_signed());
        Ok(())
    }
}

fn count(size: i32) -> Result<u32, WireError> {
    u32::try_from(size).map_err(|_| negative(size))
}
