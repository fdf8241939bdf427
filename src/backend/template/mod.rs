//! Templates of keys and URLs: `"airport:{code}"`.
//!
//! Parsed once when the configuration is read; rendering copies text and encoded parameters into a buffer that the
//! caller keeps. A parameter has to be a scalar; its [`Encode`] knows which characters to encode where. A literal brace
//! is doubled. Nothing here waits or knows a store.

use std::io::Write as _;
use std::sync::Arc;

use super::LookupError;
use crate::config::Section;
use crate::error::Code;
use crate::value::{IntegerText, Value, uuid_text};

/// A text with places for parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Param {
        name: Arc<str>,
        /// Its index among the lookup's parameters.
        at: usize,
    },
}

/// How the text of a parameter is encoded.
pub trait Encode {
    /// Whether bytes that are not text are allowed.
    const BYTES: bool;

    /// Appends `raw` encoded, or says why it is not allowed. Numbers, bools and UUIDs do not pass here: letters, digits,
    /// `-` and `.` are allowed everywhere.
    fn encode(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str>;
}

/// Allows everything and encodes nothing: Redis keys are preceded by their length.
#[derive(Clone, Copy, Debug)]
pub struct Verbatim;

impl Encode for Verbatim {
    const BYTES: bool = true;

    fn encode(&self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        out.extend_from_slice(raw);
        Ok(())
    }
}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without `}`.
    #[error("`{{` at character {0} is never closed")]
    Unclosed(usize),
    /// A `}` without `{`.
    #[error("`}}` at character {0} closes nothing")]
    Unopened(usize),
    /// `{}`.
    #[error("`{{}}` at character {0} names no parameter")]
    Empty(usize),
    /// Not a name.
    #[error("`{0}` is not a parameter's name")]
    BadName(String),
}

impl TemplateError {
    /// How to fix it.
    pub fn help(&self) -> &'static str {
        match self {
            TemplateError::Unclosed(_) | TemplateError::Unopened(_) => {
                "a parameter is written `{name}`, a brace itself `{{` or `}}`"
            }
            TemplateError::Empty(_) | TemplateError::BadName(_) => {
                "a name has letters, digits and `_` and does not begin with a digit: `{code}`"
            }
        }
    }
}

impl Template {
    /// Parses `text`. Names not in `params` yet are added there, so that several templates of one lookup can
    /// share its parameters; a fresh `Vec` ends as the names in order of first mention.
    pub fn parse(text: &str, params: &mut Vec<Arc<str>>) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let character = text[..text.len() - rest.len() + brace].chars().count() + 1;
            let opens = rest[brace..].starts_with('{');
            let after = &rest[brace + 1..];
            literal.push_str(&rest[..brace]);
            if after.starts_with(if opens { '{' } else { '}' }) {
                literal.push_str(&after[..1]);
                rest = &after[1..];
                continue;
            }
            if !opens {
                return Err(TemplateError::Unopened(character));
            }
            let end = after.find('}').ok_or(TemplateError::Unclosed(character))?;
            let name = &after[..end];
            if name.is_empty() {
                return Err(TemplateError::Empty(character));
            }
            if !is_name(name) {
                return Err(TemplateError::BadName(name.to_owned()));
            }
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(param(name, params));
            rest = &after[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template(parts))
    }

    /// Takes the string `key` of a lookup and parses it; problems go to the section.
    pub fn read(
        section: &mut Section<'_>,
        key: &'static str,
        params: &mut Vec<Arc<str>>,
    ) -> Option<Self> {
        let (text, place) = section.string(key)?;
        match Template::parse(&text, params) {
            Ok(template) => Some(template),
            Err(err) => {
                section.bad(&place, err.to_string(), Some(err.help().into()));
                None
            }
        }
    }

    /// The names it mentions, each once, in order of first mention.
    pub fn params(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for part in &self.0 {
            if let Part::Param { name, .. } = part
                && !names.contains(name)
            {
                names.push(Arc::clone(name));
            }
        }
        names
    }

    /// The indices of the parameters it mentions, one per mention.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Param { at, .. } => Some(*at),
        })
    }

    /// The texts between the parameters, unescaped.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Param { .. } => None,
        })
    }

    /// The same template with other texts between its parameters.
    #[must_use]
    pub fn map_literals(mut self, map: impl Fn(&str) -> String) -> Self {
        for part in &mut self.0 {
            if let Part::Text(text) = part {
                *text = map(text);
            }
        }
        self
    }

    /// The text before the first parameter, unescaped.
    pub fn first_text(&self) -> &str {
        match self.0.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The index of its only parameter, if the template ends with that.
    pub fn last_and_only_param(&self) -> Option<usize> {
        match &self.0[..] {
            [Part::Param { at, .. }] | [Part::Text(_), Part::Param { at, .. }] => Some(*at),
            _ => None,
        }
    }

    /// As [`Template::render`], without the text before the first parameter.
    #[inline]
    pub fn render_rest<E: Encode>(
        &self,
        params: &[Value],
        encode: &E,
        out: &mut Vec<u8>,
    ) -> Result<(), LookupError> {
        let rest = match &self.0[..] {
            [Part::Text(_), rest @ ..] => rest,
            all => all,
        };
        render(rest, |at| params.get(at), encode, out)
    }

    /// Appends the text with the lookup's parameters in their places.
    pub fn render<E: Encode>(
        &self,
        params: &[Value],
        encode: &E,
        out: &mut Vec<u8>,
    ) -> Result<(), LookupError> {
        self.render_with(|at| params.get(at), encode, out)
    }

    /// As [`Template::render`], with a function that gives the value for each position.
    pub fn render_with<'v, E: Encode>(
        &self,
        value_of: impl Fn(usize) -> Option<&'v Value>,
        encode: &E,
        out: &mut Vec<u8>,
    ) -> Result<(), LookupError> {
        render(&self.0, value_of, encode, out)
    }
}

#[inline]
fn render<'v, E: Encode>(
    parts: &[Part],
    value_of: impl Fn(usize) -> Option<&'v Value>,
    encode: &E,
    out: &mut Vec<u8>,
) -> Result<(), LookupError> {
    for part in parts {
        match part {
            Part::Text(text) => out.extend_from_slice(text.as_bytes()),
            Part::Param { name, at } => {
                let value = value_of(*at).unwrap_or(&Value::Null);
                put(value, encode, out).map_err(|why| bad_param(name, &why))?;
            }
        }
    }
    Ok(())
}

#[cold]
fn bad_param(name: &str, why: &str) -> LookupError {
    LookupError::new(Code::LookupBadParam, format!("`{name}`: {why}"))
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn param(name: &str, params: &mut Vec<Arc<str>>) -> Part {
    let at = params
        .iter()
        .position(|have| &**have == name)
        .unwrap_or_else(|| {
            params.push(Arc::from(name));
            params.len() - 1
        });
    Part::Param {
        name: Arc::clone(&params[at]),
        at,
    }
}

#[inline]
fn put<E: Encode>(value: &Value, encode: &E, out: &mut Vec<u8>) -> Result<(), String> {
    match value {
        // Most are text.
        Value::Text(text) => Ok(encode.encode(text.as_bytes(), out)?),
        other => put_other(other, encode, out),
    }
}

fn put_other<E: Encode>(value: &Value, encode: &E, out: &mut Vec<u8>) -> Result<(), String> {
    let written = match value {
        Value::Bytes(bytes) if E::BYTES => return Ok(encode.encode(bytes, out)?),
        Value::Enum(of) => return Ok(encode.encode(of.name()?.as_bytes(), out)?),
        Value::I64(number) => {
            out.extend_from_slice(IntegerText::new(*number).as_bytes());
            return Ok(());
        }
        Value::Double(number) if number.is_finite() => write!(out, "{number}"),
        Value::Bool(bit) => write!(out, "{bit}"),
        Value::Uuid(uuid) => write!(out, "{}", uuid_text(uuid)),
        Value::Double(_) => return Err("a double that is not a number is not allowed here".into()),
        other => return Err(format!("{} is not allowed here", other.kind())),
    };
    written.map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests;
