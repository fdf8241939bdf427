//! Undoes the compression of a body, up to the limit of its length.
//!
//! Requests ask for gzip, deflate, br and zstd. A body in another encoding is a bad answer, because the server was not asked
//! for it.

use std::io::Read;

use brotli_decompressor::Decompressor;
use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use ruzstd::decoding::StreamingDecoder;

use super::failure::too_long;
use crate::backend::LookupError;
use crate::backend::format::bad_answer;

/// The encodings that are understood, as a request names them.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip, deflate, br, zstd");

/// How much of a body the Brotli decoder reads at a time. What it keeps is limited by the format: 16 MiB.
const BROTLI_BUFFER_BYTES: usize = 4096;
/// What a zstd decoder keeps at the most, unless the body may be longer: what RFC 8878 recommends to support.
const ZSTD_WINDOW_MAX: u64 = 8 << 20;

/// How many encodings may be around a body: each one is decoded up to the limit.
const ENCODINGS_MAX: usize = 3;

/// The body without the encodings that `headers` name.
pub(super) fn undo(
    headers: &HeaderMap,
    body: Bytes,
    bytes_max: usize,
) -> Result<Bytes, LookupError> {
    if body.is_empty() || !headers.contains_key(CONTENT_ENCODING) {
        return Ok(body);
    }
    let named = headers.get_all(CONTENT_ENCODING).iter();
    let named: Vec<&str> = named.filter_map(|value| value.to_str().ok()).collect();
    let encodings = named.iter().flat_map(|value| value.split(','));
    let encodings: Vec<&str> = encodings
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if encodings.len() > ENCODINGS_MAX {
        return Err(bad_answer("the body is in too many encodings"));
    }
    // The last one was applied last.
    let mut encodings = encodings.into_iter().rev();
    encodings.try_fold(body, |body, encoding| one(encoding, body, bytes_max))
}

fn one(encoding: &str, body: Bytes, bytes_max: usize) -> Result<Bytes, LookupError> {
    let is = |name: &str| encoding.eq_ignore_ascii_case(name);
    if is("identity") {
        Ok(body)
    } else if is("gzip") || is("x-gzip") {
        read(encoding, MultiGzDecoder::new(&*body), bytes_max)
    } else if is("deflate") && has_zlib_header(&body) {
        read(encoding, ZlibDecoder::new(&*body), bytes_max)
    } else if is("deflate") {
        // Some servers leave out what the specification asks for around the stream.
        read(encoding, DeflateDecoder::new(&*body), bytes_max)
    } else if is("br") {
        read(
            encoding,
            Decompressor::new(&*body, BROTLI_BUFFER_BYTES),
            bytes_max,
        )
    } else if is("zstd") {
        zstd(&body, bytes_max)
    } else {
        let name = &encoding[..encoding.floor_char_boundary(40)];
        Err(bad_answer(format!(
            "the body is in the encoding `{name}`; gzip, deflate, br and zstd were asked for"
        )))
    }
}

/// The frames of a body, one after the other. Each is checked for what it makes the decoder keep.
fn zstd(mut frames: &[u8], bytes_max: usize) -> Result<Bytes, LookupError> {
    let mut out = Vec::new();
    while !frames.is_empty() {
        let window = zstd_window(frames).unwrap_or_default();
        if window > ZSTD_WINDOW_MAX.max(u64::try_from(bytes_max).unwrap_or(u64::MAX)) {
            let why = format!("its zstd needs a window of {window} bytes");
            return Err(bad_answer(why));
        }
        let decoder = StreamingDecoder::new(&mut frames)
            .map_err(|err| bad_answer(format!("the body is not valid zstd: {err}")))?;
        out.extend_from_slice(&read("zstd", decoder, bytes_max - out.len())?);
    }
    Ok(out.into())
}

/// How many bytes the decoder of a frame has to keep (RFC 8878, 3.1.1.1). `None` if the frame is too short to say.
fn zstd_window(frame: &[u8]) -> Option<u64> {
    let (descriptor, rest) = frame.get(4..)?.split_first()?;
    if descriptor & 0x20 == 0 {
        let window = rest.first()?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A single segment: the window is the whole content, whose size follows the number of the dictionary.
    let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (size_bytes, least) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let mut size = [0; 8];
    size[..size_bytes].copy_from_slice(rest.get(dictionary_bytes..)?.get(..size_bytes)?);
    Some(u64::from_le_bytes(size).saturating_add(least))
}

/// RFC 1950: the method is 8, and the first two bytes are a multiple of 31.
fn has_zlib_header(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => {
            first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
        }
        _ => false,
    }
}

fn read(encoding: &str, stream: impl Read, bytes_max: usize) -> Result<Bytes, LookupError> {
    let mut out = Vec::new();
    // One byte more than the limit shows whether the body ends there.
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let read = stream.take(limit).read_to_end(&mut out);
    read.map_err(|err| bad_answer(format!("the body is not valid {encoding}: {err}")))?;
    if out.len() > bytes_max {
        return Err(too_long(bytes_max));
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;
    use crate::error::Code;

    fn headers(encodings: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        headers
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// `{"a": [1, 2, 3]}`, fifty times, as other programs compress it.
    const BROTLI: &[u8] = &[
        0x1b, 0x1f, 0x03, 0xf8, 0x9d, 0x05, 0x6e, 0xac, 0xd8, 0x66, 0x1c, 0x26, 0xa6, 0x2e, 0xc3,
        0x5a, 0x24, 0x66, 0xaf, 0x4f, 0xca, 0xcc, 0x6c, 0x25, 0x88, 0x4e, 0x58, 0xb1, 0x74, 0x45,
        0x83, 0x31, 0x80, 0xca, 0x62, 0xb2, 0xa0, 0x03,
    ];
    const ZSTD: &[u8] = &[
        0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x20, 0x02, 0xbd, 0x00, 0x00, 0x80, 0x7b, 0x22, 0x61, 0x22,
        0x3a, 0x20, 0x5b, 0x31, 0x2c, 0x20, 0x32, 0x2c, 0x20, 0x33, 0x5d, 0x7d, 0x01, 0x00, 0x1a,
        0x4e, 0x35, 0x97,
    ];

    fn undone(encodings: &[&'static str], body: Vec<u8>, most: usize) -> Result<Bytes, Code> {
        undo(&headers(encodings), body.into(), most).map_err(|err| err.code)
    }

    #[test]
    fn every_encoding_is_undone_up_to_the_limit() {
        let text = b"{\"a\": [1, 2, 3]}".repeat(50);
        for (encodings, body) in [
            (&[][..], text.clone()),
            (&["identity"], text.clone()),
            (&["gzip"], gzip(&text)),
            (&["X-GZIP"], gzip(&text)),
            (&["gzip"], [gzip(&text[..100]), gzip(&text[100..])].concat()),
            (&["deflate"], zlib(&text)),
            (&["deflate"], raw(&text)),
            (&["deflate, gzip"], gzip(&zlib(&text))),
            (&["deflate", "gzip"], gzip(&zlib(&text))),
            (&["br"], BROTLI.to_vec()),
            (&["zstd"], ZSTD.to_vec()),
            (&["br, gzip"], gzip(BROTLI)),
        ] {
            let found = undone(encodings, body.clone(), text.len());
            assert_eq!(found.as_deref(), Ok(&text[..]), "{encodings:?}");
            let found = undone(encodings, body, text.len() - 1);
            if encodings.iter().any(|encoding| *encoding != "identity") {
                assert_eq!(found, Err(Code::LookupTooMany), "{encodings:?}");
            }
        }
        assert_eq!(undone(&["gzip"], Vec::new(), 1), Ok(Bytes::new()));
    }

    #[test]
    fn what_cannot_be_undone_is_a_bad_answer() {
        let small = gzip(b"some text that is long enough");
        for end in 1..small.len() {
            let cut = undone(&["gzip"], small[..end].to_vec(), 1000);
            assert_eq!(cut, Err(Code::LookupBadAnswer), "{end}");
        }
        for (encoding, whole) in [("br", BROTLI), ("zstd", ZSTD)] {
            for end in 1..whole.len() {
                let cut = undone(&[encoding], whole[..end].to_vec(), 1000);
                // The last four bytes of this frame are a checksum.
                let is_whole = encoding == "zstd" && end >= whole.len() - 4;
                assert!(
                    is_whole || cut == Err(Code::LookupBadAnswer),
                    "{encoding} {end}"
                );
            }
        }
        for encodings in [
            &["br"][..],
            &["zstd"],
            &["compress"],
            &["gzip, gzip, gzip, gzip"],
            &["gzip"],
        ] {
            let found = undone(encodings, b"plain".to_vec(), 1000);
            assert_eq!(found, Err(Code::LookupBadAnswer), "{encodings:?}");
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert_eq!(undone(&["gzip"], bomb, 100_000), Err(Code::LookupTooMany));
    }

    #[test]
    fn frames_of_zstd_follow_each_other_and_ask_for_no_more_than_the_limit() {
        let text = b"{\"a\": [1, 2, 3]}".repeat(50);
        let twice = undone(&["zstd"], [ZSTD, ZSTD].concat(), 2 * text.len());
        assert_eq!(twice.as_deref(), Ok(&text.repeat(2)[..]));
        let less = undone(&["zstd"], [ZSTD, ZSTD].concat(), 2 * text.len() - 1);
        assert_eq!(less, Err(Code::LookupTooMany));
        assert_eq!(zstd_window(ZSTD), Some(800));
        // Not a single segment, and a window of 3.75 TiB.
        let mut greedy = ZSTD.to_vec();
        greedy.splice(4..7, [0x00, 0xff]);
        assert_eq!(zstd_window(&greedy), Some((1 << 41) + 7 * (1 << 38)));
        assert_eq!(undone(&["zstd"], greedy, 1000), Err(Code::LookupBadAnswer));
    }

    #[test]
    fn damaged_bodies_end_without_a_panic() {
        for (encoding, whole) in [("br", BROTLI), ("zstd", ZSTD)] {
            for at in 0..whole.len() {
                for byte in 0..=u8::MAX {
                    let mut damaged = whole.to_vec();
                    damaged[at] = byte;
                    let found = undone(&[encoding], damaged, 100_000);
                    assert!(found.is_ok() || byte != whole[at], "it is not damaged");
                    assert!(found.map_or(0, |found| found.len()) <= 100_000);
                }
            }
        }
    }
}
