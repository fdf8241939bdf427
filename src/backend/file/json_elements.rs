//! Finds the elements of a JSON array or object without reading them, so that they can be read one by one.
//!
//! It looks at quotes, brackets and commas only. Of text that is not valid JSON it may make elements that are none either:
//! whoever reads them finds out.

use std::ops::Range;

/// The inside of the outermost array or object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// It is an object.
    pub(super) is_object: bool,
    /// Whole elements, in pieces; without the comma between two pieces.
    pub(super) pieces: Vec<Range<usize>>,
}

/// Cuts a text into pieces of at least `piece_bytes`; `None` if it is not one array or object.
pub(super) fn cut(text: &[u8], piece_bytes: usize) -> Option<Body> {
    let begin = if text.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let begin = begin + text[begin..].iter().position(|byte| !is_blank(*byte))?;
    let close = match text[begin] {
        b'[' => b']',
        b'{' => b'}',
        _ => return None,
    };
    let (mut pieces, mut piece) = (Vec::new(), begin + 1);
    let mut at = piece;
    loop {
        let end = element_end(text, at);
        match text.get(end) {
            Some(b',') if end - piece < piece_bytes => {}
            Some(b',') => {
                pieces.push(piece..end);
                piece = end + 1;
            }
            Some(byte) if *byte == close && text[end + 1..].iter().all(|byte| is_blank(*byte)) => {
                // An empty array has no element; an empty piece after a comma is one that is missing.
                if !pieces.is_empty() || !trim(&text[piece..end]).is_empty() {
                    pieces.push(piece..end);
                }
                let is_object = close == b'}';
                return Some(Body { is_object, pieces });
            }
            _ => return None,
        }
        at = end + 1;
    }
}

/// The elements of a piece, without blanks around them.
pub(super) fn elements(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(piece);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = element_end(text, 0);
        rest = text.get(end + 1..).filter(|_| text[end] == b',');
        Some(trim(&text[..end]))
    })
}

/// The name and the value of an element of an object.
pub(super) fn name_and_value(element: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = element.split_at(string_end(element, 0)?);
    Some((name, trim(trim(rest).strip_prefix(b":")?)))
}

/// Where the element at `at` ends: a comma or bracket that is not its own, or the end of the text.
fn element_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => match string_end(text, at) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => return text.len(),
            },
            b'[' | b'{' => depth += 1,
            b']' | b'}' | b',' if depth == 0 => return at,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Where the string that begins at `at` ends.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    at += 1;
    loop {
        at += text
            .get(at..)?
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// Whether JSON takes it for a blank.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, piece_bytes: usize) -> Option<Vec<&str>> {
        let body = cut(text.as_bytes(), piece_bytes)?;
        let pieces = body.pieces.into_iter().map(|piece| &text.as_bytes()[piece]);
        let all = pieces.flat_map(elements);
        Some(
            all.map(|element| std::str::from_utf8(element).expect("UTF-8"))
                .collect(),
        )
    }

    #[test]
    fn elements_are_found_in_pieces_of_any_size() {
        let text = "\u{feff} [{\"a\\\"]\": [1, {}]} ,\n 2,\"é,\\\\\"\t]\n";
        for piece_bytes in [0, 1, 10, 100] {
            let expected = ["{\"a\\\"]\": [1, {}]}", "2", "\"é,\\\\\""];
            assert_eq!(all(text, piece_bytes).expect("an array"), expected);
        }
        assert_eq!(all(" [ ] ", 1), Some(vec![]));
        assert_eq!(
            all("[1,]", 1).unwrap(),
            ["1", ""],
            "a missing element is one"
        );
        assert_eq!(all("[,]", 100).unwrap(), ["", ""]);
    }

    #[test]
    fn what_is_not_one_array_or_object_has_none() {
        for text in [
            "", " ", "3", "\"[]\"", "[1", "[1}", "{]", "[] []", "[\"]", "[1]]", "[\"\\",
        ] {
            assert_eq!(cut(text.as_bytes(), 1), None, "{text}");
        }
    }

    #[test]
    fn an_object_has_names_and_values() {
        let named = |element: &'static str| name_and_value(element.as_bytes());
        assert_eq!(
            named("\"a\\\":\" : {} "),
            Some((&b"\"a\\\":\""[..], &b"{}"[..]))
        );
        for none in ["", "a", "\"a\"", "\"a\" 1", "\"a"] {
            assert_eq!(named(none), None, "{none}");
        }
    }
}
