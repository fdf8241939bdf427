//! Compresses requests as gzip (RFC 1952). The compressor is made once: it is larger than most requests.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// No name, no time, the fastest algorithm, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// What is compressed shrinks at least to this share, as a rule.
const SHARE: usize = 4;

/// Compresses one request after the other.
pub(super) struct Gzip(Compress);

impl Gzip {
    pub(super) fn new() -> Self {
        Gzip(Compress::new(Compression::fast(), false))
    }

    /// The compressed `body`.
    pub(super) fn compress(&mut self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len() / SHARE + 64);
        out.extend_from_slice(&HEADER);
        self.0.reset();
        loop {
            let taken = usize::try_from(self.0.total_in()).unwrap_or(usize::MAX);
            let rest = body.get(taken..).unwrap_or_default();
            let status = self.0.compress_vec(rest, &mut out, FlushCompress::Finish);
            match status.expect("compressing needs only memory") {
                Status::StreamEnd => break,
                Status::Ok | Status::BufError => out.reserve(out.capacity()),
            }
        }
        let mut crc = Crc::new();
        crc.update(body);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&crc.amount().to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::random::Random;

    #[test]
    fn what_is_compressed_is_read_again_also_with_a_used_compressor() {
        let mut gzip = Gzip::new();
        let mut random = Random::seeded(1);
        let noise: Vec<u8> = (0..300_000)
            .map(|_| random.draw().to_le_bytes()[0])
            .collect();
        let text = b"tributary.backend pages".repeat(10_000);
        for body in [&b""[..], b"a", &text, &noise, &text, b"a"] {
            let compressed = gzip.compress(body);
            let mut read = Vec::new();
            let mut decoder = GzDecoder::new(&*compressed);
            decoder.read_to_end(&mut read).expect("valid gzip");
            assert!(read == body, "{} bytes", body.len());
        }
        assert!(gzip.compress(&text).len() < text.len() / 50);
    }
}
