//! The wire against bytes written out by hand, by other implementations, at random and by the malicious.

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
    Body, Framer, Head, HeadOut, Limits, Protocol, Shape, Transport, WireError, decode_struct,
    read_head, write_message,
};
use crate::idl::{Schema, StructId};
use crate::value::Value;

/// Every shape there is.
const SHAPES: [Shape; 9] = [
    shape(Transport::Framed, Protocol::Binary),
    shape(Transport::Framed, Protocol::BinaryOld),
    shape(Transport::Framed, Protocol::Compact),
    shape(Transport::Unframed, Protocol::Binary),
    shape(Transport::Unframed, Protocol::BinaryOld),
    shape(Transport::Unframed, Protocol::Compact),
    shape(Transport::Header, Protocol::Binary),
    shape(Transport::Header, Protocol::BinaryOld),
    shape(Transport::Header, Protocol::Compact),
];

const fn shape(transport: Transport, protocol: Protocol) -> Shape {
    Shape {
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
fn call(schema: &Schema, id: StructId, record: &Value, shape: Shape) -> Bytes {
    let mut out = BytesMut::new();
    let head = HeadOut {
        name: "echo",
        kind: TMessageType::Call,
        sequence: 7,
    };
    write_message(&mut out, shape, head, Body::Params { schema, id, record })
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
    shape: Shape,
    bytes: &[u8],
) -> Result<(Head, Value), WireError> {
    let limits = Limits::default();
    let mut buffer = BytesMut::from(bytes);
    let mut framer = Framer::new(limits);
    let message = framer.next(&mut buffer)?.expect("a whole message");
    assert_eq!(framer.shape(), Some(shape));
    assert!(buffer.is_empty(), "nothing is left over");
    let (head, body) = read_head(shape.protocol, &message)?;
    Ok((
        head,
        decode_struct(schema, id, shape.protocol, &body, &limits)?,
    ))
}
