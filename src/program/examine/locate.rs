//! Finds the place of a key in the file again, after the check.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::remark::Remark;
use crate::diagnostic::{Problem, SourceFile};

/// The keys of a configuration and their places.
pub(super) struct KeyPlaces<'s> {
    source: &'s SourceFile,
    root: DeTable<'s>,
}

impl<'s> KeyPlaces<'s> {
    pub(super) fn of(source: &'s SourceFile) -> Self {
        // The file was read before without errors.
        let (root, _) = DeTable::parse_recoverable(&source.text);
        let root = root.into_inner();
        KeyPlaces { source, root }
    }

    /// Turns a remark into a problem at its key, or at the innermost table around it if the key is not in the file.
    pub(super) fn problem(&self, remark: &Remark) -> Problem {
        let (depth, span) = self.find(&remark.path);
        Problem {
            code: remark.code,
            place: span.map(|span| (self.source.clone(), span)),
            key: remark.path[..depth].join("."),
            message: remark.message.clone(),
            help: remark.help.clone(),
        }
    }

    /// How many names of `path` are in the file, and the place of the last one.
    fn find(&self, path: &[String]) -> (usize, Option<Range<usize>>) {
        let mut table = &self.root;
        let mut found = (0, None);
        for (depth, name) in path.iter().enumerate() {
            // `services[1]` is the second one of an array of tables.
            let array = name.strip_suffix(']').and_then(|name| name.split_once('['));
            let value = match array.and_then(|(name, at)| Some((name, at.parse::<usize>().ok()?))) {
                Some((name, at)) => {
                    let array = table.get(name).and_then(|array| array.get_ref().as_array());
                    array.and_then(|array| array.get(at))
                }
                None => table.get(&**name),
            };
            let Some(value) = value else {
                return found;
            };
            found = (depth + 1, Some(value.span()));
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => return found,
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_key_is_found_or_the_table_around_it() {
        let source = SourceFile {
            path: "t.toml".into(),
            text: "[lookups.a]\nsql = \"x\"\n\n[views.get.lookups]\nb = { use = \"a\" }\n".into(),
        };
        let map = KeyPlaces::of(&source);
        let find = |path: &[&str]| {
            let remark = Remark {
                path: path.iter().map(ToString::to_string).collect(),
                ..Remark::error([], Code::ConfigType, "m")
            };
            let problem = map.problem(&remark);
            (problem.line(), problem.key)
        };
        assert_eq!(
            find(&["lookups", "a", "sql"]),
            (Some(2), "lookups.a.sql".into())
        );
        assert_eq!(
            find(&["lookups", "a", "batch"]),
            (Some(1), "lookups.a".into())
        );
        let with = ["views", "get", "lookups", "b", "with", "n"];
        assert_eq!(find(&with), (Some(5), "views.get.lookups.b".into()));
        assert_eq!(find(&["lookups", "z"]).1, "lookups");
    }
}
