//! Compares what a step refers to with what its lookup's parameters take. Pure.

use super::View;
use crate::backend::examine::{Column, Param};
use crate::coerce::with_names;
use crate::diagnostic::{list, suggest};
use crate::error::Code;
use crate::idl::Type;
use crate::plan::{Binding, Foreach, MissingName, Reference, Root, ValueShape};
use crate::program::examine::remark::Severity;
use crate::program::examine::sample;
use crate::value::Value;

impl<'a> View<'a, '_> {
    /// Checks all inputs of the step.
    pub(super) fn references(&mut self) {
        let step = self.step;
        if let Some(foreach) = &step.foreach {
            self.reference(&foreach.over, None, &["foreach"]);
            self.keys(foreach);
        }
        if let Some(when) = &step.when {
            self.reference(&when.reference, None, &["when"]);
        }
        let params = self
            .known
            .statement()
            .and_then(|statement| statement.params.as_deref());
        for (at, binding) in step.bindings.iter().enumerate() {
            let Some(name) = self.known.params.get(at) else {
                continue;
            };
            let param = params.and_then(|params| params.get(at));
            self.binding(name, binding, param);
        }
    }

    /// A `foreach` that fills a map uses its elements as keys: checks that they can be.
    fn keys(&mut self, foreach: &'a Foreach) {
        let over = self.shapes.reference(&foreach.over, None);
        let (Ok(ValueShape::List(row)), Some(Type::Map(key, _))) = (over, self.step.target.ty())
        else {
            return;
        };
        let ValueShape::Row(columns @ [_, _, ..]) = *row else {
            return;
        };
        let takes_rows = matches!(**key, Type::Struct(_) | Type::Map(..) | Type::Any);
        if !takes_rows {
            let message = format!(
                "the elements are the map's keys, and a row of {} columns can't fill {}",
                columns.len(),
                self.shapes.schema.describe(key)
            );
            let help = "go over rows of one column, or fill a list";
            self.error(&["foreach"], Code::ConfigType, message, Some(help.into()));
        }
    }

    fn binding(&mut self, name: &str, binding: &'a Binding, param: Option<&Param>) {
        let key = ["with", name];
        let schema = self.shapes.schema;
        let (samples, words) = match binding {
            Binding::Literal(value) => (vec![value.clone()], value.kind().to_owned()),
            Binding::To(reference) | Binding::Named(reference, _) => {
                let Some(shape) = self.reference(reference, self.step.foreach.as_ref(), &key)
                else {
                    return;
                };
                (
                    sample::of_shape(schema, &shape),
                    sample::words(schema, &shape),
                )
            }
        };
        let samples = samples.into_iter();
        let samples: Vec<Value> = match binding {
            Binding::Named(_, ty) => samples.map(|value| with_names(schema, ty, value)).collect(),
            _ => samples.collect(),
        };
        let Some(param) = param else {
            return;
        };
        let refused = |value: &Value| (param.takes)(value).err().map(|why| (value.clone(), why));
        let refused: Vec<(Value, String)> = samples.iter().filter_map(refused).collect();
        let is_named = matches!(binding, Binding::Named(..));
        let Some((_, why)) = refused.first() else {
            return;
        };
        if refused.len() < samples.len() {
            if is_named {
                self.some_names_refused(name, param, &refused);
            }
            return;
        }
        let (message, help) = match &param.ty {
            Some(ty) => {
                let message = format!(
                    "parameter `{name}` of lookup `{}` has the type `{ty}`, which {words} can't be",
                    self.known.name
                );
                let help = "bind something else, or cast the parameter in the SQL";
                (
                    message,
                    [&**why, help]
                        .into_iter()
                        .filter(|part| !part.is_empty())
                        .collect::<Vec<_>>()
                        .join("; "),
                )
            }
            None => {
                let message = format!(
                    "parameter `{name}` of lookup `{}` can't be {words}: {why}",
                    self.known.name
                );
                (message, "bind something else".into())
            }
        };
        self.error(&key, Code::ConfigType, message, Some(help));
    }

    /// Warns of enum values that the store can't read.
    fn some_names_refused(&mut self, name: &str, param: &Param, refused: &[(Value, String)]) {
        let names = list(refused.iter().filter_map(|(value, _)| enum_name(value)));
        if names.is_empty() {
            return;
        }
        let message = format!(
            "parameter `{name}` of lookup `{}` has the type `{}`, which has no value for {names}",
            self.known.name,
            param.ty.as_deref().unwrap_or_default()
        );
        let help = "a lookup with such a value ends in `lookup.bad_param`; add it to the type, or cast the parameter";
        let mut remark = self.remark(&["with", name], Code::ConfigType, message);
        remark.severity = Severity::Warning;
        self.remarks.push(remark.help(help));
    }

    fn reference(
        &mut self,
        reference: &'a Reference,
        foreach: Option<&'a Foreach>,
        key: &[&str],
    ) -> Option<ValueShape<'a>> {
        match self.shapes.reference(reference, foreach) {
            Ok(shape) => Some(shape),
            // The default may have it.
            Err(_) if self.in_default(reference) => None,
            Err(MissingName { name, columns: [] }) => {
                let message = format!("`{name}` can't be taken from a value without fields");
                let help =
                    "refer to one row (`rows = \"one\"`), or go through a list with `foreach`";
                self.error(key, Code::ConfigReference, message, Some(help.into()));
                None
            }
            Err(MissingName { name, columns }) => {
                let message = format!("no column is called `{name}`");
                self.error(
                    key,
                    Code::ConfigReference,
                    message,
                    Some(near_column(name, columns)),
                );
                None
            }
        }
    }

    /// Whether a reference to another step has a value if that step's default is used.
    fn in_default(&self, reference: &Reference) -> bool {
        let Root::Lookup(step) = reference.root else {
            return false;
        };
        let default = self.shapes.plan.steps[step].default.as_ref();
        let name = reference.path.first();
        name.is_some_and(|name| default.and_then(|value| value.get(name)).is_some())
    }
}

/// The name of an enum value, alone or in a list.
fn enum_name(value: &Value) -> Option<&str> {
    match value {
        Value::Enum(of) => of.name.as_deref(),
        Value::List(items) => enum_name(items.first()?),
        _ => None,
    }
}

fn near_column(name: &str, columns: &[Column]) -> String {
    let names = columns.iter().map(|column| &*column.name);
    suggest(name, names, || "it returns no columns".into())
}
