//! Undoes the compression of a body, up to the limit of its length.
//!
//! Requests ask for gzip and deflate. A body in another encoding is a bad answer, because the server was not asked for it.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, HeaderValue};

use super::failure::too_long;
use crate::backend::LookupError;
use crate::backend::format::bad_answer;

/// The encodings that are understood, as a request names them.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip, deflate");

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
    } else {
        let name = &encoding[..encoding.floor_char_boundary(40)];
        Err(bad_answer(format!(
            "the body is in the encoding `{name}`; only gzip and deflate were asked for"
        )))
    }
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
        for encodings in [
            &["br"][..],
            &["zstd"],
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
}
