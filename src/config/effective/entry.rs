//! One value of a configuration as it is shown, and what a restart would make of it.
//!
//! Keys that are read at start only keep the value that the server was started with, whatever the file says now. Both are
//! shown: the one in use, and the one that a restart would bring.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

/// What a reload changes in the table `traces`, all of which is otherwise held back.
const RELOADED: [&str; 4] = [
    "traces.share",
    "traces.slow",
    "traces.per_second_max",
    "traces.propagate",
];

/// One value.
pub(super) struct Entry {
    /// Its key path.
    pub(super) key: String,
    pub(super) value: Shown,
    /// The line of the file; `None` if it is a default.
    pub(super) line: Option<usize>,
    pub(super) held: Held,
}

#[derive(PartialEq)]
pub(super) enum Shown {
    Value(Json),
    /// A default that depends on something else, in words.
    Words(String),
}

/// Whether the value is the one that the file has now.
pub(super) enum Held {
    /// It is, and it is in use.
    No,
    /// It is from the start. A restart makes it this, of that line; without one, it removes the key.
    Changed(Option<(Shown, Option<usize>)>),
    /// It is, and it is in use only after a restart.
    Unused,
}

impl Entry {
    /// `path` is that of the file.
    pub(super) fn json(&self, path: &str) -> Json {
        let mut shown = json!({ "key": self.key });
        match &self.held {
            Held::No => self.value.add_to(&mut shown, from(path, self.line)),
            Held::Changed(later) => {
                self.value.add_to(&mut shown, "the start".into());
                shown["after_restart"] = later.as_ref().map_or(Json::Null, |(value, line)| {
                    let mut later = json!({});
                    value.add_to(&mut later, from(path, *line));
                    later
                });
            }
            Held::Unused => {
                shown["after_restart"] = json!({});
                let later = &mut shown["after_restart"];
                self.value.add_to(later, from(path, self.line));
            }
        }
        shown
    }

    /// A line of text.
    pub(super) fn text(&self, path: &str) -> String {
        let Entry { key, value, .. } = self;
        let later = |value: &Shown, line| format!("{} ({})", value.words(), from(path, line));
        match (&self.held, value) {
            (Held::No, Shown::Value(value)) => {
                format!("{key} = {value}  # {}", from(path, self.line))
            }
            (Held::No, Shown::Words(words)) => {
                format!("{key}  # {}: {words}", from(path, self.line))
            }
            (Held::Unused, value) => {
                let later = later(value, self.line);
                format!("{key}  # not in use; a restart makes it {later}")
            }
            (Held::Changed(new), value) => {
                let new = new.as_ref().map_or_else(
                    || "removes it".to_owned(),
                    |(value, line)| format!("makes it {}", later(value, *line)),
                );
                match value {
                    Shown::Value(value) => {
                        format!("{key} = {value}  # from the start; a restart {new}")
                    }
                    Shown::Words(words) => {
                        format!("{key}  # from the start: {words}; a restart {new}")
                    }
                }
            }
        }
    }
}

impl Shown {
    fn add_to(&self, shown: &mut Json, from: String) {
        match self {
            Shown::Value(value) => shown["value"] = value.clone(),
            Shown::Words(words) => shown["default"] = Json::from(&**words),
        }
        shown["from"] = from.into();
    }

    fn words(&self) -> String {
        match self {
            Shown::Value(value) => value.to_string(),
            Shown::Words(words) => words.clone(),
        }
    }
}

fn from(path: &str, line: Option<usize>) -> String {
    line.map_or_else(|| "default".to_owned(), |line| format!("{path}:{line}"))
}

/// The values that are in use: those of `started` for `keys` and what is in them, which a reload could not change, and
/// otherwise those of `now`.
pub(super) fn hold_back(now: Vec<Entry>, started: Vec<Entry>, keys: &[String]) -> Vec<Entry> {
    let is_held = |key: &str| keys.iter().any(|held| is_of(key, held));
    let order: Vec<String> = started.iter().map(|entry| entry.key.clone()).collect();
    let started = started.into_iter().filter(|entry| is_held(&entry.key));
    let mut started: HashMap<String, Entry> =
        started.map(|entry| (entry.key.clone(), entry)).collect();
    let mut entries = Vec::with_capacity(now.len());
    for mut entry in now {
        if is_held(&entry.key) {
            match started.remove(&entry.key) {
                None => entry.held = Held::Unused,
                // A secret looks the same if it has changed.
                Some(then) if then.value != entry.value || keys.contains(&entry.key) => {
                    if !RELOADED.contains(&&*entry.key) {
                        let later = (entry.value, entry.line);
                        entry = Entry {
                            held: Held::Changed(Some(later)),
                            ..then
                        };
                    }
                }
                Some(_same) => {}
            }
        }
        entries.push(entry);
    }
    for key in order {
        if let Some(entry) = started.remove(&key) {
            let table = table_of(&key);
            let beside = entries.iter().rposition(|of| table_of(&of.key) == table);
            let at = beside.map_or(entries.len(), |beside| beside + 1);
            let held = Held::Changed(None);
            entries.insert(at, Entry { held, ..entry });
        }
    }
    entries
}

/// Whether `held` names this key, or a table that it is in.
fn is_of(key: &str, held: &str) -> bool {
    let Some(rest) = key.strip_prefix(held) else {
        return false;
    };
    let is_inside = rest.is_empty() || rest.starts_with(['.', '[']);
    // The access log has three keys.
    is_inside || held == "log.access"
}

fn table_of(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(table, _)| table)
}
