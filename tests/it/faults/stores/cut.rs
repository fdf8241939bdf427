//! Cuts questions out of a stream.

use bytes::BytesMut;

/// Cuts off what comes before `end`, if it has come.
pub(super) fn until(received: &mut BytesMut, end: &[u8]) -> Option<BytesMut> {
    let at = received
        .windows(end.len())
        .position(|window| window == end)?;
    let mut head = received.split_to(at + end.len());
    head.truncate(at);
    Some(head)
}
