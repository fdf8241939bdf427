//! Resolves the fields of structs, parameters and `throws`.
//!
//! Default values are evaluated later, when every struct is known.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::file::ParsedFile;
use super::super::schema::{Field, Requiredness, StructKind};
use super::super::syntax::{FieldSyntax, Span};
use super::{Resolver, repeated};

/// The valid fields.
pub(super) struct ResolvedFields<'f> {
    pub(super) fields: Vec<Field>,
    /// The syntax of each.
    pub(super) origins: Vec<&'f FieldSyntax>,
    /// Whether no field was omitted.
    pub(super) whole: bool,
}

impl<'f> Resolver<'f> {
    /// Resolves `written`; `kind` is `None` for parameters and `throws`.
    pub(super) fn fields(
        &mut self,
        file: usize,
        written: &'f [FieldSyntax],
        kind: Option<StructKind>,
    ) -> ResolvedFields<'f> {
        let parsed = &self.files[file];
        for name in repeated(written.iter().map(|field| &field.name)) {
            self.problems.invalid(parsed, name.span, || {
                let message = format!("there already is a field `{}`", name.text);
                (message, "rename or remove one of them".into())
            });
        }
        if kind == Some(StructKind::Union) {
            self.check_union(parsed, written);
        }
        let mut resolved = ResolvedFields {
            fields: Vec::with_capacity(written.len()),
            origins: Vec::with_capacity(written.len()),
            whole: true,
        };
        let ids = self.ids(parsed, written);
        for (field, id) in written.iter().zip(ids) {
            let (Some(ty), Some(id)) = (self.type_of(file, &field.ty), id) else {
                resolved.whole = false;
                continue;
            };
            resolved.origins.push(field);
            resolved.fields.push(Field {
                id,
                name: Arc::clone(&field.name.text),
                requiredness: match kind {
                    Some(StructKind::Union) => Requiredness::Optional,
                    _ => field.requiredness,
                },
                ty,
                default: None,
                doc: field.doc.clone(),
            });
        }
        resolved
    }

    /// The id of each field; `None` if it is invalid.
    ///
    /// Like Apache's compiler, this gives -1 to the first field without an id, -2 to the second, and so on. The
    /// compiler also renumbers negative ids in the file, so they are accepted only if they match.
    fn ids(&mut self, file: &ParsedFile, written: &[FieldSyntax]) -> Vec<Option<i16>> {
        let mut taken: HashMap<i16, &FieldSyntax> = HashMap::new();
        let mut implicit = 0;
        let mut ids = Vec::with_capacity(written.len());
        for field in written {
            if field.id.is_none_or(|(id, _)| id <= 0) {
                implicit -= 1;
            }
            let (id, span) = field.id.unwrap_or((implicit, field.name.span));
            let right = if id > 0 { id } else { implicit };
            let id = i16::try_from(id).ok().filter(|_| id == right);
            match id {
                None => self.bad_id(file, field, span, implicit),
                Some(id) => {
                    if let Some(first) = taken.insert(id, field) {
                        self.problems.invalid(file, span, || {
                            let message = format!("the id {id} is taken by `{}`", first.name.text);
                            (message, "give each field its own id".into())
                        });
                    }
                }
            }
            ids.push(id);
        }
        ids
    }

    fn bad_id(&mut self, file: &ParsedFile, field: &FieldSyntax, span: Span, implicit: i64) {
        self.problems.invalid(file, span, || {
            let name = &field.name.text;
            match field.id {
                Some((id, _)) if id < 0 => (
                    format!("the id {id} of `{name}` is negative"),
                    format!(
                        "use an id from 1 to 32767; Apache's compiler would make it {implicit}"
                    ),
                ),
                Some((id, _)) => (
                    format!("the id {id} of `{name}` is out of range"),
                    "ids run from 1 to 32767".into(),
                ),
                None => (
                    format!("the id of `{name}` is out of range: too many fields without one"),
                    "give the fields ids from 1 to 32767".into(),
                ),
            }
        });
    }

    fn check_union(&mut self, file: &ParsedFile, written: &[FieldSyntax]) {
        for field in written {
            if let Some(span) = field.required_at {
                self.problems.invalid(file, span, || {
                    let name = &field.name.text;
                    let message =
                        format!("`{name}` is required, but a union sets one field of many");
                    (
                        message,
                        "remove `required`, or make the union a struct".into(),
                    )
                });
            }
        }
        let mut defaults = written.iter().filter(|field| field.default.is_some());
        if let (Some(first), Some(second)) = (defaults.next(), defaults.next()) {
            self.problems.invalid(file, second.name.span, || {
                let (first, second) = (&first.name.text, &second.name.text);
                let message = format!("both `{first}` and `{second}` have a default value");
                (
                    message,
                    "a union sets one field: keep one default value at most".into(),
                )
            });
        }
    }
}
