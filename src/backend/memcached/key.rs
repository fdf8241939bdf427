//! A compiled lookup: a key template and the format of the stored value.
//!
//! In memcached's text protocol a space ends a key, a line break ends a command, and a key has at most 250 bytes. A key
//! that the protocol cannot carry is refused before anything is sent, so that no parameter can become a command.

use bytes::Bytes;

use crate::backend::template::{Encode, Template};
use crate::backend::{Answer, Compiled, Enums, LookupError, format::Format};
use crate::config::Section;
use crate::error::Code;
use crate::value::Value;

/// The longest key that memcached accepts.
const KEY_BYTES_MAX: usize = 250;

/// A compiled lookup.
#[derive(Debug)]
pub struct Get {
    key: Template,
    format: Format,
}

/// Allows printable ASCII without spaces, unchanged.
struct Printable;

impl Encode for Printable {
    const BYTES: bool = true;

    fn encode(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        if !raw.iter().all(u8::is_ascii_graphic) {
            return Err("a memcached key can carry printable ASCII without blanks only");
        }
        out.extend_from_slice(raw);
        Ok(())
    }
}

impl Get {
    /// Reads a lookup's own keys; problems go to the section.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Compiled<Self>> {
        let words = ["json", "text", "bytes", "i64", "double"];
        let text = section.required_string("get", "get = \"airport:{code}\"");
        let format = Format::read(section, &words, Format::Text);
        let enums = Enums::read(section, Enums::Number);
        let (text, place) = text?;
        let mut params = Vec::new();
        let key = match Template::parse(&text, &mut params) {
            Ok(key) => key,
            Err(err) => {
                section.bad(&place, err.to_string(), Some(err.help().into()));
                return None;
            }
        };
        if let Some(why) = never_a_key(&key) {
            let help = format!("printable ASCII without blanks, 1 to {KEY_BYTES_MAX} bytes");
            section.bad(&place, why, Some(help));
            return None;
        }
        let format = format?;
        Some(Compiled {
            lookup: Get { key, format },
            params,
            enums,
            yields: format.yields(),
        })
    }

    /// The key with these parameters.
    pub(super) fn key(
        &self,
        params: &[Value],
        scratch: &mut Vec<u8>,
    ) -> Result<Bytes, LookupError> {
        scratch.clear();
        self.key.render(params, &Printable, scratch)?;
        match scratch.len() {
            1..=KEY_BYTES_MAX => Ok(Bytes::copy_from_slice(scratch)),
            length => {
                let why =
                    format!("the key has {length} bytes; memcached takes 1 to {KEY_BYTES_MAX}");
                Err(LookupError::new(Code::LookupBadParam, why))
            }
        }
    }

    /// The answer in the stored bytes.
    pub(super) fn answer(&self, stored: Option<Bytes>) -> Result<Answer, LookupError> {
        let none = || Ok(Answer::new(Value::Null));
        stored.map_or_else(none, |bytes| self.format.answer(bytes))
    }
}

/// Why it is not a valid key, whatever the parameters are.
fn never_a_key(key: &Template) -> Option<&'static str> {
    let literals = || key.literals().flat_map(str::bytes);
    if !literals().all(|byte| byte.is_ascii_graphic()) {
        return Some("no memcached key can have this text");
    }
    if literals().count() > KEY_BYTES_MAX {
        return Some("no memcached key is so long");
    }
    let empty = literals().next().is_none() && key.positions().next().is_none();
    empty.then_some("no memcached key is empty")
}
