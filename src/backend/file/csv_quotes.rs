//! Finds quotes in a CSV text that do not enclose a whole cell: a reader of CSV would guess what they mean. On the way it
//! cuts the text into pieces of whole rows.
//!
//! A cell that begins with a quote ends with one; quotes inside it are doubled (RFC 4180). In other cells, quotes are text.

use std::ops::Range;

use super::mistakes::line_at;

/// Where a quote is open, or may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    CellStart,
    Plain,
    Quoted,
    /// After a quote inside quotes: the first of two, or the closing one.
    Closing,
}

/// The byte order mark. A reader of a piece would pass over it.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts text, whose cells are separated by `separator`, after rows into pieces of at least `piece_bytes`. Refuses text with
/// a quote that never closes, or closes before its cell ends.
pub(super) fn cut(
    text: &[u8],
    separator: u8,
    piece_bytes: usize,
) -> Result<Vec<Range<usize>>, String> {
    let begin = if text.starts_with(MARK) {
        MARK.len()
    } else {
        0
    };
    let line = |opened: usize| line_at(text, opened);
    let (mut state, mut opened) = (At::CellStart, begin);
    let (mut pieces, mut piece) = (Vec::new(), 0);
    for (at, byte) in text.iter().enumerate().skip(begin) {
        state = match (state, *byte) {
            (At::Quoted, b'"') => At::Closing,
            (At::Quoted, _) | (At::Closing, b'"') => At::Quoted,
            (At::CellStart, b'"') => {
                opened = at;
                At::Quoted
            }
            (_, byte) if byte == separator => At::CellStart,
            (_, b'\r') => At::CellStart,
            (_, b'\n') => {
                let next = at + 1;
                if next - piece >= piece_bytes && !text[next..].starts_with(MARK) {
                    pieces.push(piece..next);
                    piece = next;
                }
                At::CellStart
            }
            (At::Closing, _) => {
                return Err(format!(
                    "line {}: a quoted cell goes on after its closing quote; quotes inside it are doubled",
                    line(opened)
                ));
            }
            (At::CellStart | At::Plain, _) => At::Plain,
        };
    }
    if state == At::Quoted {
        return Err(format!(
            "line {}: a quote opens here and never closes",
            line(opened)
        ));
    }
    if piece < text.len() {
        pieces.push(piece..text.len());
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], separator: u8) -> Result<(), String> {
        let whole = cut(text, separator, usize::MAX)?;
        assert_eq!(whole.len(), usize::from(!text.is_empty()));
        let pieces = cut(text, separator, 1).expect("pieces change nothing");
        let together: Vec<u8> = pieces
            .into_iter()
            .flat_map(|piece| text[piece].to_vec())
            .collect();
        assert_eq!(together, text);
        Ok(())
    }

    #[test]
    fn pieces_are_whole_rows_of_at_least_their_size() {
        let text = b"a,b\n1,\"2\n3\"\n\r\n4,5\n6,7";
        assert_eq!(
            cut(text, b',', 1),
            Ok(vec![0..4, 4..12, 12..14, 14..18, 18..21])
        );
        assert_eq!(cut(text, b',', 5), Ok(vec![0..12, 12..18, 18..21]));
        let marked = b"a\n\xef\xbb\xbf1\n2\n";
        assert_eq!(cut(marked, b',', 1), Ok(vec![0..7, 7..9]));
    }

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
