//! Finds where a key stands in the file, after the check has forgotten it.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::remark::Remark;
use crate::diagnostic::{Problem, Source};

/// A configuration's keys and their places.
pub(super) struct Map<'s> {
    source: &'s Source,
    root: DeTable<'s>,
}

impl<'s> Map<'s> {
    pub(super) fn of(source: &'s Source) -> Self {
        // It was read before, so that there are no errors.
        let (root, _) = DeTable::parse_recoverable(&source.text);
        let root = root.into_inner();
        Map { source, root }
    }

    /// The remark as a problem, at its key or at the nearest one around that is written out.
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

    /// How many names of `path` are there, and where the last of them stands.
    fn find(&self, path: &[String]) -> (usize, Option<Range<usize>>) {
        let mut table = &self.root;
        let mut found = (0, None);
        for (depth, name) in path.iter().enumerate() {
            let Some(value) = table.get(&**name) else {
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
    fn a_key_is_found_or_what_is_around_it() {
        let source = Source {
            path: "t.toml".into(),
            text: "[lookups.a]\nsql = \"x\"\n\n[views.get.lookups]\nb = { use = \"a\" }\n".into(),
        };
        let map = Map::of(&source);
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
