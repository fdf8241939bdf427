//! Finds quotes in a CSV text that do not enclose a whole cell: a reader of CSV would guess what they mean.
//!
//! A cell that begins with a quote ends with one; quotes inside it are doubled (RFC 4180). In other cells, quotes are text.

/// Where a quote is open, or may be.
enum At {
    CellStart,
    Plain,
    /// With the line of the opening quote.
    Quoted(usize),
    /// After a quote inside quotes: the first of two, or the closing one.
    Closing(usize),
}

/// Refuses text, whose cells are separated by `separator`, with a quote that never closes, or closes before its cell ends.
pub(super) fn check(text: &[u8], separator: u8) -> Result<(), String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let (mut at, mut line) = (At::CellStart, 1);
    for byte in text {
        at = match (at, byte) {
            (At::CellStart, b'"') => At::Quoted(line),
            (At::Quoted(opened), b'"') => At::Closing(opened),
            (At::Closing(opened), b'"') | (At::Quoted(opened), _) => At::Quoted(opened),
            (_, b'\n' | b'\r') => At::CellStart,
            (_, byte) if *byte == separator => At::CellStart,
            (At::Closing(opened), _) => {
                return Err(format!(
                    "line {opened}: a quoted cell goes on after its closing quote; quotes inside it are doubled"
                ));
            }
            (At::CellStart | At::Plain, _) => At::Plain,
        };
        line += usize::from(*byte == b'\n');
    }
    match at {
        At::Quoted(opened) => Err(format!(
            "line {opened}: a quote opens here and never closes"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_enclose_whole_cells_or_are_text() {
        for right in [
            "",
            "a,b\n1,2\n",
            "a,\"b\"\n\"1\n2\",\"\"\"3\"\"\"\n",
            "a\n5\" pipe\n",
            "a\r\n\"x\"\r\n",
            "a\n\"x\"",
            "\u{feff}\"a\"\n",
        ] {
            assert_eq!(check(right.as_bytes(), b','), Ok(()), "{right}");
        }
    }

    #[test]
    fn an_open_quote_is_found_at_its_line() {
        let open = "line 2: a quote opens here and never closes";
        assert_eq!(check(b"a,b\n1,\"2\n3,4\n5,6\n", b','), Err(open.into()));
        assert_eq!(check(b"a\n\"x\"\"", b','), Err(open.into()));
        let inner =
            "line 3: a quoted cell goes on after its closing quote; quotes inside it are doubled";
        assert_eq!(
            check(b"a\n1\n\"La \"Guardia\"\"\n", b','),
            Err(inner.into())
        );
    }

    #[test]
    fn cells_end_where_the_separator_is() {
        assert_eq!(check(b"a;\"b,\"\n", b';'), Ok(()));
        assert!(check(b"a,\"b\";c\n", b',').is_err());
        assert_eq!(
            check(b"a;5\",6\"\n", b';'),
            Ok(()),
            "quotes inside are text"
        );
    }
}
