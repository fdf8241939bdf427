//! Numbers the values of enums.
//!
//! A value without a number gets the previous number plus one; the first gets 0. Two values may share a number, as
//! Apache's compiler allows, but not a name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::schema::EnumType;
use super::super::syntax::{DefinitionBody, EnumEntry};
use super::{Resolver, definitions, repeated};

/// The numbers of an enum, indexed because enums can be long.
#[derive(Default)]
pub(super) struct EnumNumbers {
    pub(super) by_name: HashMap<Arc<str>, i32>,
    pub(super) known: HashSet<i32>,
}

impl Resolver<'_> {
    pub(super) fn enums(&mut self) {
        for (at, definition) in definitions(self.files) {
            if let DefinitionBody::Enum(entries) = &definition.body {
                let name = self.full_name(at, &definition.name);
                let values = self.enum_values(at.file, entries);
                let numbers = EnumNumbers {
                    by_name: values.iter().cloned().collect(),
                    known: values.iter().map(|(_, number)| *number).collect(),
                };
                let made = Arc::new(EnumType { name, values });
                self.numbers.insert(Arc::as_ptr(&made), numbers);
                self.enums.insert(at, made);
            }
        }
    }

    fn enum_values(&mut self, file: usize, entries: &[EnumEntry]) -> Vec<(Arc<str>, i32)> {
        let file = &self.files[file];
        for name in repeated(entries.iter().map(|entry| &entry.name)) {
            self.problems.invalid(file, name.span, || {
                let message = format!("the enum already has a value `{}`", name.text);
                (message, "rename or remove one of them".into())
            });
        }
        let mut values = Vec::with_capacity(entries.len());
        let mut next = 0;
        for entry in entries {
            let (number, span) = entry.number.unwrap_or((next, entry.name.span));
            match i32::try_from(number) {
                Ok(narrow) => values.push((Arc::clone(&entry.name.text), narrow)),
                Err(_) => self.problems.invalid(file, span, || {
                    let message =
                        format!("the value `{}` is out of range: {number}", entry.name.text);
                    (
                        message,
                        "an enum's numbers run from -2147483648 to 2147483647".into(),
                    )
                }),
            }
            next = number.saturating_add(1);
        }
        values
    }
}
