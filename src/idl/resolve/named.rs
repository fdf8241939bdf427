//! Resolves names of constants and of enum values.
//!
//! `NAME` and `file.NAME` are constants; `Enum.NAME` and `file.Enum.NAME` are values of enums.

use std::sync::Arc;

use super::super::schema::{EnumType, Type};
use super::super::syntax::{DefinitionBody, Span};
use super::Resolver;
use super::fit::Literal;
use super::scope::Space;
use crate::diagnostic::{did_you_mean, list};
use crate::value::Value;

impl Resolver<'_> {
    /// The value of `name`, as type `ty`.
    pub(super) fn named(
        &mut self,
        file: usize,
        span: Span,
        name: &str,
        (ty, depth): (&Type, usize),
    ) -> Option<Value> {
        if let Some(at) = self.scope.find(Space::Constants, file, name) {
            let (from, value) = self.constant(at, (file, span), depth + 1)?;
            return self.refit(file, span, (&from, value), ty);
        }
        let Some((enum_name, value_name)) = name.rsplit_once('.') else {
            return self.unknown_value(file, span, name, ty);
        };
        let found = self.enum_named(file, enum_name).or_else(|| match ty {
            // Apache's compiler allows leaving out the file's name if the type determines the enum.
            Type::Enum(of) if of.name.rsplit('.').next() == Some(enum_name) => Some(Arc::clone(of)),
            _ => None,
        });
        if let Type::Enum(wanted) = ty
            && found.as_ref().is_none_or(|of| !Arc::ptr_eq(of, wanted))
            && let Some(number) = self.by_last_name(file, span, name, wanted)
        {
            return Some(Value::I64(number.into()));
        }
        let Some(of) = found else {
            return self.unknown_value(file, span, name, ty);
        };
        let numbers = self.numbers.get(&Arc::as_ptr(&of));
        let Some(&number) = numbers.and_then(|numbers| numbers.by_name.get(value_name)) else {
            self.problems.invalid(&self.files[file], span, || {
                let message = format!("the enum `{}` has no value `{value_name}`", of.name);
                (message, near_value(&of, value_name))
            });
            return None;
        };
        let value = Value::I64(i64::from(number));
        self.refit(file, span, (&Type::Enum(of), value), ty)
    }

    /// The value of `wanted` that the last part of `name` names, whatever stands before it: Apache's compiler looks at no
    /// more than that.
    fn by_last_name(
        &mut self,
        file: usize,
        span: Span,
        name: &str,
        wanted: &Arc<EnumType>,
    ) -> Option<i32> {
        let (_, value_name) = name.rsplit_once('.')?;
        let numbers = self.numbers.get(&Arc::as_ptr(wanted));
        let number = *numbers?.by_name.get(value_name)?;
        self.problems.warning(&self.files[file], span, || {
            let of = &wanted.name;
            let own = of.rsplit('.').next().unwrap_or(of);
            let message = format!("`{name}` is read as a value of the enum `{of}`");
            (message, format!("write `{own}.{value_name}`"))
        });
        Some(number)
    }

    fn enum_named(&self, file: usize, name: &str) -> Option<Arc<EnumType>> {
        let at = self.scope.find(Space::Types, file, name)?;
        if let DefinitionBody::Typedef(_) = self.scope.definition(at).body {
            // A typedef of an enum is another name for it.
            let super::Progress::Done(Some((Type::Enum(of), _))) = self.typedefs.get(&at)? else {
                return None;
            };
            return Some(Arc::clone(of));
        }
        self.enums.get(&at).map(Arc::clone)
    }

    /// Converts a value of type `from` to type `to`.
    fn refit(
        &mut self,
        file: usize,
        span: Span,
        (from, value): (&Type, Value),
        to: &Type,
    ) -> Option<Value> {
        if same(from, to) {
            return Some(value);
        }
        let enums_differ = matches!((from, to), (Type::Enum(_), Type::Enum(_)));
        match Literal::evaluated(&value) {
            Some(given) if !enums_differ => self.fit(file, span, given, to),
            _ => {
                let schema = &self.schema;
                self.problems.invalid(&self.files[file], span, || {
                    let (from, to_name) = (schema.describe(from), schema.describe(to));
                    let message = format!("a `{from}` is not of type `{to_name}`");
                    (message, super::expected::expected(schema, to))
                });
                None
            }
        }
    }

    fn unknown_value(&mut self, file: usize, span: Span, name: &str, ty: &Type) -> Option<Value> {
        let scope = &self.scope;
        self.problems.invalid(&self.files[file], span, || {
            let message = format!("unknown constant `{name}`");
            let help = match ty {
                Type::Enum(of) if of.number(name).is_some() => {
                    let own = of.name.rsplit('.').next().unwrap_or(&of.name);
                    format!("write `{own}.{name}`")
                }
                _ => scope.remedy((Space::Constants, file), name, &[], |_| true),
            };
            (message, help)
        });
        None
    }
}

/// Whether both are the same type.
fn same(a: &Type, b: &Type) -> bool {
    match (a, b) {
        // Compare addresses: comparing two large enums value by value takes long.
        (Type::Enum(a), Type::Enum(b)) => Arc::ptr_eq(a, b),
        (Type::List(a), Type::List(b)) | (Type::Set(a), Type::Set(b)) => same(a, b),
        (Type::Map(a, b), Type::Map(c, d)) => same(a, c) && same(b, d),
        _ => a == b,
    }
}

fn near_value(of: &EnumType, name: &str) -> String {
    let known = || of.values.iter().map(|(name, _)| &**name);
    did_you_mean(name, known().take(2000))
        .unwrap_or_else(|| format!("it has {}", list(known().take(20))))
}
