//! Messages that clients of other languages wrote, from the IDL of [`super::sample`].
//!
//! Written by Apache's Python library (`thrift` 0.25.0 on pip, stubs of compiler 0.17) and by `thriftpy2` 0.7.1; the
//! framed ones are those below after their length, which was checked when they were made. The two differ in the
//! order of fields: Apache's stubs write them by id, `thriftpy2` as declared, and so do we.

use bytes::{BufMut, Bytes, BytesMut};
use thrift::protocol::TMessageType;

use super::sample::{self, ALL, ECHO, record};
use super::{Framer, Limits, Protocol, Transport, WireFormat, hex, receive, wire_formats};
use crate::idl::{Schema, Type};
use crate::thrift::{
    Body, HeadOut, decode_application_error, decode_result, read_head, write_message,
};
use crate::value::{Text, Value};

/// What one client wrote with one protocol, unframed.
struct Written {
    protocol: Protocol,
    /// `echo(all, 42)`
    call: &'static str,
    /// `ping("hi")`, oneway
    oneway: &'static str,
    /// A server's reply with `success`, sequence id -2
    reply: &'static str,
    /// A server's reply with the exception `Oops("no")`
    exception: &'static str,
    /// A `TApplicationException(7, "bad")`
    application_error: &'static str,
}

/// By Apache's Python library.
const APACHE: [Written; 3] = [
    Written {
        protocol: Protocol::Binary,
        call: "80010001000000046563686f000000000c00010200010102000200030003fd060004fed4080005000111700a0006ffff
     fffed5fa0e000400073ff80000000000000b00080000000668c3a96c6c6f0b00090000000200ff08000a000000050c00
     0b08000100000001000f000c020000000201000e000d0800000001000000070d000e0b0a000000010000000161000000
     00000000010f000f0c00000002080001ffffffff080002000000020008000100000000000c00100a0002000000000000
     0009000d00110b0b000000000d0028080f000000010000012c0b00000002000000017800000000000800020000002a00",
        oneway: "800100040000000470696e67000000000b000100000002686900",
        reply: "80010002000000046563686ffffffffe0c00000200010102000200030003fd060004fed4080005000111700a0006ffff
     fffed5fa0e000400073ff80000000000000b00080000000668c3a96c6c6f0b00090000000200ff08000a000000050c00
     0b08000100000001000f000c020000000201000e000d0800000001000000070d000e0b0a000000010000000161000000
     00000000010f000f0c00000002080001ffffffff080002000000020008000100000000000c00100a0002000000000000
     0009000d00110b0b000000000d0028080f000000010000012c0b000000020000000178000000000000",
        exception: "80010002000000046563686f000000010c00010b0001000000026e6f0000",
        application_error: "80010003000000046563686f000000010b0001000000036261640800020000000700",
    },
    Written {
        protocol: Protocol::BinaryOld,
        call: "000000046563686f01000000000c00010200010102000200030003fd060004fed4080005000111700a0006fffffffed5
     fa0e000400073ff80000000000000b00080000000668c3a96c6c6f0b00090000000200ff08000a000000050c000b0800
     0100000001000f000c020000000201000e000d0800000001000000070d000e0b0a000000010000000161000000000000
     00010f000f0c00000002080001ffffffff080002000000020008000100000000000c00100a0002000000000000000900
     0d00110b0b000000000d0028080f000000010000012c0b00000002000000017800000000000800020000002a00",
        oneway: "0000000470696e6704000000000b000100000002686900",
        reply: "000000046563686f02fffffffe0c00000200010102000200030003fd060004fed4080005000111700a0006fffffffed5
     fa0e000400073ff80000000000000b00080000000668c3a96c6c6f0b00090000000200ff08000a000000050c000b0800
     0100000001000f000c020000000201000e000d0800000001000000070d000e0b0a000000010000000161000000000000
     00010f000f0c00000002080001ffffffff080002000000020008000100000000000c00100a0002000000000000000900
     0d00110b0b000000000d0028080f000000010000012c0b000000020000000178000000000000",
        exception: "000000046563686f02000000010c00010b0001000000026e6f0000",
        application_error: "000000046563686f03000000010b0001000000036261640800020000000700",
    },
    Written {
        protocol: Protocol::Compact,
        call: "822100046563686f1c111213fd14d70415e0c50816ffc7afa02517000000000000f83f180668c3a96c6c6f180200ff15
     0a1c150200192101021a150e1b0186016102192c15011504001500001c2612001b000b500159d8042801780000155400",
        oneway: "8281000470696e671802686900",
        reply: "8241feffffff0f046563686f0c00111213fd14d70415e0c50816ffc7afa02517000000000000f83f180668c3a96c6c6f
     180200ff150a1c150200192101021a150e1b0186016102192c15011504001500001c2612001b000b500159d804280178
     000000",
        exception: "824101046563686f1c18026e6f0000",
        application_error: "826101046563686f1803626164150e00",
    },
];

/// `echo(all, 42)` by `thriftpy2`; its oneway calls are the very bytes of Apache's.
const THRIFTPY2: [(Protocol, &str); 3] = [
    (Protocol::Binary, "80010001000000046563686f000000000c00010200010102000200030003fd060004fed4080005000111700a0006ffff
     fffed5fa0e000400073ff80000000000000b00080000000668c3a96c6c6f0b00090000000200ff08000a000000050c00
     0b08000100000001000f000c020000000201000e000d0800000001000000070d000e0b0a000000010000000161000000
     00000000010f000f0c00000002080001ffffffff080002000000020008000100000000000c00100a0002000000000000
     0009000d0028080f000000010000012c0b000000020000000178000000000d00110b0b00000000000800020000002a00"),
    (Protocol::BinaryOld, "000000046563686f01000000000c00010200010102000200030003fd060004fed4080005000111700a0006fffffffed5
     fa0e000400073ff80000000000000b00080000000668c3a96c6c6f0b00090000000200ff08000a000000050c000b0800
     0100000001000f000c020000000201000e000d0800000001000000070d000e0b0a000000010000000161000000000000
     00010f000f0c00000002080001ffffffff080002000000020008000100000000000c00100a0002000000000000000900
     0d0028080f000000010000012c0b000000020000000178000000000d00110b0b00000000000800020000002a00"),
    (Protocol::Compact, "822100046563686f1c111213fd14d70415e0c50816ffc7afa02517000000000000f83f180668c3a96c6c6f180200ff15
     0a1c150200192101021a150e1b0186016102192c15011504001500001c2612000b500159d804280178000b2200001554
     00"),
];

/// The wire formats of `protocol`, with `unframed` as it stands in each.
fn in_both(protocol: Protocol, unframed: &str) -> impl Iterator<Item = (WireFormat, Bytes)> {
    let message = hex(unframed);
    wire_formats()
        .into_iter()
        .filter(move |wire_format| {
            wire_format.protocol == protocol && wire_format.transport != Transport::Header
        })
        .map(move |wire_format| {
            let mut bytes = BytesMut::new();
            if wire_format.transport == Transport::Framed {
                bytes.put_u32(u32::try_from(message.len()).expect("short"));
            }
            bytes.put_slice(&message);
            (wire_format, bytes.freeze())
        })
}

fn params(schema: &Schema) -> Value {
    record(
        schema,
        ECHO,
        &[("all", sample::all(schema)), ("n", 42.into())],
    )
}

/// A call is read as what it was made of, and writing that again yields the same bytes.
#[track_caller]
fn check_call(schema: &Schema, wire_format: WireFormat, bytes: &Bytes) {
    let (head, value) = receive(schema, ECHO, wire_format, bytes).expect("readable");
    assert_eq!(
        (head.name.as_str(), head.kind, head.sequence),
        ("echo", TMessageType::Call, 0),
        "{wire_format}"
    );
    let record = params(schema);
    assert_eq!(value, record, "{wire_format}");
    let mut out = BytesMut::new();
    let head = HeadOut {
        name: "echo",
        kind: TMessageType::Call,
        sequence: 0,
    };
    write_message(
        &mut out,
        wire_format,
        head,
        Body::Params {
            schema,
            id: ECHO,
            record: &record,
        },
    )
    .expect("writable");
    assert_eq!(out.freeze(), bytes, "{wire_format}");
}

#[test]
fn calls_by_apache_s_python() {
    let schema = sample::schema(true);
    for written in APACHE {
        for (wire_format, bytes) in in_both(written.protocol, written.call) {
            check_call(&schema, wire_format, &bytes);
        }
    }
}

#[test]
fn calls_by_thriftpy2() {
    let schema = sample::schema(false);
    for (protocol, call) in THRIFTPY2 {
        for (wire_format, bytes) in in_both(protocol, call) {
            check_call(&schema, wire_format, &bytes);
        }
    }
}

#[test]
fn oneway_calls() {
    let mut schema = sample::schema(false);
    let text = sample::field(1, "text", Type::String);
    schema.structs[0] = sample::struct_type(
        "golden.ping params",
        crate::idl::StructKind::Struct,
        vec![text],
    );
    for written in APACHE {
        for (wire_format, bytes) in in_both(written.protocol, written.oneway) {
            let (head, value) =
                receive(&schema, sample::POINT, wire_format, &bytes).expect("readable");
            assert_eq!(
                (head.name.as_str(), head.kind),
                ("ping", TMessageType::OneWay)
            );
            assert_eq!(
                value,
                record(&schema, sample::POINT, &[("text", "hi".into())])
            );
        }
    }
}

/// The head and the body of the one message in `bytes`.
fn open(wire_format: WireFormat, bytes: &Bytes) -> (TMessageType, i32, Bytes) {
    let message = Framer::with_wire_format(wire_format, Limits::default())
        .next(&mut BytesMut::from(&bytes[..]))
        .expect("in wire format")
        .expect("whole");
    let (head, body) = read_head(wire_format.protocol, &message).expect("a head");
    assert_eq!(head.name, Text::from("echo"));
    (head.kind, head.sequence, body)
}

#[test]
fn replies_and_exceptions() {
    let mut schema = sample::schema(true);
    let why = sample::field(1, "why", Type::String);
    schema.structs[4] =
        sample::struct_type("golden.Oops", crate::idl::StructKind::Exception, vec![why]);
    let (success, oops) = (Type::Struct(ALL), Type::Struct(sample::NODE));
    let fields = [(0, &success), (1, &oops)];
    let thrown = record(&schema, sample::NODE, &[("why", "no".into())]);
    for written in APACHE {
        let expected = [
            (written.reply, -2, (0, sample::all(&schema))),
            (written.exception, 1, (1, thrown.clone())),
        ];
        for (digits, number, expected) in expected {
            for (wire_format, bytes) in in_both(written.protocol, digits) {
                let (kind, sequence, body) = open(wire_format, &bytes);
                assert_eq!((kind, sequence), (TMessageType::Reply, number));
                let got = decode_result(
                    &schema,
                    &fields,
                    wire_format.protocol,
                    &body,
                    &Limits::default(),
                );
                assert_eq!(got, Ok(Some(expected.clone())), "{wire_format}");
            }
        }
    }
}

#[test]
fn application_errors() {
    for written in APACHE {
        for (wire_format, bytes) in in_both(written.protocol, written.application_error) {
            let (kind, sequence, body) = open(wire_format, &bytes);
            assert_eq!((kind, sequence), (TMessageType::Exception, 1));
            let got = decode_application_error(wire_format.protocol, &body, &Limits::default());
            assert_eq!(got, Ok((7, "bad".into())), "{wire_format}");
        }
    }
}
