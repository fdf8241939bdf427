//! Tests of the wire with bytes written by hand, by other implementations, at random, and by attackers.

mod any;
mod clients;
mod crosscheck;
mod entropy;
mod framing;
mod golden;
mod header;
mod hostile;
mod roundtrip;
mod sample;

use bytes::{Bytes, BytesMut};
use thrift::protocol::TMessageType;

use super::{
    Body, Framer, Head, HeadOut, Limits, Protocol, Transport, WireError, WireFormat, decode_struct,
    read_head, write_message,
};
use crate::idl::{Schema, StructId};
use crate::value::Value;

/// Every wire format, framed binary first.
fn wire_formats() -> Vec<WireFormat> {
    let transports = Transport::ALL.iter();
    let with_protocols = |&transport| {
        let protocols = Protocol::ALL.iter();
        protocols.map(move |&protocol| wire_format(transport, protocol))
    };
    transports.flat_map(with_protocols).collect()
}

const fn wire_format(transport: Transport, protocol: Protocol) -> WireFormat {
    WireFormat {
        transport,
        protocol,
    }
}

/// Bytes from hex digits; spaces are for the reader.
fn hex(digits: &str) -> Bytes {
    let digits: Vec<u8> = digits
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .map(|digit| u8::try_from(digit.to_digit(16).expect("a hex digit")).expect("one digit"))
        .collect();
    assert_eq!(digits.len() % 2, 0, "two digits a byte");
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// A call of `echo` with the parameters `id`.
fn call(schema: &Schema, id: StructId, record: &Value, wire_format: WireFormat) -> Bytes {
    let mut out = BytesMut::new();
    let head = HeadOut {
        name: "echo",
        kind: TMessageType::Call,
        sequence: 7,
    };
    write_message(
        &mut out,
        wire_format,
        head,
        Body::Params { schema, id, record },
    )
    .expect("values that fit");
    out.freeze()
}

/// The first message in `bytes`, all of which came at once.
fn first(bytes: &[u8]) -> Result<Option<Bytes>, WireError> {
    Framer::new(Limits::default()).next(&mut BytesMut::from(bytes))
}

/// Cuts, opens and reads one call.
fn receive(
    schema: &Schema,
    id: StructId,
    wire_format: WireFormat,
    bytes: &[u8],
) -> Result<(Head, Value), WireError> {
    let limits = Limits::default();
    let mut buffer = BytesMut::from(bytes);
    let mut framer = Framer::new(limits);
    let message = framer.next(&mut buffer)?.expect("a whole message");
    assert_eq!(framer.wire_format(), Some(wire_format));
    assert!(buffer.is_empty(), "nothing is left over");
    let (head, body) = read_head(wire_format.protocol, &message)?;
    Ok((
        head,
        decode_struct(schema, id, wire_format.protocol, &body, &limits)?,
    ))
}
