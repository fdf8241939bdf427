//! Reads one TOML table key by key and collects every problem with its place in the file.
//!
//! serde stops at the first mistake of a document, but an operator wants all of them, each at its own line. A [`Section`]
//! returns typed values by name and reports values that do not fit. [`Section::finish`] reports the keys that were not
//! asked for, with the nearest key that exists.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::definition::Definition;
use super::expiry::CertificateExpiry;
use super::shapes::instead;
use crate::diagnostic::{Problem, Problems, SourceFile, list, nearest};
use crate::error::Code;
use crate::stamp::FilesRead;
use crate::value::Value;

/// The place of a key in the file.
#[derive(Clone, Debug)]
pub struct Place {
    /// The key path, for example `views.getDeparture.lookups.origin`.
    pub key: String,
    /// The bytes of the file.
    pub span: Range<usize>,
}

/// A file that is being read. All its sections share it.
#[derive(Debug)]
pub struct Document {
    /// The file.
    pub source: SourceFile,
    /// The problems found so far.
    pub problems: Problems,
    /// What works and is probably a mistake.
    pub warnings: Problems,
    /// The include path of its IDLs: the folders of the command line, then those of `server.idl_path`.
    pub idl_path: RefCell<Vec<PathBuf>>,
    /// The contents of the variables and files that values refer to, in the order of reading.
    pub contents: RefCell<Definition>,
    /// When its certificates expire.
    pub expiries: RefCell<Vec<CertificateExpiry>>,
    /// The known keys of each table that was read, by its path.
    pub keys: RefCell<BTreeMap<String, Vec<&'static str>>>,
    /// The files that it consists of: itself, IDLs, certificates, keys, and those that references name.
    pub files: RefCell<FilesRead>,
    /// The files of tables, which belong to the configuration only if it is refused: a mistake in them may be why.
    pub data_files: RefCell<FilesRead>,
}

impl Document {
    /// A file that has not been read yet. `idl_path` are the folders of the command line.
    pub fn new(source: SourceFile, idl_path: &[PathBuf]) -> Self {
        Document {
            source,
            problems: Problems::default(),
            warnings: Problems::default(),
            idl_path: RefCell::new(idl_path.to_vec()),
            contents: RefCell::default(),
            expiries: RefCell::default(),
            keys: RefCell::default(),
            files: RefCell::default(),
            data_files: RefCell::default(),
        }
    }

    /// Notes when a file of certificates expires, if that is known. The same file may be used more than once.
    pub(super) fn expires(&self, file: &str, expires: Option<i64>) {
        let mut expiries = self.expiries.borrow_mut();
        if let Some(expires) = expires
            && expiries.iter().all(|known| known.file != file)
        {
            let file = file.to_owned();
            expiries.push(CertificateExpiry { file, expires });
        }
    }

    /// Notes a file that is about to be read.
    pub(super) fn reads(&self, path: &Path) {
        self.files.borrow_mut().note(path);
    }

    /// Notes the file of a table that is about to be read.
    pub(crate) fn reads_data(&self, path: &Path) {
        self.data_files.borrow_mut().note(path);
    }

    /// Remembers what a value refers to.
    pub(super) fn note(&self, content: &[u8]) {
        self.contents.borrow_mut().add(content);
    }

    /// Reports a problem at a place.
    pub fn problem(
        &self,
        place: &Place,
        code: Code,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.problems
            .push(self.at(place, code, message.into(), help));
    }

    /// Warns of something at a place.
    pub fn warning(
        &self,
        place: &Place,
        code: Code,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.warnings
            .push(self.at(place, code, message.into(), help));
    }

    fn at(&self, place: &Place, code: Code, message: String, help: Option<String>) -> Problem {
        Problem {
            code,
            place: Some((self.source.clone(), place.span.clone())),
            key: place.key.clone(),
            message,
            help,
        }
    }
}

/// One table of the file.
#[derive(Clone)]
pub struct Section<'d> {
    document: &'d Document,
    place: Place,
    table: DeTable<'d>,
    /// Every key that was asked for. `finish` suggests them for unknown keys.
    asked: Vec<&'static str>,
}

impl<'d> Section<'d> {
    /// A table and its place; the key path of the whole file is empty.
    pub fn new(document: &'d Document, place: Place, table: DeTable<'d>) -> Self {
        Section {
            document,
            place,
            table,
            asked: Vec::new(),
        }
    }

    /// The document, for reporting problems later.
    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// Its keys that are not taken yet, with their values. Reading them adds what they refer to to [`Document::contents`].
    pub fn definition(&self) -> Definition {
        Definition::of(&self.table)
    }

    /// The place of the table itself.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether `key` is present and not taken yet.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Like [`Section::has`], for a key that belongs here: `finish` may suggest it.
    pub(super) fn has_known(&mut self, key: &'static str) -> bool {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.has(key)
    }

    /// The value of `key`, if it is present and not taken yet.
    pub(crate) fn peek(&self, key: &str) -> Option<&DeValue<'d>> {
        Some(self.table.get(key)?.get_ref())
    }

    /// The place of the name of `key`, if it is present and not taken yet.
    pub fn place_of_name(&self, key: &str) -> Option<Place> {
        let mut names = self.table.keys();
        let name = names.find(|name| *name.get_ref() == key)?;
        Some(Place {
            key: join(&self.place.key, key),
            span: name.span(),
        })
    }

    /// All keys that are not taken yet, in the order of the file.
    pub fn keys(&self) -> Vec<String> {
        self.table
            .keys()
            .map(|key| key.get_ref().to_string())
            .collect()
    }

    /// The place of the value of `key`, if it is present and not taken yet.
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

    /// Like [`Section::take`], for names that the operator chose: backends, lookups, parameters.
    pub fn take_named(&mut self, key: &str) -> Option<(DeValue<'d>, Place)> {
        let value = self.table.remove(key)?;
        let place = Place {
            key: join(&self.place.key, key),
            span: value.span(),
        };
        Some((value.into_inner(), place))
    }

    /// Reports a value of the wrong type.
    pub fn expected(&self, place: &Place, expected: &str, found: &DeValue<'_>) {
        self.expected_meaning(place, expected, found, None);
    }

    /// Reports a value of the wrong type. `meant` is what is probably meant.
    pub(crate) fn expected_meaning(
        &self,
        place: &Place,
        expected: &str,
        found: &DeValue<'_>,
        meant: Option<&str>,
    ) {
        let meant = meant.map(|meant| format!("did you mean `\"{meant}\"`?"));
        self.document.problem(
            place,
            Code::ConfigBadValue,
            format!("expected {expected}, found {}", article(found)),
            meant.or_else(|| instead(&place.key, expected, found)),
        );
    }

    /// Reports a bad value.
    pub fn bad(&self, place: &Place, message: impl Into<String>, help: Option<String>) {
        self.document
            .problem(place, Code::ConfigBadValue, message, help);
    }

    /// Reports that `key` is missing. `example` is a line of TOML to add.
    pub fn missing(&self, key: &str, example: &str) {
        self.document.problem(
            &self.place,
            Code::ConfigMissingKey,
            missing(key),
            Some(format!("add `{example}`")),
        );
    }

    /// Whether one of the keys that were not taken is probably meant as `key`, which was asked for.
    pub(super) fn has_misspelt(&self, key: &str) -> bool {
        let mut others = self.table.keys();
        others.any(|other| nearest(other.get_ref(), self.asked.iter().copied()) == Some(key))
    }

    /// A misspelt key is one problem: withdraws the report that the right key is missing.
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

    /// A required string. `example` is a line of TOML to add.
    pub fn required_string(&mut self, key: &'static str, example: &str) -> Option<(String, Place)> {
        if !self.has(key) {
            self.asked.push(key);
            self.missing(key, example);
            return None;
        }
        self.string(key)
    }

    /// A path relative to the folder of the configuration file.
    pub fn relative(&self, path: &str) -> std::path::PathBuf {
        let file = std::path::Path::new(&*self.document.source.path);
        file.parent().unwrap_or(std::path::Path::new("")).join(path)
    }

    /// A value of any type; see [`Section::to_value`].
    pub fn value(&mut self, key: &'static str) -> Option<(Value, Place)> {
        let (value, place) = self.take(key)?;
        Some((self.to_value(&value, &place)?, place))
    }

    /// Reports every key that was not taken.
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
                None => format!("known keys: {}", list(self.asked.iter().copied())),
            };
            self.document
                .problem(&place, Code::ConfigUnknownKey, "unknown key", Some(help));
        }
        let mut keys = self.document.keys.borrow_mut();
        keys.insert(self.place.key, self.asked);
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

pub(crate) fn article(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}

/// A document with this text, for tests.
#[cfg(any(test, fuzzing))]
pub(crate) fn document(text: &str) -> Document {
    document_at("test.toml", text)
}

/// A document with this path and text, for tests that read other files in its folder.
#[cfg(any(test, fuzzing))]
pub(crate) fn document_at(path: &str, text: &str) -> Document {
    let source = SourceFile {
        path: std::sync::Arc::from(path),
        text: std::sync::Arc::from(text),
    };
    Document::new(source, &[])
}

/// The whole document as one section, for tests.
#[cfg(any(test, fuzzing))]
pub(crate) fn whole(document: &Document) -> Section<'_> {
    let table = DeTable::parse(&document.source.text).expect("valid TOML");
    let place = Place {
        key: String::new(),
        span: table.span(),
    };
    Section::new(document, place, table.into_inner())
}
