//! The compact protocol: variable-length zigzag numbers, field ids as deltas, bools inside field heads.
//!
//! Doubles are little endian, as in every implementation. Specification:
//! `doc/specs/thrift-compact-protocol.md` of Apache Thrift.

mod reader;
mod skip;
mod types; // numbers
mod writer;

use bytes::{Bytes, BytesMut};

use super::codec::Codec;

use reader::CompactReader;
pub(crate) use types::Compact;
use types::{PROTOCOL_ID, VERSION};
use writer::CompactWriter;

impl Codec for Compact {
    const NAME: &str = "compact";
    const HEADER_ID: u32 = 2;
    const FIRST_BYTE: u8 = PROTOCOL_ID;

    type Reader<'m> = CompactReader<'m>;
    type Writer<'o> = CompactWriter<'o>;

    #[inline]
    fn reader(message: &Bytes) -> CompactReader<'_> {
        CompactReader::new(message)
    }

    #[inline]
    fn writer(out: &mut BytesMut) -> CompactWriter<'_> {
        CompactWriter::new(out)
    }

    fn is_start([id, second]: [u8; 2]) -> bool {
        id == PROTOCOL_ID && second & 0x1f == VERSION
    }
}
