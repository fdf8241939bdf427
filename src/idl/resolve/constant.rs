//! Evaluates constants and default values.
//!
//! A constant is evaluated when it is first needed, so it may come after its use. A chain of constants that each use the
//! previous one twice doubles with every line, so the values are counted.

use super::super::schema::{StructId, Type};
use super::super::syntax::{Constant, ConstantKind, DefinitionBody, NESTING_MAX, Span};
use super::fit::{self, Literal, Misfit};
use super::scope::DefinitionId;
use super::{Progress, Resolver, definitions};
use crate::value::Value;

/// The most values in all constants and default values of an IDL.
pub(super) const VALUES_MAX: usize = 1_000_000;

impl<'f> Resolver<'f> {
    /// Evaluates every constant and every default value, used or not.
    pub(super) fn constants(&mut self) {
        for (at, definition) in definitions(self.files) {
            if let DefinitionBody::Const(..) = definition.body {
                self.constant(at, (at.file, definition.name.span), 0);
            }
        }
        for struct_index in 0..self.origins.len() {
            for field in 0..self.origins[struct_index].fields.len() {
                let default = self.default(super::struct_id(struct_index), field, 0);
                self.schema.structs[struct_index].fields[field].default = default;
            }
        }
    }

    /// Type and value of the constant at `at`, which is needed at `from`.
    pub(super) fn constant(
        &mut self,
        at: DefinitionId,
        from: (usize, Span),
        depth: usize,
    ) -> Option<(Type, Value)> {
        match self.constants.get(&at) {
            Some(Progress::Done(done)) => {
                let nodes = done.as_ref().map(|(_, value)| measure(value));
                let (nodes, inner) = nodes?;
                self.spend(nodes, depth + inner, from)?;
                let Some(Progress::Done(done)) = self.constants.get(&at) else {
                    return None;
                };
                return done.clone();
            }
            Some(Progress::Started) => {
                let name = &self.scope.definition(at).name.text;
                self.problems.invalid(&self.files[from.0], from.1, || {
                    let message = format!("the constant `{name}` refers to itself");
                    (message, "break the cycle with a value".into())
                });
                return None;
            }
            None => {}
        }
        let DefinitionBody::Const(ty, written) = &self.scope.definition(at).body else {
            return None;
        };
        self.constants.insert(at, Progress::Started);
        let done = self.type_of(at.file, ty).and_then(|ty| {
            let value = self.evaluate(at.file, written, &ty, depth)?;
            Some((ty, value))
        });
        self.constants.insert(at, Progress::Done(done.clone()));
        done
    }

    /// The default value of a field; `None` if it has none or an invalid one.
    pub(super) fn default(&mut self, id: StructId, field: usize, depth: usize) -> Option<Value> {
        let origin = &self.origins[id.0 as usize];
        let (file, written) = (origin.file, origin.fields[field]);
        let constant = written.default.as_ref()?;
        match self.defaults.get(&(id, field)) {
            Some(Progress::Done(done)) => {
                let (nodes, inner) = measure(done.as_ref()?);
                self.spend(nodes, depth + inner, (file, constant.span))?;
                let Some(Progress::Done(done)) = self.defaults.get(&(id, field)) else {
                    return None;
                };
                return done.clone();
            }
            Some(Progress::Started) => {
                let name = &written.name;
                self.problems.invalid(&self.files[file], constant.span, || {
                    let message = format!("the default value of `{}` contains itself", name.text);
                    (message, "remove it, or set that field in it".into())
                });
                return None;
            }
            None => {}
        }
        self.defaults.insert((id, field), Progress::Started);
        let ty = self.schema.structs[id.0 as usize].fields[field].ty.clone();
        let done = self.evaluate(file, constant, &ty, depth);
        self.defaults
            .insert((id, field), Progress::Done(done.clone()));
        done
    }

    /// `constant` as a value of type `ty`; `None` if it is invalid, which is reported.
    pub(super) fn evaluate(
        &mut self,
        file: usize,
        constant: &'f Constant,
        ty: &Type,
        depth: usize,
    ) -> Option<Value> {
        self.spend(1, depth, (file, constant.span))?;
        match (&constant.kind, ty) {
            (ConstantKind::Named(name), _) => self.named(file, constant.span, name, (ty, depth)),
            (ConstantKind::List(items), Type::List(of) | Type::Set(of)) => {
                let values: Vec<Option<Value>> = items
                    .iter()
                    .map(|item| self.evaluate(file, item, of, depth + 1))
                    .collect();
                values.into_iter().collect::<Option<_>>().map(Value::List)
            }
            (ConstantKind::Map(pairs), Type::Map(key, value)) => {
                let pairs: Vec<Option<(Value, Value)>> = pairs
                    .iter()
                    .map(|(k, v)| {
                        let k = self.evaluate(file, k, key, depth + 1);
                        let v = self.evaluate(file, v, value, depth + 1);
                        k.zip(v)
                    })
                    .collect();
                pairs.into_iter().collect::<Option<_>>().map(Value::Map)
            }
            // Apache's compiler accepts empty braces for empty brackets and vice versa.
            (ConstantKind::Map(pairs), Type::List(_) | Type::Set(_)) if pairs.is_empty() => {
                Some(Value::List(Vec::new()))
            }
            (ConstantKind::List(items), Type::Map(..)) if items.is_empty() => {
                Some(Value::Map(Vec::new()))
            }
            (ConstantKind::Map(pairs), Type::Struct(id)) => {
                self.record((file, constant.span), pairs, *id, depth)
            }
            (kind, _) => {
                let given = Literal::written(kind)?;
                self.fit(file, constant.span, given, ty)
            }
        }
    }

    /// `given` as a value of type `ty`; reports it if it does not fit.
    pub(super) fn fit(
        &mut self,
        file: usize,
        span: Span,
        given: Literal<'_>,
        ty: &Type,
    ) -> Option<Value> {
        let known = match ty {
            Type::Enum(of) => self.numbers.get(&std::sync::Arc::as_ptr(of)),
            _ => None,
        };
        match fit::scalar(given, ty, known.map(|numbers| &numbers.known)) {
            Ok(value) => Some(value),
            Err(misfit) => {
                let schema = &self.schema;
                self.problems.invalid(&self.files[file], span, || {
                    let (found, ty_name) = (given.describe(), schema.describe(ty));
                    match misfit {
                        Misfit::Kind => {
                            let message = format!("{found} is not of type `{ty_name}`");
                            (message, super::expected::expected(schema, ty))
                        }
                        Misfit::Range(help) => {
                            (format!("{found} is out of range for `{ty_name}`"), help)
                        }
                    }
                });
                None
            }
        }
    }

    /// Counts values that are about to be created at `depth`.
    pub(super) fn spend(&mut self, values: usize, depth: usize, from: (usize, Span)) -> Option<()> {
        let file = &self.files[from.0];
        if depth > NESTING_MAX {
            self.problems.invalid(file, from.1, || {
                let message = format!("the value nests deeper than {NESTING_MAX} levels");
                (
                    message,
                    "make it flatter; constants may also be declared before their use".into(),
                )
            });
            return None;
        }
        if values > self.values_left {
            // Report this once: every further value exceeds the limit too.
            if self.values_left > 0 {
                self.problems.invalid(file, from.1, || {
                    let message = format!("constants add up to more than {VALUES_MAX} values");
                    (message, "keep large data in a store, not in the IDL".into())
                });
            }
            self.values_left = 0;
            return None;
        }
        self.values_left -= values;
        Some(())
    }
}

/// How many values `value` consists of, and how deep they are nested.
fn measure(value: &Value) -> (usize, usize) {
    let inner = |values: &mut dyn Iterator<Item = &Value>| {
        values
            .map(measure)
            .fold((1, 1), |(nodes, depth), (more, deep)| {
                (nodes + more, depth.max(deep + 1))
            })
    };
    match value {
        Value::List(items) => inner(&mut items.iter()),
        Value::Map(pairs) => inner(&mut pairs.iter().flat_map(|(key, value)| [key, value])),
        Value::Record(record) => inner(&mut record.values.iter()),
        _ => (1, 0),
    }
}
