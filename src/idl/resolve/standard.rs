//! Finds the types of the standard include, and compares an operator's copy of it with the program's own.
//!
//! A copy may be older: it declares less. A type that is not the program's is filled by the names of its fields, as far as
//! they fit, so it is a warning.

use std::sync::Arc;

use super::super::read::STANDARD;
use super::super::schema::{EnumType, Field, Schema, Standard, Type};
use super::super::syntax::{Definition, DefinitionBody};
use super::Resolver;
use super::scope::DefinitionId;

impl Resolver<'_> {
    /// The types of the standard include.
    pub(super) fn standard(&self) -> Standard {
        let file = self.files.iter().position(|file| file.name == STANDARD.0);
        let find = |name: &str| {
            let index = self.scope.own_type(file?, name)?;
            self.struct_ids.get(&index).copied()
        };
        Standard {
            context: find("Context"),
            report: find("Report"),
            lookup_report: find("LookupReport"),
            invalid_request: find("InvalidRequest"),
            lookup_failed: find("LookupFailed"),
            deadline_exceeded: find("DeadlineExceeded"),
            overloaded: find("Overloaded"),
        }
    }

    /// Warns of each definition of a file called `tributary.thrift` that the program's own copy does not have.
    pub(super) fn compare_standard(&mut self, known: &Schema) {
        for (at, file) in self.files.iter().enumerate() {
            if file.name != STANDARD.0 {
                continue;
            }
            for (index, definition) in file.document.definitions.iter().enumerate() {
                let at = DefinitionId { file: at, index };
                let Some(what) = self.difference(known, at, definition) else {
                    continue;
                };
                self.problems.warning(file, definition.name.span, || {
                    (
                        format!(
                            "{what}: this `{}` differs from the one that the program has",
                            STANDARD.0
                        ),
                        "remove the file, and take the program's copy from a running server with `tributary call \
                         --service Tributary idl`; a file of your own needs another name"
                            .into(),
                    )
                });
            }
        }
    }

    /// What a definition has that the standard include has not.
    fn difference(
        &self,
        known: &Schema,
        at: DefinitionId,
        definition: &Definition,
    ) -> Option<String> {
        let name = &definition.name.text;
        let full = format!("tributary.{name}");
        match &definition.body {
            DefinitionBody::Struct(kind, _) => {
                let ours = known.structs.iter().find(|ours| *ours.name == *full);
                let Some(ours) = ours.filter(|ours| ours.kind == *kind) else {
                    return Some(format!("there is no such `{name}`"));
                };
                let theirs = self.schema.get(*self.struct_ids.get(&at)?);
                let odd = theirs.fields.iter().find(|field| {
                    let ours = ours.fields.iter().find(|ours| ours.id == field.id);
                    !ours.is_some_and(|ours| same((known, ours), (&self.schema, field)))
                });
                odd.map(|field| format!("there is no such field `{name}.{}`", field.name))
            }
            DefinitionBody::Enum(_) => {
                let theirs = self.enums.get(&at)?;
                let Some(ours) = enums(known).find(|ours| *ours.name == *full) else {
                    return Some(format!("there is no such `{name}`"));
                };
                let odd = theirs
                    .values
                    .iter()
                    .find(|value| !ours.values.contains(value));
                odd.map(|(value, _)| format!("there is no such value `{name}.{value}`"))
            }
            // The methods of the service are compared where they are served.
            DefinitionBody::Service(..) if known.service(name).is_some() => None,
            DefinitionBody::Service(..) => Some(format!("there is no such service `{name}`")),
            DefinitionBody::Typedef(_) | DefinitionBody::Const(..) => None,
        }
    }
}

/// Whether two fields are alike to both ends of a connection.
fn same((known, ours): (&Schema, &Field), (schema, theirs): (&Schema, &Field)) -> bool {
    ours.name == theirs.name && known.describe(&ours.ty) == schema.describe(&theirs.ty)
}

/// The enums of the fields of a schema.
fn enums(schema: &Schema) -> impl Iterator<Item = &Arc<EnumType>> {
    let fields = schema.structs.iter().flat_map(|of| &of.fields);
    fields.filter_map(|field| match &field.ty {
        Type::Enum(of) => Some(of),
        _ => None,
    })
}
