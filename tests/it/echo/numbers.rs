//! Sequence ids, byte by byte, of libraries that number their calls, repeat a number, or always use 0. All calls are
//! written before any reply is read.

use super::server::Echo;
use crate::support::{Wire, bytes};

/// In the order of the calls.
const NUMBERS: [i32; 9] = [0, 0, 0, 1, -1, i32::MIN, i32::MAX, 7, 7];

/// A call of `testInt`, or its reply, with a sequence id and a value below 64.
type Message = fn(i32, u8) -> Vec<u8>;

#[test]
fn binary() {
    check(
        |number, value| strict("80 01 00 01", number, "08 00 01", value),
        |number, value| strict("80 01 00 02", number, "08 00 00", value),
    );
}

#[test]
fn old_binary() {
    check(
        |number, value| old("01", number, "08 00 01", value),
        |number, value| old("02", number, "08 00 00", value),
    );
}

#[test]
fn compact() {
    check(
        |number, value| packed("82 21", number, "15", value),
        // The field id 0 cannot be written as a delta.
        |number, value| packed("82 41", number, "05 00", value),
    );
}

/// Framed and unframed, each on its own connection.
#[track_caller]
fn check(call: Message, reply: Message) {
    let echo = Echo::start();
    let messages = |message: Message| {
        (0..)
            .zip(NUMBERS)
            .map(move |(at, number)| message(number, at))
    };
    let frame = |message: Vec<u8>| {
        let len = u32::try_from(message.len()).expect("short");
        [&len.to_be_bytes()[..], &message].concat()
    };
    let mut framed = Wire::connect(echo.running().addr());
    framed.send(&messages(call).flat_map(frame).collect::<Vec<u8>>());
    for expected in messages(reply) {
        assert_eq!(framed.read_frame(), expected);
    }
    let mut unframed = Wire::connect(echo.running().addr());
    unframed.send(&messages(call).flatten().collect::<Vec<u8>>());
    for expected in messages(reply) {
        assert_eq!(unframed.read(expected.len()), expected);
    }
    echo.stop();
}

fn strict(head: &str, number: i32, field: &str, value: u8) -> Vec<u8> {
    let head = bytes(&format!("{head} 00 00 00 07 'testInt'"));
    [
        head,
        number.to_be_bytes().into(),
        number_field(field, value),
    ]
    .concat()
}

fn old(kind: &str, number: i32, field: &str, value: u8) -> Vec<u8> {
    let head = bytes(&format!("00 00 00 07 'testInt' {kind}"));
    [
        head,
        number.to_be_bytes().into(),
        number_field(field, value),
    ]
    .concat()
}

fn number_field(field: &str, value: u8) -> Vec<u8> {
    bytes(&format!("{field} 00 00 00 {value:02x} 00"))
}

/// A sequence id is a varint of its bits: a negative one has five bytes.
fn packed(head: &str, number: i32, field: &str, value: u8) -> Vec<u8> {
    let mut rest = number.cast_unsigned();
    let mut message = bytes(head);
    while rest >= 0x80 {
        message.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
        rest >>= 7;
    }
    message.push(u8::try_from(rest).expect("seven bits"));
    let zigzag = value * 2;
    message.extend(bytes(&format!("07 'testInt' {field} {zigzag:02x} 00")));
    message
}
