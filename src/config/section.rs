//! Reads one TOML table key by key, collecting every problem with its place.
//!
//! serde stops at the first mistake of a document; an operator wants all of them, each on its own line.
//! A [`Section`] hands out typed values by name, reports what does not fit, and at [`Section::finish`]
//! reports the keys nobody asked for, with the nearest key that exists there.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Problem, Problems, Source, list, nearest};
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

    /// Where the value of `key` stands, if it is there and was not taken yet.
    pub fn place_of(&self, key: &str) -> Option<Place> {
        let value = self.table.get(key)?;
        Some(Place {
            key: join(&self.place.key, key),
            span: value.span(),
        })
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

    /// `path` as seen from the folder of the configuration file.
    pub fn relative(&self, path: &str) -> std::path::PathBuf {
        let file = std::path::Path::new(&*self.document.source.path);
        file.parent().unwrap_or(std::path::Path::new("")).join(path)
    }

    /// A table of its own.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'d>> {
        let taken = self.take(key)?;
        self.as_section(taken)
    }

    /// The tables of an array, such as `[[server.listeners]]`, at most `max`; none when it is not there.
    pub fn tables(&mut self, key: &'static str, max: usize) -> Vec<Section<'d>> {
        let Some((value, place)) = self.take(key) else {
            return Vec::new();
        };
        let items = match value {
            DeValue::Array(items) if items.len() <= max => items,
            DeValue::Array(items) => {
                let message = format!("{} tables are more than {max}", items.len());
                self.bad(&place, message, None);
                return Vec::new();
            }
            other => {
                self.expected(&place, "an array of tables", &other);
                return Vec::new();
            }
        };
        let items = items.into_iter().enumerate().filter_map(|(at, item)| {
            let place = Place {
                key: format!("{}[{at}]", place.key),
                span: item.span(),
            };
            self.as_section((item.into_inner(), place))
        });
        items.collect()
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

    /// Any value, as the stores and the wire know it; see [`Section::to_value`].
    pub fn value(&mut self, key: &'static str) -> Option<(Value, Place)> {
        let (value, place) = self.take(key)?;
        Some((self.to_value(&value, &place)?, place))
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

fn missing(key: &str) -> String {
    format!("`{key}` is missing")
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

pub(super) fn article(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}

/// A document made of `text`, for tests of things that read sections.
#[cfg(any(test, fuzzing))]
pub(crate) fn document(text: &str) -> Document {
    document_at("test.toml", text)
}

/// As [`document`], for tests of things that read further files beside `path`.
#[cfg(any(test, fuzzing))]
pub(crate) fn document_at(path: &str, text: &str) -> Document {
    Document {
        source: Source {
            path: std::sync::Arc::from(path),
            text: std::sync::Arc::from(text),
        },
        problems: Problems::default(),
    }
}

/// The whole of `document` as one section, for tests.
#[cfg(any(test, fuzzing))]
pub(crate) fn whole(document: &Document) -> Section<'_> {
    let table = DeTable::parse(&document.source.text).expect("valid TOML");
    let place = Place {
        key: String::new(),
        span: table.span(),
    };
    Section::new(document, place, table.into_inner())
}
