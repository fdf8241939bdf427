//! Evaluates struct constants: maps from field names to values.
//!
//! Fields that a struct constant does not set get their default values, as in generated code, or null. Without a required
//! field it is no value, of which is warned. A union constant sets exactly one field and gets no default values.

use super::super::schema::{Requiredness, StructId, StructKind};
use super::super::syntax::{Constant, ConstantKind, Span};
use super::Resolver;
use crate::diagnostic::{did_you_mean, list};
use crate::value::{Record, Value};

impl<'f> Resolver<'f> {
    /// A struct constant: a map from field names to values.
    pub(super) fn record(
        &mut self,
        from: (usize, Span),
        pairs: &'f [(Constant, Constant)],
        id: StructId,
        depth: usize,
    ) -> Option<Value> {
        let index = id.0 as usize;
        let mut set = vec![false; self.schema.structs[index].fields.len()];
        self.spend(set.len(), depth, from)?;
        let mut values = vec![Value::Null; set.len()];
        let mut right = true;
        for (key, value) in pairs {
            let Some(field) = self.record_field(from.0, key, id) else {
                right = false;
                continue;
            };
            if std::mem::replace(&mut set[field], true) {
                let name = &self.origins[index].fields[field].name.text;
                self.problems.invalid(&self.files[from.0], key.span, || {
                    let message = format!("the field `{name}` is set twice");
                    (message, "remove one of them".into())
                });
            }
            let ty = self.schema.structs[index].fields[field].ty.clone();
            match self.evaluate(from.0, value, &ty, depth + 1) {
                Some(value) => values[field] = value,
                None => right = false,
            }
        }
        right &= match self.schema.structs[index].kind {
            StructKind::Union => self.check_one(from, id, &set),
            StructKind::Struct | StructKind::Exception => {
                self.fill(from, id, (&set, &mut values), depth)
            }
        };
        let names = self.schema.structs[index].names.clone();
        right.then_some(Value::Record(Record { names, values }))
    }

    /// The field that a key of a struct constant names.
    fn record_field(&mut self, file: usize, key: &'f Constant, id: StructId) -> Option<usize> {
        let origin = &self.origins[id.0 as usize];
        let name = match &key.kind {
            ConstantKind::Text(text) => text.as_str(),
            _ => "",
        };
        let found = origin.positions.get(name).copied();
        // A field that was omitted as invalid has been reported.
        if found.is_none() && (origin.whole || name.is_empty()) {
            let structure = &self.schema.structs[id.0 as usize];
            self.problems.invalid(&self.files[file], key.span, || {
                let known = structure.names.iter().map(|name| &**name);
                let help = match did_you_mean(name, known.clone().take(2000)) {
                    _ if name.is_empty() => "write the field's name in quotes".to_owned(),
                    Some(help) => help,
                    None => format!("it has {}", list(known.take(20))),
                };
                (format!("`{}` has no such field", structure.name), help)
            });
        }
        found
    }

    /// Checks that a union constant sets one field.
    fn check_one(&mut self, (file, span): (usize, Span), id: StructId, set: &[bool]) -> bool {
        let count = set.iter().filter(|set| **set).count();
        if count != 1 {
            let name = &self.schema.structs[id.0 as usize].name;
            self.problems.invalid(&self.files[file], span, || {
                let message = format!("{count} fields of the union `{name}` are set");
                (message, "set exactly one".into())
            });
        }
        count == 1
    }

    /// Fills in the default values of unset fields.
    fn fill(
        &mut self,
        (file, span): (usize, Span),
        id: StructId,
        (set, values): (&[bool], &mut [Value]),
        depth: usize,
    ) -> bool {
        let index = id.0 as usize;
        let mut right = true;
        for field in (0..set.len()).filter(|&field| !set[field]) {
            let origin = self.origins[index].fields[field];
            if origin.default.is_some() {
                match self.default(id, field, depth + 1) {
                    Some(value) => values[field] = value,
                    None => right = false,
                }
            } else if origin.requiredness == Requiredness::Required {
                right = false;
                let name = &self.schema.structs[index].name;
                self.problems.warning(&self.files[file], span, || {
                    let field = &origin.name.text;
                    let message = format!(
                        "this value is never used: the required field `{field}` of `{name}` is not set"
                    );
                    (message, format!("add `\"{field}\": ...`"))
                });
            }
        }
        right
    }
}
