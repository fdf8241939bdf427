//! The constant beginning of a command, which is copied before its parameters.
//!
//! Copying a fixed number of bytes takes a few instructions, copying a variable number takes a call. Nearly all keys are a
//! text and one short parameter, so the beginning of their command is padded to a fixed length, and the length of the key is
//! filled in at a known place.

use super::resp::{put_argument, put_head, put_open_argument};
use crate::backend::template::Template;
use crate::value::{IntegerText, Value};

/// The most bytes of a beginning that is padded.
const PADDED: usize = 48;

/// The constant beginning of a command on the wire, such as `*2 $3 GET $00 user:`: up to the first parameter in the key, whose
/// length is filled in later.
#[derive(Debug, Default)]
pub(super) struct Opening {
    bytes: Box<[u8]>,
    /// How many bytes of it belong to the key.
    of_key: usize,
    simple: Option<Simple>,
}

/// That of a command whose key is a text and one parameter.
#[derive(Debug)]
struct Simple {
    /// The parameter.
    param: usize,
    /// For a key of up to nine bytes.
    one_digit: Padded,
    /// For a key of up to 99 bytes.
    two_digits: Padded,
}

#[derive(Debug)]
struct Padded {
    bytes: [u8; PADDED],
    length: usize,
    /// Where the last digit of the key's length goes.
    ones: usize,
}

impl Opening {
    /// The beginning of a command called `wire` with that many arguments, its own name included.
    pub(super) fn new(arguments: usize, wire: &str, key: &Template) -> Self {
        let mut before = Vec::new();
        put_head(&mut before, arguments);
        put_argument(&mut before, wire.as_bytes());
        let text = key.first_text().as_bytes();
        let mut bytes = before.clone();
        put_open_argument(&mut bytes);
        bytes.extend_from_slice(text);
        let simple = key.last_and_only_param().and_then(|param| {
            Some(Simple {
                param,
                one_digit: Padded::new(&before, b"$0\r\n", text)?,
                two_digits: Padded::new(&before, b"$00\r\n", text)?,
            })
        });
        Opening {
            bytes: bytes.into(),
            of_key: text.len(),
            simple,
        }
    }

    /// Appends the beginning, and returns where the key begins. [`super::resp::end_argument`] ends the key.
    pub(super) fn put(&self, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(&self.bytes);
        out.len() - self.of_key
    }

    /// Appends the beginning and the whole key, if the key is simple. If not, appends nothing and returns false.
    #[inline]
    pub(super) fn put_with_key(&self, params: &[Value], out: &mut Vec<u8>) -> bool {
        let Some(simple) = &self.simple else {
            return false;
        };
        let text;
        let param = match params.get(simple.param) {
            Some(Value::Text(text)) => text.as_bytes(),
            Some(Value::I64(number)) => {
                text = IntegerText::new(*number);
                text.as_bytes()
            }
            _ => return false,
        };
        match u8::try_from(self.of_key + param.len()) {
            Ok(length @ 0..=9) => {
                let start = simple.one_digit.put(out);
                out[start] = b'0' + length;
            }
            Ok(length @ 10..=99) => {
                let start = simple.two_digits.put(out);
                (out[start - 1], out[start]) = (b'0' + length / 10, b'0' + length % 10);
            }
            _ => return false,
        }
        out.extend_from_slice(param);
        out.extend_from_slice(b"\r\n");
        true
    }
}

impl Padded {
    fn new(before: &[u8], length_line: &[u8], text: &[u8]) -> Option<Self> {
        let whole = [before, length_line, text].concat();
        let mut bytes = [0; PADDED];
        bytes.get_mut(..whole.len())?.copy_from_slice(&whole);
        Some(Padded {
            bytes,
            length: whole.len(),
            ones: before.len() + length_line.len() - b"0\r\n".len(),
        })
    }

    /// Appends it, and returns where the last digit of the key's length goes.
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out.truncate(start + self.length);
        start + self.ones
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::redis::resp::end_argument;
    use crate::backend::template::Verbatim;

    /// The command that asks for a key of this template, made in both ways; those of simple keys have to be the same.
    fn command(template: &str, param: &Value) -> (bool, String) {
        let key = Template::parse(template, &mut Vec::new()).expect("a template");
        let opening = Opening::new(2, "GET", &key);
        let params = std::slice::from_ref(param);
        let mut slow = b"before".to_vec();
        let start = opening.put(&mut slow);
        key.render_rest(params, &Verbatim, &mut slow)
            .expect("a key");
        end_argument(&mut slow, start);
        let mut quick = b"before".to_vec();
        let is_simple = opening.put_with_key(params, &mut quick);
        if is_simple {
            assert_eq!(quick, slow, "{template} with {param:?}");
        } else {
            assert_eq!(quick, b"before");
        }
        let text = String::from_utf8_lossy(&slow).replace("\r\n", " ");
        (is_simple, text)
    }

    #[test]
    fn simple_keys_of_any_length_are_those_that_the_general_way_makes() {
        let text = |length| Value::from("x".repeat(length).as_str());
        let (is_simple, written) = command("user:{id}", &text(3));
        assert!(is_simple);
        assert_eq!(written, "before*2 $3 GET $8 user:xxx ");
        for length in [0, 4, 5, 94] {
            assert!(command("user:{id}", &text(length)).0, "{length}");
            assert!(command("{id}", &text(length)).0, "{length}");
        }
        for number in [0, 7, -1, 1234, i64::MAX, i64::MIN] {
            assert!(command("user:{id}", &Value::I64(number)).0, "{number}");
        }
    }

    #[test]
    fn other_keys_are_made_in_the_general_way() {
        let text = |length| Value::from("x".repeat(length).as_str());
        assert!(!command("user:{id}", &text(95)).0, "a hundred bytes");
        assert!(!command("user:{id}:name", &text(3)).0, "text after it");
        assert!(!command("{id}:{id}", &text(3)).0, "twice");
        assert!(!command("user:{id}", &Value::Bool(true)).0, "its type");
        let long = format!("{}{{id}}", "k".repeat(40));
        assert!(!command(&long, &text(3)).0, "a long text");
    }
}
