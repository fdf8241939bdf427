//! Recognises a table of the file that means the same as at the last reading: the same values, and the same contents of the
//! variables and files that they refer to.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// What a table says, wherever it is in the file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Definition(Vec<u8>);

impl Definition {
    /// What `table` says.
    pub(super) fn of(table: &DeTable<'_>) -> Self {
        let mut definition = Definition::default();
        definition.add_table(table);
        definition
    }

    /// Completes it with the contents of what its values refer to, now that they are read.
    #[must_use]
    pub fn with(mut self, contents: &Definition) -> Self {
        self.add(&contents.0);
        self
    }

    /// Adds `part`, so that different parts never add up to the same.
    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&part.len().to_le_bytes());
        self.0.extend_from_slice(part);
    }

    fn add_table(&mut self, table: &DeTable<'_>) {
        self.add(&table.len().to_le_bytes());
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.get_ref());
        for (name, value) in entries {
            self.add(name.get_ref().as_bytes());
            self.add_value(value.get_ref());
        }
    }

    fn add_value(&mut self, value: &DeValue<'_>) {
        self.add(value.type_str().as_bytes());
        match value {
            DeValue::String(text) => self.add(text.as_bytes()),
            DeValue::Integer(integer) => self.add(integer.to_string().as_bytes()),
            DeValue::Float(float) => self.add(float.to_string().as_bytes()),
            DeValue::Boolean(bit) => self.add(&[u8::from(*bit)]),
            DeValue::Datetime(when) => self.add(when.to_string().as_bytes()),
            DeValue::Array(items) => {
                self.add(&items.len().to_le_bytes());
                for item in items {
                    self.add_value(item.get_ref());
                }
            }
            DeValue::Table(table) => self.add_table(table),
        }
    }
}

impl fmt::Debug for Definition {
    /// It may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document_at, whole};

    /// The definition of a text whose key `secret` is read.
    fn definition(folder: &std::path::Path, text: &str) -> Definition {
        let path = folder.join("t.toml");
        let document = document_at(&path.to_string_lossy(), text);
        let mut section = whole(&document);
        let definition = section.definition();
        let _secret = section.secret("secret", "");
        definition.with(&document.contents.take())
    }

    #[test]
    fn places_and_order_do_not_matter_and_all_values_do() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let of = |text: &str| definition(folder.path(), text);
        let one = of("a = 1\nb = ['x', 'y']\nc = { d = 1.5 }");
        let moved = of("# more\n\nc = { d = 1.5 }\n\na = 1\nb = [ 'x',\n'y' ]");
        assert!(one == moved);
        for other in [
            "a = 1\nb = ['x', 'y']",
            "a = 1\nb = ['xy']\nc = { d = 1.5 }",
            "a = '1'\nb = ['x', 'y']\nc = { d = 1.5 }",
            "a = 2\nb = ['x', 'y']\nc = { d = 1.5 }",
            "a = 1\nb = ['x', 'y']\nc = { d = 2.5 }",
            "a = 1\nb = ['x', 'y']\nc = { e = 1.5 }",
        ] {
            assert!(one != of(other), "{other}");
        }
    }

    #[test]
    fn a_secret_that_changes_in_its_file_changes_the_definition() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |text: &str| std::fs::write(folder.path().join("key"), text);
        let of = || definition(folder.path(), "secret = 'file:key'");
        write("one").expect("the folder is ours");
        let before = of();
        assert!(before == of());
        write("two").expect("the folder is ours");
        assert!(before != of());
        assert_eq!(format!("{before:?}"), "Definition { .. }");
    }
}
