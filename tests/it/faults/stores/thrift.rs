//! `string get(1: string token)`, in framed binary, byte by byte.

use bytes::{Buf as _, BytesMut};

use super::answer;
use crate::support::message::{REPLY, sized, with_body};

/// The service, for the configuration.
pub(in crate::faults) const IDL: &str = "service Store { string get(1: string token) }";

/// A message's first bytes up to the sequence id, `80 01 00 01`, the length of the name and `get`.
const HEAD: usize = 4 + 4 + 3;

pub(super) fn speak(name: &str, received: &mut BytesMut, out: &mut Vec<u8>) -> usize {
    let mut questions = 0;
    while let Some(len) = received
        .first_chunk()
        .map(|len| u32::from_be_bytes(*len) as usize)
        && received.len() >= 4 + len
    {
        received.advance(4);
        let message = received.split_to(len);
        questions += 1;
        // The sequence id, then the field's head and length; a stop follows the token.
        let sequence = message[HEAD..].first_chunk().expect("a whole message");
        let token = &message[HEAD + 4 + 7..len - 1];
        let value = answer(name, &String::from_utf8_lossy(token));
        let result = [&[0x0b, 0, 0][..], &sized(value.as_bytes()), &[0]].concat();
        let reply = with_body(REPLY, "get", i32::from_be_bytes(*sequence), &result);
        out.extend(sized(&reply));
    }
    questions
}
