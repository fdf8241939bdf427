//! Reads numbers, string literals and doc comments: the contents of tokens.
//!
//! In: text that starts with one. Out: its value, or what is wrong with it. Escapes and number formats are those of
//! Apache's compiler.

/// A number literal's value.
pub(crate) enum Number {
    /// Without a fraction or an exponent.
    Integer(i64),
    /// With a fraction or an exponent.
    Double(f64),
}

/// An invalid string literal.
pub(crate) struct BadString {
    /// Where the invalid part starts, in bytes from the opening quote.
    pub(crate) at: usize,
    /// How many bytes to skip before reading on.
    pub(crate) len: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// How to fix it.
    pub(crate) help: &'static str,
}

/// How many bytes at the front belong to a number, valid or not: `12ab` is one invalid number, not a number and a
/// name.
pub(crate) fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let hex = text.trim_start_matches(['+', '-']).starts_with("0x");
    let mut len = 1;
    while let Some(byte) = bytes.get(len) {
        let exponent_sign =
            matches!(byte, b'+' | b'-') && !hex && matches!(bytes[len - 1], b'e' | b'E');
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || exponent_sign) {
            break;
        }
        len += 1;
    }
    len
}

/// The value of a number measured by [`number_len`], or message and remedy.
pub(crate) fn number(text: &str) -> Result<Number, (String, &'static str)> {
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.strip_prefix("0x") {
        Some(hex) => (16, hex),
        None => (10, digits),
    };
    if !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)) {
        let magnitude = i128::from_str_radix(digits, radix).unwrap_or(i128::MAX);
        let signed = if negative { -magnitude } else { magnitude };
        return i64::try_from(signed).map(Number::Integer).map_err(|_| {
            (
                format!("`{text}` does not fit into 64 bits"),
                "integers run from -9223372036854775808 to 9223372036854775807",
            )
        });
    }
    let double = digits
        .bytes()
        .all(|byte| b"0123456789.eE+-".contains(&byte));
    match text.parse::<f64>() {
        Ok(number) if double && number.is_finite() => return Ok(Number::Double(number)),
        Ok(_) if double => {
            return Err((
                format!("`{text}` does not fit into a double"),
                "doubles run to about 1.8e308",
            ));
        }
        _ => {}
    }
    Err((
        format!("`{text}` is not a number"),
        "numbers look like `12`, `-0x1F`, `0.5` or `1e9`; names start with a letter",
    ))
}

/// The text of the literal at the front, and its length including quotes.
pub(crate) fn string(text: &str) -> Result<(String, usize), BadString> {
    let mut chars = text.char_indices();
    let quote = chars.next().map_or('"', |(_, quote)| quote);
    let mut value = String::new();
    let mut escape = None;
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => {
                return match escape {
                    None => Ok((value, at + 1)),
                    Some((at, message)) => Err(BadString {
                        at,
                        len: chars.offset(),
                        message,
                        help: "the escapes are \\n, \\r, \\t, \\\\, \\\" and \\'",
                    }),
                };
            }
            '\n' => return Err(endless(at)),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c @ ('"' | '\'' | '\\'))) => value.push(c),
                Some((_, '\n')) | None => return Err(endless(at)),
                Some((_, c)) => {
                    let message = format!("`\\{}` is not an escape", c.escape_debug());
                    escape.get_or_insert((at, message));
                }
            },
            _ => value.push(c),
        }
    }
    Err(endless(text.len()))
}

fn endless(len: usize) -> BadString {
    BadString {
        at: 0,
        len,
        message: "this string is not closed on its line".into(),
        help: "close it with the quote that opened it; write a line break as \\n",
    }
}

/// The text of a doc comment, without `/**`, ` * ` and `*/`.
pub(crate) fn doc(comment: &str) -> Option<String> {
    let inner = comment.strip_prefix("/**")?.strip_suffix("*/")?;
    let lines: Vec<&str> = inner
        .lines()
        .map(|line| {
            let bare = line.trim();
            let bare = bare.trim_start_matches('*');
            // One blank after the star belongs to the frame; more blanks are indentation.
            bare.strip_prefix(' ').unwrap_or(bare).trim_end()
        })
        .collect();
    let text = lines.join("\n");
    let text = text.trim_matches('\n').trim_end_matches(['*', ' ']);
    (!text.trim().is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_have_the_escapes_of_apache_s_compiler() {
        let (value, len) = string(r#""a\n\t\"\'\\é" rest"#).ok().unwrap();
        assert_eq!(value, "a\n\t\"'\\é");
        assert_eq!(len, 15);
        assert_eq!(string("'it''s'").ok().unwrap().0, "it");
        let bad = string(r#""ab\x41" z"#).err().unwrap();
        assert_eq!((bad.at, bad.len), (3, 8));
        assert!(bad.message.contains("escape"));
        assert!(string("\"ab\ncd\"").is_err());
        assert!(string("\"ab\\").is_err());
    }

    #[test]
    fn numbers_at_the_limits() {
        let integer = |text| match number(text) {
            Ok(Number::Integer(number)) => Some(number),
            _ => None,
        };
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer("9223372036854775808"), None);
        assert_eq!(integer("0xffffffffffffffff"), None);
        assert_eq!(integer("-0x10"), Some(-16));
        assert!(matches!(number("1e3"), Ok(Number::Double(_))));
        for wrong in ["1_000", "0x", "1e", "12ab", "1e999", "1.2.3", "-."] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn doc_comments_lose_their_frame() {
        assert_eq!(doc("/** one */").unwrap(), "one");
        assert_eq!(
            doc("/**\n * one\n *   two\n *\n * three\n */").unwrap(),
            "one\n  two\n\nthree"
        );
        assert_eq!(doc("/** \n */"), None);
    }
}
