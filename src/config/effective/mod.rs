//! Lists every value of a configuration, defaults included, and where each is from.
//!
//! In: the text of the file, and the keys that its readers asked for. Defaults are those of the manual's tables, which tests
//! compare with the code. Out: JSON, or text that reads like the file. Secrets are left out: see [`redact`].

mod redact;
mod entry; // one value
mod tables; // the manual's tables that belong to a table of the file

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use toml::de::{DeTable, DeValue};

use super::typed::integer;
use crate::diagnostic::SourceFile;
use entry::{Entry, Held, Shown, hold_back};
use redact::redacted;

/// A configuration, from which its values are listed when they are asked for.
#[derive(Default)]
pub struct Effective {
    source: Option<SourceFile>,
    /// The known keys of each table, by its path.
    keys: BTreeMap<String, Vec<&'static str>>,
    /// What the server was started with, and the paths of keys in which that is still in use.
    started: Option<(Arc<Effective>, Vec<String>)>,
}

impl std::fmt::Debug for Effective {
    /// It may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effective").finish_non_exhaustive()
    }
}

impl Effective {
    /// The configuration in `source`. `keys` are the known keys of each of its tables, by its path.
    pub fn new(source: SourceFile, keys: BTreeMap<String, Vec<&'static str>>) -> Self {
        Effective {
            source: Some(source),
            keys,
            started: None,
        }
    }

    /// This configuration in a server that was started with another one, `keys` of which are still in use.
    #[must_use]
    pub fn in_place_of(&self, started: &Arc<Effective>, keys: &[String]) -> Self {
        Effective {
            source: self.source.clone(),
            keys: self.keys.clone(),
            started: Some((Arc::clone(started), keys.to_vec())),
        }
    }

    /// Every value: `key`, `value` or, if the default depends on something, `default` in words; and `from`: the file and the line,
    /// `default`, or `the start`. Then `after_restart` has what the file says now.
    pub fn json(&self) -> Json {
        let path = self.path();
        let entries = self.in_use();
        let values = entries.iter().map(|entry| entry.json(path));
        json!({ "file": path, "values": values.collect::<Vec<Json>>() })
    }

    /// Every value on a line: `server.workers = 1  # default`.
    pub fn text(&self) -> String {
        let path = self.path();
        let mut text = String::new();
        let mut table = String::new();
        for entry in self.in_use() {
            let of = entry.key.split('.').take(2).collect::<Vec<_>>().join(".");
            if !table.is_empty() && table != of {
                text.push('\n');
            }
            table = of;
            text.push_str(&entry.text(path));
            text.push('\n');
        }
        text
    }

    fn path(&self) -> &str {
        self.source.as_ref().map_or("", |source| &source.path)
    }

    /// Every value that is in use, and those that take a restart.
    fn in_use(&self) -> Vec<Entry> {
        match &self.started {
            Some((started, keys)) => hold_back(self.entries(), started.entries(), keys),
            None => self.entries(),
        }
    }

    /// Every value: those of the file in its order, those of each table before its defaults.
    fn entries(&self) -> Vec<Entry> {
        let Some(source) = &self.source else {
            return Vec::new();
        };
        let (root, _) = DeTable::parse_recoverable(&source.text);
        let root = root.get_ref();
        let mut walk = Walk {
            text: &source.text,
            root,
            keys: self.keys.clone(),
            entries: Vec::new(),
        };
        // Limits hold with and without their table.
        let limits = tables::rows("server.limits", None, false).into_iter();
        let limits = limits.map(|(key, _)| key).collect();
        walk.keys.entry("server.limits".into()).or_insert(limits);
        walk.table("", root);
        let rest: Vec<String> = walk.keys.keys().cloned().collect();
        for path in rest {
            walk.defaults(&path, &DeTable::new());
        }
        walk.entries
    }
}

struct Walk<'t> {
    text: &'t str,
    root: &'t DeTable<'t>,
    /// The known keys of the tables whose defaults are still to be listed.
    keys: BTreeMap<String, Vec<&'static str>>,
    entries: Vec<Entry>,
}

impl Walk<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        let is_table = |value: &DeValue<'_>| match value {
            DeValue::Table(_) => true,
            DeValue::Array(items) => items.iter().any(|item| item.get_ref().is_table()),
            _ => false,
        };
        let (tables, values): (Vec<_>, Vec<_>) = table
            .iter()
            .partition(|(_, value)| is_table(value.get_ref()));
        for (name, value) in values {
            let key = join(path, name.get_ref());
            let value_json = json_of(value.get_ref());
            self.entries.push(Entry {
                value: Shown::Value(redacted(&key, value_json)),
                key,
                line: Some(self.line(value.span().start)),
                held: Held::No,
            });
        }
        self.defaults(path, table);
        for (name, value) in tables {
            let path = join(path, name.get_ref());
            match value.get_ref() {
                DeValue::Table(table) => self.table(&path, table),
                DeValue::Array(items) => {
                    for (at, item) in items.iter().enumerate() {
                        let path = format!("{path}[{at}]");
                        match item.get_ref() {
                            DeValue::Table(table) => self.table(&path, table),
                            value => self.entries.push(Entry {
                                value: Shown::Value(redacted(&path, json_of(value))),
                                key: path,
                                line: Some(self.line(item.span().start)),
                                held: Held::No,
                            }),
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The defaults of the keys that the table at `path` could have and has not.
    fn defaults(&mut self, path: &str, table: &DeTable<'_>) {
        let Some(known) = self.keys.remove(path) else {
            return;
        };
        let kind = path.split('.').nth(1);
        let kind = kind.and_then(|name| self.kind_of(path, name));
        for (key, default) in tables::rows(path, kind, table.contains_key("endpoints")) {
            if !known.contains(&key) || table.contains_key(key) {
                continue;
            }
            self.entries.push(Entry {
                key: join(path, key),
                value: shown_default(default),
                line: None,
                held: Held::No,
            });
        }
    }

    /// The kind of the backend that a table configures or asks.
    fn kind_of(&self, path: &str, name: &str) -> Option<&str> {
        let get = |table: &str, name: &str, key: &str| {
            let named = self.root.get(table)?.get_ref().get(name)?;
            named.get_ref().get(key)?.get_ref().as_str()
        };
        let backend = if path.starts_with("lookups.") {
            get("lookups", name, "backend")?
        } else {
            name
        };
        get("backends", backend, "kind")
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text[..at.min(self.text.len())].matches('\n').count()
    }
}

/// A default of the manual: a value if it is written as one.
fn shown_default(markdown: &str) -> Shown {
    let code = markdown
        .strip_prefix('`')
        .and_then(|rest| rest.strip_suffix('`'));
    let code = code.filter(|code| !code.contains('`')).unwrap_or(markdown);
    let line = format!("value = {code}");
    match DeTable::parse(&line) {
        Ok(table) => match table.get_ref().get("value") {
            Some(value) => Shown::Value(json_of(value.get_ref())),
            None => Shown::Words(words(markdown)),
        },
        Err(_) => Shown::Words(words(markdown)),
    }
}

/// Markdown without its marks.
fn words(markdown: &str) -> String {
    let mut words = String::new();
    let mut rest = markdown;
    // `[text](target)` is its text.
    while let Some((before, link)) = rest.split_once('[') {
        words.push_str(before);
        let (text, after) = link.split_once("](").unwrap_or((link, ""));
        words.push_str(text);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    words.push_str(rest);
    words.replace('`', "")
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn json_of(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            integer(value).map_or_else(|| json!(number.to_string()), Json::from)
        }
        DeValue::Float(number) => {
            let parsed = number.as_str().replace('_', "").parse::<f64>();
            parsed.map_or_else(|_| json!(number.to_string()), Json::from)
        }
        DeValue::Boolean(bit) => json!(bit),
        DeValue::Datetime(when) => json!(when.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json_of(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let pairs = table.iter();
            let pairs = pairs.map(|(name, value)| {
                (
                    name.get_ref().clone().into_owned(),
                    json_of(value.get_ref()),
                )
            });
            Json::Object(pairs.collect())
        }
    }
}

#[cfg(test)]
mod tests;
