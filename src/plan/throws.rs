//! Binds each exception that a method declares to the failures that it is thrown for.

use super::compile::Compiler;
use super::compiled::{Throw, ThrowOn};
use crate::diagnostic::suggest;
use crate::error::Code;
use crate::idl::{Field, Type};

impl Compiler<'_> {
    pub(super) fn throws(&self) -> Vec<Throw> {
        for (_, field, place) in &self.view.throws {
            if !self
                .method
                .throws
                .iter()
                .any(|throw| *throw.name == **field)
            {
                let names: Vec<&str> = self
                    .method
                    .throws
                    .iter()
                    .map(|throw| &*throw.name)
                    .collect();
                let message = format!("the method does not throw `{field}`");
                let none = || "its IDL has no `throws`".into();
                let help = suggest(field, names.iter().copied(), none);
                self.problem(place, Code::ConfigUnknownName, message, Some(help));
            }
        }
        self.method
            .throws
            .iter()
            .filter_map(|field| self.throw(field))
            .collect()
    }

    fn throw(&self, field: &Field) -> Option<Throw> {
        let Type::Struct(of) = field.ty else {
            return None;
        };
        let codes: Vec<Code> = self
            .view
            .throws
            .iter()
            .filter(|(_, name, _)| **name == *field.name)
            .flat_map(|(code, ..)| codes_of(code))
            .collect();
        let standard = &self.scope.schema.standard;
        let is_standard = [
            standard.invalid_request,
            standard.lookup_failed,
            standard.deadline_exceeded,
            standard.overloaded,
        ]
        .contains(&Some(of));
        let on = match (codes.is_empty(), is_standard) {
            (false, _) => ThrowOn::Codes(codes),
            (true, true) => ThrowOn::Standard,
            (true, false) => ThrowOn::Never,
        };
        Some(Throw {
            id: field.id,
            of,
            on,
        })
    }
}

/// The codes that match a pattern such as `lookup.timeout` or `lookup.*`.
fn codes_of(pattern: &str) -> Vec<Code> {
    let area = pattern.strip_suffix('*');
    let means = |code: &&Code| match area {
        Some(area) => code.as_str().starts_with(area),
        None => code.as_str() == pattern,
    };
    Code::ALL.iter().filter(means).copied().collect()
}
