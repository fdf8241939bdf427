//! A stream that arrives in pieces gives the same messages as one that arrives whole, and no byte is read twice.

use bytes::{Bytes, BytesMut};

use crate::error::Code;
use crate::fuzzing::{FuzzInput, agree, hold};
use crate::thrift::skip::{SkipRules, Skipper};
use crate::thrift::{
    Framer, Headers, Limits, Protocol, Transport, WireFormat, WireFormats, with_codec,
};

/// What a framer takes off the front of a stream.
#[derive(Debug, PartialEq)]
struct Cut {
    message: Result<Bytes, Code>,
    wire_format: Option<WireFormat>,
    /// Sequence id and pairs of its frame's header.
    header: Option<(i32, Headers)>,
}

/// The first byte chooses the limits, the second where the rest is cut into pieces.
pub(crate) fn framing(bytes: &[u8]) {
    let mut input = FuzzInput(bytes);
    let choice = input.byte();
    let limits = limits(choice);
    let pieces = input.clone().pieces();
    let stream = pieces.concat();
    let whole = cut(limits, &[&stream]);
    let split = cut(limits, &pieces);
    agree("a stream in pieces is the same as in one", &split, &whole);
    for cut in &whole {
        if let Ok(message) = &cut.message {
            let bytes_max = limits.frame_bytes_max.max(limits.inflated_bytes_max);
            hold(
                message.len() <= bytes_max,
                "messages are within limits",
                cut,
            );
            hold(
                cut.wire_format.is_some(),
                "a message has a wire format",
                cut,
            );
        }
    }
    for &protocol in Protocol::ALL {
        with_codec!(protocol, C => skip::<C>(limits, &stream, &pieces));
    }
}

fn limits(choice: u8) -> Limits {
    Limits {
        frame_bytes_max: [16_384_000, 4096, 300, 40][usize::from(choice & 3)],
        depth_max: [64, 3][usize::from(choice >> 2 & 1)],
        inflated_bytes_max: [0, 2000][usize::from(choice >> 3 & 1)],
        wire_formats: if choice & 0x10 == 0 {
            WireFormats::default()
        } else {
            WireFormats::of(
                &[Transport::Header, Transport::Unframed],
                &[Protocol::Binary, Protocol::Compact],
            )
        },
        ..Limits::default()
    }
}

/// All messages up to the error that ends the stream.
fn cut(limits: Limits, pieces: &[&[u8]]) -> Vec<Cut> {
    let mut framer = Framer::new(limits);
    let mut buffer = BytesMut::new();
    let mut cuts = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            let (message, fatal) = match framer.next(&mut buffer) {
                Ok(None) => break,
                Ok(Some(message)) => (Ok(message), false),
                Err(err) => (Err(err.code), !err.is_of_frame()),
            };
            cuts.push(Cut {
                message,
                wire_format: framer.wire_format(),
                header: (framer.header())
                    .map(|header| (header.sequence(), header.headers().clone())),
            });
            if fatal {
                return cuts;
            }
            hold(buffer.len() < before, "a message takes bytes", before);
        }
    }
    cuts
}

/// Overwrites skipped bytes, which must not matter because they are never read again.
fn skip<R: SkipRules>(limits: Limits, stream: &[u8], pieces: &[&[u8]]) {
    let skipper = || Skipper::message(limits.frame_bytes_max, limits.depth_max);
    let whole = skipper().run::<R>(stream);
    let whole = whole.map_err(|err| err.code);
    let mut skipper = skipper();
    let mut buffer = Vec::new();
    let mut split = Ok(None);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let before = skipper.at();
        split = skipper.run::<R>(&buffer).map_err(|err| err.code);
        hold(skipper.at() >= before, "a skipper never goes back", before);
        if split != Ok(None) {
            break;
        }
        buffer[..skipper.at()].fill(0xaa);
    }
    agree(
        "a message ends where it ends, in pieces and in one",
        &split,
        &whole,
    );
}
