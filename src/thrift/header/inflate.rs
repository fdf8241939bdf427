//! Decompresses a message up to a limit.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};

use crate::thrift::error::{WireError, invalid, too_large};

/// The first step by which the output buffer grows: the size of the result is declared nowhere.
const STEP: usize = 16 * 1024;

/// The contents of the zlib stream `message`, at most `bytes_max` bytes.
pub(super) fn inflate(message: &[u8], bytes_max: usize) -> Result<Bytes, WireError> {
    let mut stream = Decompress::new(true);
    let mut out = Vec::new();
    loop {
        let left = bytes_max - out.len();
        // One byte more than the limit shows whether the stream ends there or continues.
        out.reserve_exact(left.min(out.len().max(STEP)) + 1);
        let read = usize::try_from(stream.total_in())
            .map_or(message.len(), |read| read.min(message.len()));
        let before = (read, out.len());
        let status = stream
            .decompress_vec(&message[read..], &mut out, FlushDecompress::None)
            .map_err(|_| invalid("the compressed message is not a zlib stream"))?;
        if out.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        let stuck = stream.total_in() == before.0 as u64 && out.len() == before.1;
        match status {
            Status::StreamEnd => return Ok(out.into()),
            _ if stuck => return Err(invalid("the compressed message ends too early")),
            Status::Ok | Status::BufError => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;
    use crate::error::Code;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder
            .write_all(bytes)
            .expect("writing to a vector cannot fail");
        encoder.finish().expect("writing to a vector cannot fail")
    }

    #[test]
    fn inflates_what_was_deflated_up_to_the_limit() {
        for length in [0, 1, STEP - 1, STEP, STEP + 1, 5 * STEP + 7] {
            let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
            let small = deflated(&bytes);
            assert_eq!(inflate(&small, length.max(1)).expect("it fits"), bytes);
            if length > 1 {
                let err = inflate(&small, length - 1).expect_err("one byte too long");
                assert_eq!(err.code, Code::WireFrameTooLarge);
            }
            for end in 0..small.len().min(40) {
                let err = inflate(&small[..end], length.max(1)).expect_err("it is cut off");
                assert_eq!(err.code, Code::WireInvalid, "{end} of {length}");
            }
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let bomb = deflated(&vec![0; 64 << 20]);
        assert!(bomb.len() < 70_000, "{}", bomb.len());
        let err = inflate(&bomb, 100_000).expect_err("64 MiB");
        assert_eq!(err.code, Code::WireFrameTooLarge);
        assert_eq!(
            inflate(b"not zlib at all", 100).map_err(|err| err.code),
            Err(Code::WireInvalid)
        );
    }
}
