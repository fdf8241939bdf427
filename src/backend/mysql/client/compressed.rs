//! Packs packets into compressed ones and unpacks them.
//!
//! A compressed packet is the length of its payload in 3 bytes, a number, and the length of what is packed in 3 bytes: 0 if
//! the payload is not compressed. It may hold several packets, or a part of one.

use std::io::{Read as _, Write as _};

use bytes::{Buf as _, BytesMut};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::backend::mysql::error::Error;

/// The longest payload of one packet, compressed or not. A payload of this length goes on in the next packet.
pub(super) const PAYLOAD_MAX: usize = 0xff_ffff;
const HEADER_BYTES: usize = 7;
/// Less than this is sent as it is.
const PACKED_MIN: usize = 50;

/// The state of both directions.
pub(super) struct Compressed {
    level: Compression,
    /// The number of the next compressed packet, in either direction.
    number: u8,
    unpacked: BytesMut,
}

impl Compressed {
    pub(super) fn new(level: Compression) -> Self {
        Compressed {
            level,
            number: 0,
            unpacked: BytesMut::new(),
        }
    }

    /// A new command begins.
    pub(super) fn begin(&mut self) {
        self.number = 0;
    }

    /// Packets that were unpacked.
    pub(super) fn unpacked(&mut self) -> &mut BytesMut {
        &mut self.unpacked
    }

    pub(super) fn has_more(&self) -> bool {
        !self.unpacked.is_empty()
    }

    /// Replaces packets by compressed ones.
    pub(super) fn pack(&mut self, packets: &mut Vec<u8>) -> Result<(), Error> {
        let mut packed = Vec::with_capacity(packets.len() / 2 + HEADER_BYTES);
        for part in packets.chunks(PAYLOAD_MAX) {
            let at = packed.len();
            packed.extend_from_slice(&[0; HEADER_BYTES]);
            let length = if part.len() < PACKED_MIN {
                packed.extend_from_slice(part);
                0
            } else {
                let mut encoder = ZlibEncoder::new(&mut packed, self.level);
                encoder.write_all(part)?;
                encoder.finish()?;
                part.len()
            };
            let payload = packed.len() - at - HEADER_BYTES;
            let three = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
            packed[at..at + 3].copy_from_slice(&three(payload)[..3]);
            packed[at + 3] = self.number;
            packed[at + 4..at + 7].copy_from_slice(&three(length)[..3]);
            self.number = self.number.wrapping_add(1);
        }
        *packets = packed;
        Ok(())
    }

    /// Unpacks one compressed packet, if all of it has come.
    pub(super) fn unpack(&mut self, received: &mut BytesMut) -> Result<bool, Error> {
        let Some(header) = received.get(..HEADER_BYTES) else {
            return Ok(false);
        };
        let three = |bytes: &[u8]| {
            usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16
        };
        let (payload, number, length) = (three(header), header[3], three(&header[4..]));
        if number != self.number {
            return Err(Error::Protocol("its compressed packets are out of order"));
        }
        if received.len() < HEADER_BYTES + payload {
            return Ok(false);
        }
        self.number = number.wrapping_add(1);
        received.advance(HEADER_BYTES);
        let payload = received.split_to(payload);
        if length == 0 {
            self.unpacked.extend_from_slice(&payload);
            return Ok(true);
        }
        let mut unpacked = Vec::new();
        let limit = length as u64 + 1;
        let read = ZlibDecoder::new(&payload[..])
            .take(limit)
            .read_to_end(&mut unpacked);
        if !read.is_ok_and(|read| read == length) {
            return Err(Error::Protocol("a compressed packet can't be unpacked"));
        }
        self.unpacked.extend_from_slice(&unpacked);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_every_length_come_back() {
        let mut ours = Compressed::new(Compression::fast());
        let mut theirs = Compressed::new(Compression::fast());
        for length in [0, 1, 49, 50, 100_000, PAYLOAD_MAX + 1] {
            let packets: Vec<u8> = (0..7).cycle().take(length).collect();
            let mut packed = packets.clone();
            ours.pack(&mut packed).expect("into memory");
            let mut received = BytesMut::from(&packed[..]);
            while theirs.unpack(&mut received).expect("as packed") {}
            assert_eq!(theirs.unpacked().split(), packets, "{length}");
            assert!(received.is_empty());
        }
    }

    #[test]
    fn a_length_that_is_not_true_is_refused() {
        let mut packed = vec![b'x'; 1000];
        let mut ours = Compressed::new(Compression::fast());
        ours.pack(&mut packed).expect("into memory");
        for (at, byte) in [(3, 9), (4, 0xe7), (4, 0xe9), (6, 0xff), (9, 0xff)] {
            let mut bad = BytesMut::from(&packed[..]);
            bad[at] = byte;
            let mut theirs = Compressed::new(Compression::fast());
            let refused = theirs.unpack(&mut bad);
            assert!(
                matches!(refused, Err(Error::Protocol(_))),
                "{at}: {refused:?}"
            );
            assert!(theirs.unpacked().capacity() < 4096);
        }
    }
}
