//! The binary protocol: fixed-width numbers in network byte order, a length before each string.
//!
//! Strict and old binary differ only in the head of the message. Specification:
//! `doc/specs/thrift-binary-protocol.md` of Apache Thrift.

mod reader;
mod skip;
mod types; // numbers
mod writer;

use bytes::{Bytes, BytesMut};

use super::codec::Codec;

use reader::BinaryReader;
pub(crate) use types::{Binary, Old, Strict};
pub(crate) use writer::BinaryWriter;

impl<const STRICT: bool> Codec for Binary<STRICT> {
    const NAME: &str = if STRICT { "binary" } else { "old_binary" };
    const HEADER_ID: u32 = 0;
    // Old messages begin with the length of a name, which is at most 256.
    const FIRST_BYTE: u8 = if STRICT { 0x80 } else { 0 };

    type Reader<'m> = BinaryReader<'m>;
    type Writer<'o> = BinaryWriter<'o>;

    #[inline]
    fn reader(message: &Bytes) -> BinaryReader<'_> {
        BinaryReader::new(message, STRICT)
    }

    #[inline]
    fn writer(out: &mut BytesMut) -> BinaryWriter<'_> {
        BinaryWriter::new(out, STRICT)
    }

    fn is_start(start: [u8; 2]) -> bool {
        if STRICT {
            start == [0x80, 0x01]
        } else {
            start[0] == Self::FIRST_BYTE
        }
    }
}
