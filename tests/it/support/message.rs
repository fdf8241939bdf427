//! Messages in strict binary, written by hand, so that the program's codec does not test itself.

use super::bytes;

pub(crate) const CALL: u8 = 1;
pub(crate) const REPLY: u8 = 2;
pub(crate) const EXCEPTION: u8 = 3;
pub(crate) const ONEWAY: u8 = 4;

/// A message with the one parameter `code`.
pub(crate) fn message(kind: u8, name: &str, seqid: i32, code: &str) -> Vec<u8> {
    let param = [&bytes("0b 00 01")[..], &sized(code.as_bytes()), &[0]].concat();
    with_body(kind, name, seqid, &param)
}

pub(crate) fn with_body(kind: u8, name: &str, seqid: i32, body: &[u8]) -> Vec<u8> {
    [
        &[0x80, 1, 0, kind][..],
        &sized(name.as_bytes()),
        &seqid.to_be_bytes(),
        body,
    ]
    .concat()
}

pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("a small text");
    [&len.to_be_bytes(), bytes].concat()
}

/// Expects a `TApplicationException` of this type whose message starts with `code`.
#[track_caller]
pub(crate) fn assert_exception(reply: &[u8], name: &str, seqid: i32, kind: u8, code: &str) {
    let head = with_body(EXCEPTION, name, seqid, &bytes("0b 00 01"));
    let text = String::from_utf8_lossy(reply).into_owned();
    assert_eq!(reply[..head.len()], head, "{text}");
    assert!(
        reply[head.len() + 4..].starts_with(code.as_bytes()),
        "expected {code}: {text}"
    );
    let tail = [&bytes("08 00 02 00 00 00")[..], &[kind, 0]].concat();
    assert!(reply.ends_with(&tail), "expected type {kind}: {reply:02x?}");
}
