//! Turns a body into UTF-8 by the charset of its `content-type`, or by its byte order mark.
//!
//! Without either, a body is UTF-8. As browsers do, `iso-8859-1` is read as `windows-1252`, which differs only where
//! the former has control characters.

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;

use crate::backend::LookupError;
use crate::backend::format::bad_answer;

/// The characters of `windows-1252` from 0x80 to 0x9f. Five bytes have none.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The body as UTF-8, without a byte order mark. What has no charset is not checked.
pub(super) fn to_utf8(headers: &HeaderMap, body: Bytes) -> Result<Bytes, LookupError> {
    let marked = match &body[..] {
        [0xef, 0xbb, 0xbf, ..] => return Ok(body.slice(3..)),
        [0xfe, 0xff, rest @ ..] => Some(utf_16(rest, u16::from_be_bytes)),
        [0xff, 0xfe, rest @ ..] => Some(utf_16(rest, u16::from_le_bytes)),
        _ => None,
    };
    if let Some(marked) = marked {
        return marked;
    }
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str());
    let Some(charset) = content_type.and_then(Result::ok).and_then(charset) else {
        return Ok(body);
    };
    match &*charset.to_ascii_lowercase() {
        "utf-8" | "utf8" => Ok(body),
        // All charsets of the web begin with ASCII, except UTF-16 with its zeros.
        _ if body.is_ascii() && !body.contains(&0) => Ok(body),
        "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "us-ascii" | "ascii"
        | "windows-1252" | "cp1252" => Ok(windows_1252(&body)),
        "utf-16" | "utf-16le" => utf_16(&body, u16::from_le_bytes),
        "utf-16be" => utf_16(&body, u16::from_be_bytes),
        _ => {
            let name = &charset[..charset.floor_char_boundary(40)];
            Err(bad_answer(format!(
                "the body is in the charset `{name}`; utf-8, utf-16, iso-8859-1 and windows-1252 are known"
            )))
        }
    }
}

/// The charset of a content type: of `text/html; charset="utf-8"`, `utf-8`.
fn charset(content_type: &str) -> Option<&str> {
    let params = content_type.split(';').skip(1);
    let value = params
        .filter_map(|param| param.split_once('='))
        .find_map(|(name, value)| {
            name.trim()
                .eq_ignore_ascii_case("charset")
                .then_some(value.trim())
        })?;
    Some(value.trim_matches('"'))
}

fn windows_1252(body: &[u8]) -> Bytes {
    let char = |byte: &u8| match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        byte => char::from(*byte),
    };
    body.iter().map(char).collect::<String>().into()
}

fn utf_16(body: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Bytes, LookupError> {
    let (pairs, rest) = body.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text.into()),
        _ => Err(bad_answer("the body is not valid UTF-16")),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::error::Code;

    fn read(content_type: &'static str, body: &'static [u8]) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let text = to_utf8(&headers, Bytes::from_static(body)).map_err(|err| err.code)?;
        Ok(String::from_utf8(text.to_vec()).expect("UTF-8"))
    }

    #[test]
    fn bodies_become_utf_8_by_charset_and_by_mark() {
        let json = "application/json";
        for (content_type, body) in [
            (json, "é€".as_bytes()),
            ("application/json; charset=utf-8", "é€".as_bytes()),
            ("text/plain;version=1; Charset=\"UTF8\"", "é€".as_bytes()),
            ("text/plain; charset=ISO-8859-1", b"\xe9\x80"),
            ("text/plain; charset=windows-1252", b"\xe9\x80"),
            ("text/plain; charset=utf-16le", b"\xe9\0\xac\x20"),
            ("text/plain; charset=utf-16be", b"\0\xe9\x20\xac"),
            (json, b"\xef\xbb\xbf\xc3\xa9\xe2\x82\xac"),
            (json, b"\xff\xfe\xe9\0\xac\x20"),
            (json, b"\xfe\xff\0\xe9\x20\xac"),
        ] {
            assert_eq!(
                read(content_type, body),
                Ok("é€".into()),
                "{content_type} {body:?}"
            );
        }
        assert_eq!(
            read("text/plain; charset=koi8-r", b"ascii"),
            Ok("ascii".into())
        );
    }

    #[test]
    fn an_unknown_charset_is_a_bad_answer_and_never_a_guess() {
        for (content_type, body) in [
            ("text/plain; charset=koi8-r", &b"\xc1"[..]),
            ("text/plain; charset=shift_jis", "é".as_bytes()),
            ("text/plain; charset=utf-16le", b"a\0b"),
            ("text/plain; charset=utf-16le", b"\0\xd8"),
        ] {
            assert_eq!(
                read(content_type, body),
                Err(Code::LookupBadAnswer),
                "{content_type}"
            );
        }
    }
}
