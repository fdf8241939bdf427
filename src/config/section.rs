//! Reads one TOML table key by key, collecting every problem with its place.
//!
//! serde stops at the first mistake of a document; an operator wants all of them, each on its own line.
//! A [`Section`] hands out typed values by name, reports what does not fit, and at [`Section::finish`]
//! reports the keys nobody asked for, with the nearest key that exists there.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems, Source, nearest};
use crate::error::Code;
use crate::value::Value;

/// Where something stands in the file: its key path and its bytes.
#[derive(Clone, Debug)]
pub struct Place {
    /// For example `views.getDeparture.lookups.origin`.
    pub key: String,
    /// Bytes of the file.
    pub span: Range<usize>,
}

/// What all sections of one file share.
#[derive(Debug)]
pub struct Document {
    /// The file.
    pub source: Source,
    /// What was found wrong so far.
    pub problems: Problems,
}

impl Document {
    /// Reports a problem at a place.
    pub fn problem(
        &self,
        place: &Place,
        code: Code,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.problems.push(Problem {
            code,
            place: Some((self.source.clone(), place.span.clone())),
            key: place.key.clone(),
            message: message.into(),
            help,
        });
    }
}

/// One table of the file.
pub struct Section<'d> {
    document: &'d Document,
    place: Place,
    table: DeTable<'d>,
    /// Every key that was asked for: what `finish` compares unknown keys with.
    asked: Vec<&'static str>,
}

impl<'d> Section<'d> {
    /// A table with the key path it stands at (empty for the whole file).
    pub fn new(document: &'d Document, place: Place, table: DeTable<'d>) -> Self {
        Section {
            document,
            place,
            table,
            asked: Vec::new(),
        }
    }

    /// The shared document, for reporting problems later.
    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// Where the table itself stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether `key` is there and was not taken yet.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The names of all keys not taken yet, in the file's order.
    pub fn keys(&self) -> Vec<String> {
        self.table
            .keys()
            .map(|key| key.get_ref().to_string())
            .collect()
    }

    /// Takes the raw value of `key` and its place.
    pub fn take(&mut self, key: &'static str) -> Option<(DeValue<'d>, Place)> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.take_named(key)
    }

    /// As [`Section::take`] for keys that the operator names (backends, lookups, parameters).
    pub fn take_named(&mut self, key: &str) -> Option<(DeValue<'d>, Place)> {
        let value = self.table.remove(key)?;
        let place = Place {
            key: join(&self.place.key, key),
            span: value.span(),
        };
        Some((value.into_inner(), place))
    }

    /// Reports that `place` should hold `expected`.
    pub fn expected(&self, place: &Place, expected: &str, found: &DeValue<'_>) {
        self.document.problem(
            place,
            Code::ConfigBadValue,
            format!("expected {expected}, found {}", article(found)),
            None,
        );
    }

    /// Reports a bad value at `place`.
    pub fn bad(&self, place: &Place, message: impl Into<String>, help: Option<String>) {
        self.document
            .problem(place, Code::ConfigBadValue, message, help);
    }

    /// Reports that `key` has to be there. `example` is what would be right, as one line of TOML.
    pub fn missing(&self, key: &str, example: &str) {
        self.document.problem(
            &self.place,
            Code::ConfigMissingKey,
            missing(key),
            Some(format!("add `{example}`")),
        );
    }

    /// One mistake is one problem: a key that stands there misspelt is not missing as well.
    fn found_misspelt(&self, key: &str) {
        let message = missing(key);
        let problems = &self.document.problems;
        problems.retract(|problem| problem.key == self.place.key && problem.message == message);
    }

    /// A string.
    pub fn string(&mut self, key: &'static str) -> Option<(String, Place)> {
        let (value, place) = self.take(key)?;
        match value {
            DeValue::String(text) => Some((text.into_owned(), place)),
            other => {
                self.expected(&place, "a string", &other);
                None
            }
        }
    }

    /// A string that has to be there; `example` is a whole line of TOML.
    pub fn required_string(&mut self, key: &'static str, example: &str) -> Option<(String, Place)> {
        if !self.has(key) {
            self.asked.push(key);
            self.missing(key, example);
            return None;
        }
        self.string(key)
    }

    /// A string that may be a secret by reference: `env:NAME` or `file:PATH` (trailing line ends are cut).
    pub fn secret(&mut self, key: &'static str, example: &str) -> Option<(String, Place)> {
        let (text, place) = self.required_string(key, example)?;
        let secret = self.resolve_secret(text, &place)?;
        Some((secret, place))
    }

    /// What `text` at `place` refers to when it is `env:NAME` or `file:PATH`; otherwise `text` itself.
    pub fn resolve_secret(&self, text: String, place: &Place) -> Option<String> {
        if let Some(name) = text.strip_prefix("env:") {
            return match std::env::var(name) {
                Ok(secret) => Some(secret),
                Err(_) => {
                    self.bad(
                        place,
                        format!("the environment variable `{name}` is not set"),
                        Some(format!("set `{name}` in the server's environment")),
                    );
                    None
                }
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            let full = self.relative(path);
            return match std::fs::read_to_string(&full) {
                Ok(secret) => Some(secret.trim_end_matches(['\r', '\n']).to_owned()),
                Err(err) => {
                    self.document.problem(
                        place,
                        Code::ConfigFile,
                        format!("can't read `{}`: {err}", full.display()),
                        None,
                    );
                    None
                }
            };
        }
        Some(text)
    }

    /// `path` as seen from the folder of the configuration file.
    pub fn relative(&self, path: &str) -> std::path::PathBuf {
        let file = std::path::Path::new(&*self.document.source.path);
        file.parent().unwrap_or(std::path::Path::new("")).join(path)
    }

    /// One of a fixed set of words.
    pub fn word(
        &mut self,
        key: &'static str,
        words: &[&'static str],
    ) -> Option<(&'static str, Place)> {
        let (text, place) = self.string(key)?;
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Some((word, place));
        }
        let help = match nearest(&text, words.iter().copied()) {
            Some(near) => format!("did you mean `\"{near}\"`?"),
            None => format!("one of {}", list(words.iter().copied())),
        };
        self.bad(&place, format!("`{text}` is not known here"), Some(help));
        None
    }

    /// A bool.
    pub fn bool(&mut self, key: &'static str) -> Option<bool> {
        let (value, place) = self.take(key)?;
        match value {
            DeValue::Boolean(bit) => Some(bit),
            other => {
                self.expected(&place, "`true` or `false`", &other);
                None
            }
        }
    }

    /// An integer within `range`.
    pub fn integer(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let (value, place) = self.take(key)?;
        let Some(number) = integer(&value) else {
            self.expected(&place, "an integer", &value);
            return None;
        };
        if !range.contains(&number) {
            let (low, high) = range.into_inner();
            self.bad(
                &place,
                format!("{number} is out of range"),
                Some(format!("{low} to {high}")),
            );
            return None;
        }
        Some(number)
    }

    /// A number within `range`; integers are numbers.
    pub fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Option<f64> {
        let (value, place) = self.take(key)?;
        let number = match &value {
            DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
            #[expect(clippy::cast_precision_loss, reason = "configured numbers are small")]
            _ => integer(&value).map(|number| number as f64),
        };
        let Some(number) = number else {
            self.expected(&place, "a number", &value);
            return None;
        };
        if !range.contains(&number) {
            let (low, high) = range.into_inner();
            self.bad(
                &place,
                format!("{number} is out of range"),
                Some(format!("{low} to {high}")),
            );
            return None;
        }
        Some(number)
    }

    /// A length of time with a unit: `"250ms"`, `"5m"`.
    pub fn duration(&mut self, key: &'static str) -> Option<(Duration, Place)> {
        let (value, place) = self.take(key)?;
        let DeValue::String(text) = &value else {
            self.document.problem(
                &place,
                Code::ConfigBadValue,
                format!("expected a duration, found {}", article(&value)),
                Some("a number with a unit in quotes, such as `\"250ms\"`".into()),
            );
            return None;
        };
        match humantime::parse_duration(text) {
            Ok(duration) => Some((duration, place)),
            Err(err) => {
                self.bad(
                    &place,
                    format!("`{text}` is not a duration: {err}"),
                    Some("a number with a unit in quotes, such as `\"250ms\"`".into()),
                );
                None
            }
        }
    }

    /// A size in bytes: `"16MiB"`, `"64KiB"`, `"512B"`.
    pub fn size(&mut self, key: &'static str) -> Option<usize> {
        let (value, place) = self.take(key)?;
        let DeValue::String(text) = &value else {
            self.expected(&place, "a size such as `\"16MiB\"`", &value);
            return None;
        };
        let size = parse_size(text);
        if size.is_none() {
            self.bad(
                &place,
                format!("`{text}` is not a size"),
                Some("a whole number with `B`, `KiB`, `MiB` or `GiB`, such as `\"16MiB\"`".into()),
            );
        }
        size
    }

    /// An array of strings.
    pub fn strings(&mut self, key: &'static str) -> Option<(Vec<String>, Place)> {
        let (value, place) = self.take(key)?;
        let texts = value.as_array().and_then(|array| {
            array
                .iter()
                .map(|item| item.get_ref().as_str().map(ToOwned::to_owned))
                .collect()
        });
        match texts {
            Some(texts) => Some((texts, place)),
            None => {
                self.expected(&place, "an array of strings", &value);
                None
            }
        }
    }

    /// A table of its own.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'d>> {
        let taken = self.take(key)?;
        self.as_section(taken)
    }

    /// The tables under operator-chosen names, in the file's order: `[backends.*]`.
    pub fn sections(mut self) -> Vec<(String, Section<'d>)> {
        let names = self.keys();
        names
            .into_iter()
            .filter_map(|name| {
                let taken = self.take_named(&name)?;
                Some((name, self.as_section(taken)?))
            })
            .collect()
    }

    fn as_section(&self, (value, place): (DeValue<'d>, Place)) -> Option<Section<'d>> {
        match value {
            DeValue::Table(table) => Some(Section::new(self.document, place, table)),
            other => {
                self.expected(&place, "a table", &other);
                None
            }
        }
    }

    /// Any value, as the stores and the wire know it.
    pub fn value(&mut self, key: &'static str) -> Option<(Value, Place)> {
        let (value, place) = self.take(key)?;
        Some((to_value(&value), place))
    }

    /// Reports every key that nobody took.
    pub fn finish(self) {
        for (key, _) in &self.table {
            let name: &Cow<'_, str> = key.get_ref();
            let place = Place {
                key: join(&self.place.key, name),
                span: key.span(),
            };
            let help = match nearest(name, self.asked.iter().copied()) {
                Some(near) => {
                    self.found_misspelt(near);
                    format!("did you mean `{near}`?")
                }
                None if self.asked.is_empty() => "no keys belong here".into(),
                None => format!("known here: {}", list(self.asked.iter().copied())),
            };
            self.document
                .problem(&place, Code::ConfigUnknownKey, "unknown key", Some(help));
        }
    }
}

/// A TOML value as a [`Value`]; dates become text.
pub fn to_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Integer(_) => integer(value).map_or(Value::Null, Value::I64),
        DeValue::Float(float) => float
            .as_str()
            .replace('_', "")
            .parse()
            .map_or(Value::Null, Value::Double),
        DeValue::Boolean(bit) => Value::Bool(*bit),
        DeValue::Datetime(when) => Value::from(when.to_string()),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| to_value(item.get_ref())).collect())
        }
        DeValue::Table(table) => Value::Map(
            table
                .iter()
                .map(|(key, item)| (Value::from(&**key.get_ref()), to_value(item.get_ref())))
                .collect(),
        ),
    }
}

/// The integer of a TOML value, whatever its radix.
pub fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

/// `a`, `b` and `c`, each in backticks.
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

fn missing(key: &str) -> String {
    format!("`{key}` is missing")
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: usize = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn article(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}

/// A document made of `text`, for tests of things that read sections.
#[cfg(test)]
pub(crate) fn document(text: &str) -> Document {
    Document {
        source: Source {
            path: std::sync::Arc::from("test.toml"),
            text: std::sync::Arc::from(text),
        },
        problems: Problems::default(),
    }
}

/// The whole of `document` as one section, for tests.
#[cfg(test)]
pub(crate) fn whole(document: &Document) -> Section<'_> {
    let table = DeTable::parse(&document.source.text).expect("valid TOML");
    let place = Place {
        key: String::new(),
        span: table.span(),
    };
    Section::new(document, place, table.into_inner())
}
