//! Puts quotes around the integers of a JSON text that are beyond `i64`, so that they are read as text.

use crate::value::is_beyond_i64;

/// The least double that may stand for an integer beyond `i64`: 2^63.
pub(super) const LEAST: f64 = 9_223_372_036_854_775_808.0;

/// The valid JSON text `json` with such integers in quotes.
pub(super) fn quoted(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 16);
    let mut rest = json;
    while let Some(first) = rest.first() {
        let len = match first {
            b'"' => string_len(rest),
            b'-' | b'0'..=b'9' => number_len(rest),
            _ => 1,
        };
        let (token, after) = rest.split_at(len);
        let number = std::str::from_utf8(token).unwrap_or_default();
        if is_beyond_i64(number) {
            out.push(b'"');
            out.extend_from_slice(token);
            out.push(b'"');
        } else {
            out.extend_from_slice(token);
        }
        rest = after;
    }
    out
}

/// The length of the string at the front, with both of its quotes.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn number_len(text: &[u8]) -> usize {
    let ends = |byte: &u8| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    text.iter().position(ends).unwrap_or(text.len())
}
