//! A struct with a field of every type: what is read has the declared types, and survives writing and reading.

use bytes::{Bytes, BytesMut};
use thrift::protocol::{TInputProtocol, TMessageType, TType};

use crate::error::Code;
use crate::fuzzing::{hold, hold_type, same, zoo, zoo_struct};
use crate::idl::{StructId, Type};
use crate::thrift::{
    Body, Codec as _, HeadOut, Limits, Protocol, Transport, WireError, WireFormat, decode_struct,
    read_head, with_codec, write_message,
};

use super::apache::ApacheReader;
use crate::value::Value;

/// A struct of the zoo in binary.
pub(crate) fn binary(bytes: &[u8]) {
    values(Protocol::Binary, bytes);
}

/// A struct of the zoo in compact.
pub(crate) fn compact(bytes: &[u8]) {
    values(Protocol::Compact, bytes);
}

/// Limits low enough for small inputs to reach.
pub(super) const LIMITS: Limits = Limits {
    frame_bytes_max: 1 << 20,
    depth_max: 24,
    values_max: 10_000,
    inflated_bytes_max: 0,
    wire_formats: crate::thrift::WireFormats::ALL,
};

fn values(protocol: Protocol, bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let decoded = decode_struct(zoo(), zoo_struct("All"), protocol, &body, &LIMITS);
    let skipped = decode_struct(zoo(), zoo_struct("Empty"), protocol, &body, &LIMITS);
    hold_code(&skipped);
    stub(protocol, &body, &skipped);
    hold_code(&decoded);
    if let Ok(value) = decoded {
        hold(skipped.is_ok(), "what is read can be stepped over", skipped);
        hold_round_trip(zoo_struct("All"), &value);
    }
}

/// Unreadable bytes are the client's fault, never the server's.
fn hold_code(read: &Result<Value, WireError>) {
    let codes = [
        Code::WireInvalid,
        Code::WireTruncated,
        Code::WireTooDeep,
        Code::WireFrameTooLarge,
    ];
    if let Err(err) = read {
        hold(
            codes.contains(&err.code),
            "an error of bytes is the wire's",
            err,
        );
        hold(err.detail.len() < 1000, "a detail is short", err);
    }
}

/// Checks that the value is the same after writing it in each protocol and reading it again.
pub(super) fn hold_round_trip(id: StructId, value: &Value) {
    hold_type(zoo(), &Type::Struct(id), value);
    for &protocol in Protocol::ALL {
        let body = written(protocol, id, value);
        // Default values were filled in, so the value may have grown: use the default limits.
        match decode_struct(zoo(), id, protocol, &body, &Limits::default()) {
            Ok(again) if same(value, &again) => {}
            other => hold(false, "what is written is read as the same", (value, other)),
        }
    }
}

fn written(protocol: Protocol, id: StructId, value: &Value) -> Bytes {
    let mut out = BytesMut::new();
    let wire_format = WireFormat {
        transport: Transport::Unframed,
        protocol,
    };
    let head = HeadOut {
        name: "zoo",
        kind: TMessageType::Call,
        sequence: -1,
    };
    let body = Body::Params {
        schema: zoo(),
        id,
        record: value,
    };
    write_message(&mut out, wire_format, head, body).expect("what conforms can be written");
    let message = out.freeze();
    let (head, body) = read_head(protocol, &message).expect("a head that was written");
    hold(
        head.name.as_str() == "zoo" && head.sequence == -1,
        "a head is read",
        head,
    );
    body
}

/// Checks that Apache's own reading loop ends in the same place.
fn stub(protocol: Protocol, body: &Bytes, skipped: &Result<Value, WireError>) {
    /// Reads a struct as generated code does that knows none of its fields.
    fn walk(input: &mut dyn TInputProtocol) -> thrift::Result<()> {
        input.read_struct_begin()?;
        loop {
            let field = input.read_field_begin()?;
            if field.field_type == TType::Stop {
                return input.read_struct_end();
            }
            input.skip(field.field_type)?;
            input.read_field_end()?;
        }
    }
    let (walked, left) = with_codec!(protocol, C => {
        let mut input = ApacheReader::new(C::reader(body), &LIMITS);
        (walk(&mut input), input.remaining())
    });
    let walked = walked.is_ok() && left == 0;
    hold(
        walked == skipped.is_ok(),
        "Apache's reader comes to the same end",
        (walked, skipped),
    );
}
