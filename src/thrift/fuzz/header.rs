//! `THeader` frames of one connection: whatever they contain, what is kept of them stays within limits.

use bytes::{Bytes, BytesMut};

use crate::fuzzing::{FuzzInput, hold};
use crate::thrift::header::write_head;
use crate::thrift::{Header, HeaderOut, Limits, Protocol};

const INFLATED_BYTES_MAX: usize = 2000;
const PAIRS_MAX: usize = 128;
const KEPT_BYTES_MAX: usize = 8 * 1024;

/// The first byte says whether compressed frames are accepted. Frames follow, each after its length in two bytes.
pub(crate) fn header(bytes: &[u8]) {
    let mut input = FuzzInput(bytes);
    let limits = Limits {
        inflated_bytes_max: input.choose(&[INFLATED_BYTES_MAX, 0]),
        ..Limits::default()
    };
    let mut header = Header::default();
    while !input.0.is_empty() {
        let length = usize::from(u16::from_be_bytes([input.byte(), input.byte()]));
        let (frame, rest) = input.0.split_at(length.min(input.0.len()));
        input.0 = rest;
        let opened = header.open(&Bytes::copy_from_slice(frame), &limits);
        let (pairs, kept) = header.kept();
        hold(pairs <= PAIRS_MAX, "pairs are few", &header);
        hold(
            kept <= KEPT_BYTES_MAX,
            "pairs that are kept are short",
            &header,
        );
        let Ok(message) = opened else { continue };
        let bytes_max = frame.len().max(limits.inflated_bytes_max);
        hold(
            message.len() <= bytes_max,
            "a message is within limits",
            message.len(),
        );
        written_again(&header, &message);
        for (name, _) in header.headers().iter() {
            let name = String::from_utf8_lossy(name).into_owned();
            header.text(&name);
        }
        header.forget();
        hold(
            header.headers().is_empty(),
            "pairs of a frame are let go",
            &header,
        );
    }
}

/// Checks that a header written from this one is read as the same.
fn written_again(header: &Header, message: &Bytes) {
    let pairs: Option<Vec<(&str, &[u8])>> = (header.headers().iter())
        .map(|(name, value)| Some((std::str::from_utf8(name).ok()?, value)))
        .collect();
    let Some(pairs) = pairs else { return };
    let out = HeaderOut {
        sequence: header.sequence(),
        pairs: &pairs,
    };
    let mut frame = BytesMut::new();
    let protocol = header.protocol();
    if write_head(&mut frame, protocol, &out).is_err() {
        return;
    }
    frame.extend_from_slice(message);
    let frame = frame.freeze().slice(4..);
    let mut again = Header::default();
    let opened = again.open(&frame, &Limits::default());
    hold(
        opened.as_ref() == Ok(message),
        "a written header is read",
        &frame,
    );
    hold(
        again.headers() == header.headers(),
        "written pairs are read",
        &again,
    );
    hold(
        again.sequence() == header.sequence(),
        "a sequence id is read",
        &again,
    );
    let protocols = (again.protocol(), protocol);
    hold(
        protocols.0 == protocols.1 || message.is_empty(),
        "a protocol is read",
        protocols,
    );
    hold(
        protocol != Protocol::BinaryOld || message[0] == 0,
        "old binary is told",
        message,
    );
}
