//! Decodes the bytes of an answer by the key `format`, such as `format = "json"`.
//!
//! Shared by the stores whose values have no declared type. Decoding is exact: bytes that are not in the
//! format are `lookup.bad_answer`, never a guess.

use bytes::Bytes;

use super::{Answer, LookupError, Yields};
use crate::config::Section;
use crate::error::Code;
use crate::offload::LARGE_BYTES;
use crate::value::{Text, Value, parse_double};

/// How stored bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON text; `null` means that there is nothing.
    Json,
    /// UTF-8.
    Text,
    /// The bytes unchanged.
    Bytes,
    /// A decimal integer.
    I64,
    /// A decimal number.
    Double,
}

impl Format {
    /// Takes the key `format`, one of `words`; `default` if it is missing.
    pub fn read(
        section: &mut Section<'_>,
        words: &[&'static str],
        default: Format,
    ) -> Option<Self> {
        if !section.has("format") {
            // Taken even if it is missing, so that it is suggested for a misspelt key.
            section.take("format");
            return Some(default);
        }
        Some(match section.word("format", words)?.0 {
            "json" => Format::Json,
            "bytes" => Format::Bytes,
            "i64" => Format::I64,
            "double" => Format::Double,
            _ => Format::Text,
        })
    }

    /// The type of a decoded value.
    pub fn yields(self) -> Yields {
        match self {
            Format::Json => Yields::Any,
            Format::Text => Yields::Text,
            Format::Bytes => Yields::Bytes,
            Format::I64 => Yields::Integer,
            Format::Double => Yields::Double,
        }
    }

    /// The answer in `bytes`, which is decoded later if that takes long.
    #[inline]
    pub fn answer(self, bytes: Bytes) -> Result<Answer, LookupError> {
        if self.is_slow(bytes.len()) {
            return Ok(Answer::undecoded(move || self.decode(bytes)));
        }
        self.decode(bytes).map(Answer::new)
    }

    /// Whether decoding this many bytes takes long.
    pub fn is_slow(self, bytes: usize) -> bool {
        self == Format::Json && bytes > LARGE_BYTES
    }

    /// Decodes `bytes`. Text and bytes keep the buffer.
    #[inline]
    pub fn decode(self, bytes: Bytes) -> Result<Value, LookupError> {
        match self {
            Format::Json => Value::from_json(&bytes)
                .map_err(|err| bad_answer(format!("the answer is not JSON: {err}"))),
            Format::Text => text(bytes).map(Value::Text),
            Format::Bytes => Ok(Value::Bytes(bytes)),
            Format::I64 => number(&bytes, "an integer", |text| text.parse().ok()).map(Value::I64),
            Format::Double => number(&bytes, "a number", parse_double).map(Value::Double),
        }
    }
}

/// `bytes` as text.
pub fn text(bytes: Bytes) -> Result<Text, LookupError> {
    Text::from_utf8(bytes).map_err(|_| bad_answer("the answer is not UTF-8"))
}

/// An answer that can't be understood.
pub fn bad_answer(detail: impl Into<String>) -> LookupError {
    LookupError::new(Code::LookupBadAnswer, detail)
}

fn number<N>(
    bytes: &[u8],
    kind: &str,
    parse: impl FnOnce(&str) -> Option<N>,
) -> Result<N, LookupError> {
    let parsed = std::str::from_utf8(bytes).ok().and_then(parse);
    parsed.ok_or_else(|| bad_answer(format!("the answer is not {kind}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_its_own_bytes_and_refuses_others() {
        let decode =
            |format: Format, bytes: &'static [u8]| format.decode(Bytes::from_static(bytes));
        let code = |format, bytes| decode(format, bytes).expect_err("refused").code;
        assert_eq!(decode(Format::Json, b"[1]").unwrap(), Value::from(vec![1]));
        assert_eq!(
            decode(Format::Text, "é".as_bytes()).unwrap(),
            Value::from("é")
        );
        assert_eq!(decode(Format::Bytes, b"\xff").unwrap().kind(), "bytes");
        assert_eq!(decode(Format::I64, b"-12").unwrap(), Value::I64(-12));
        assert_eq!(
            decode(Format::Double, b"1e3").unwrap(),
            Value::Double(1000.0)
        );
        for (format, bad) in [
            (Format::Json, &b"{"[..]),
            (Format::Text, b"\xff"),
            (Format::I64, b"1.5"),
            (Format::I64, b""),
            (Format::I64, b"9223372036854775808"),
            (Format::Double, b"one"),
            (Format::Double, b"1e400"),
        ] {
            assert_eq!(
                code(format, bad),
                Code::LookupBadAnswer,
                "{format:?} {bad:?}"
            );
        }
    }

    #[test]
    fn text_keeps_its_buffer() {
        let bytes = Bytes::from("some text that was read once".to_owned());
        let at = bytes.as_ptr();
        let Ok(Value::Text(text)) = Format::Text.decode(bytes) else {
            panic!("text")
        };
        assert_eq!(text.as_bytes().as_ptr(), at);
    }

    proptest::proptest! {
        #[test]
        fn numbers_are_read_as_they_were_printed(number: i64, bits: u64) {
            let decode = |format: Format, text: String| format.decode(text.into()).ok();
            proptest::prop_assert_eq!(decode(Format::I64, number.to_string()), Some(number.into()));
            let double = f64::from_bits(bits);
            if double.is_finite() {
                for text in [double.to_string(), format!("{double:e}")] {
                    proptest::prop_assert_eq!(decode(Format::Double, text.clone()), Some(double.into()));
                }
            }
        }
    }
}
