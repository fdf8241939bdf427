//! Compares prepared statements with the views that use them and the IDL types that they fill. Pure.
//!
//! An error never works. A warning works for some values only. The conversions are those of [`crate::coerce::Coercion`]:
//! what it accepts at run time is never an error here.

use std::sync::Arc;

use super::remark::{Remark, Severity};
use super::sample;
use crate::backend::examine::{Column, Finding, Param, Statement};
use crate::backend::rows::Rows;
use crate::coerce::{ColumnCoercion, ColumnFit, with_names};
use crate::diagnostic::{list, nearest, suggest};
use crate::error::Code;
use crate::idl::{Requiredness, Schema, StructId, StructKind, Type};
use crate::plan::{
    Binding, Foreach, MissingName, Plan, Reference, Root, Step, Target, ValueShape, ValueShapes,
};
use crate::value::Value;

/// A lookup and its store's findings about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownLookup<'a> {
    pub(super) name: &'a str,
    pub(super) params: &'a [Arc<str>],
    /// `None` for a closure.
    pub(super) finding: Option<&'a Finding>,
}

impl<'a> KnownLookup<'a> {
    fn statement(&self) -> Option<&'a Statement> {
        self.finding.and_then(|finding| finding.statement.as_ref())
    }
}

/// The remarks about a lookup, whichever view uses it.
pub(super) fn lookup(known: &KnownLookup<'_>) -> Vec<Remark> {
    let refusals = known.finding.iter().flat_map(|finding| &finding.refusals);
    let mut remarks: Vec<Remark> = refusals
        .map(|refusal| Remark {
            help: refusal.help.clone(),
            ..Remark::error(
                ["lookups", known.name, &refusal.key],
                refusal.code,
                &*refusal.message,
            )
        })
        .collect();
    let Some(statement) = known.statement() else {
        return remarks;
    };
    let sql = ["lookups", known.name, "sql"];
    if let Some(params) = &statement.params
        && params.len() != known.params.len()
    {
        let message = format!(
            "the statement has {} parameters where the lookup has {}",
            params.len(),
            known.params.len()
        );
        let help = "write each parameter as `:name`";
        remarks.push(Remark::error(sql, Code::ConfigBadValue, message).help(help));
    }
    if statement.rows == Rows::Value && statement.columns.len() > 1 {
        let first = &statement.columns[0].name;
        let message = format!(
            "`rows = \"value\"` reads the first of {} columns, `{first}`",
            statement.columns.len()
        );
        let help = "select that one only, or use `rows = \"one\"`";
        remarks.push(Remark::warning(sql, Code::ConfigBadValue, message).help(help));
    }
    remarks
}

/// The remarks about a view. `lookups` are all those of the program.
pub(super) fn compare(schema: &Schema, plan: &Plan, lookups: &[KnownLookup<'_>]) -> Vec<Remark> {
    let statements = plan
        .steps
        .iter()
        .map(|step| lookups[step.lookup.0].statement());
    let statements: Vec<_> = statements.collect();
    let shapes = ValueShapes {
        schema,
        plan,
        statements: &statements,
    };
    let mut remarks = Vec::new();
    for (at, step) in plan.steps.iter().enumerate() {
        let mut view = View {
            shapes,
            step,
            known: lookups[step.lookup.0],
            remarks: &mut remarks,
        };
        view.references();
        view.answer(at);
    }
    remarks
}

/// One step of a view.
struct View<'a, 'r> {
    shapes: ValueShapes<'a>,
    step: &'a Step,
    known: KnownLookup<'a>,
    remarks: &'r mut Vec<Remark>,
}

impl<'a> View<'a, '_> {
    /// Checks all inputs of the step.
    fn references(&mut self) {
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

    /// Adds an error at a key of this use.
    fn error(&mut self, key: &[&str], code: Code, message: String, help: Option<String>) {
        let mut remark = self.remark(key, code, message);
        remark.help = help;
        self.remarks.push(remark);
    }

    fn remark(&self, key: &[&str], code: Code, message: String) -> Remark {
        let path = self.shapes.plan.key.split('.');
        let path = path.chain(["lookups", &self.step.name]);
        let mut remark = Remark::error(path, code, message);
        remark.path.extend(key.iter().map(ToString::to_string));
        remark
    }

    /// Checks where the answer goes.
    fn answer(&mut self, at: usize) {
        let answer = self.shapes.answer(at);
        match (&self.step.target, answer) {
            (Target::Spread { of, fields }, ValueShape::Row(columns)) => {
                for field in fields {
                    self.field(*of, *field, columns);
                }
            }
            (_, answer) => {
                if let Some(ty) = self.shapes.wanted(at) {
                    self.value(&answer, ty);
                }
            }
        }
    }

    fn value(&mut self, shape: &ValueShape<'_>, ty: &Type) {
        match (shape, ty) {
            (_, Type::Any) => {}
            (ValueShape::List(of), Type::List(ty) | Type::Set(ty)) => self.value(of, ty),
            (ValueShape::Row(columns), Type::Struct(id)) => {
                for at in 0..self.shapes.schema.get(*id).fields.len() {
                    self.field(*id, at, columns);
                }
            }
            (ValueShape::Row(columns), Type::Map(_, ty)) => {
                for column in *columns {
                    self.column(column, ty, &self.place(ty));
                }
            }
            (ValueShape::Row([column]), ty) => self.column(column, ty, &self.place(ty)),
            (ValueShape::Row(columns), ty) => {
                let message = format!(
                    "a row of {} columns can't fill {}: only one of a single column can",
                    columns.len(),
                    self.place(ty)
                );
                let remark = Remark::error(self.sql(), Code::ConfigType, message);
                self.remarks.push(remark.help("select one column"));
            }
            (ValueShape::Held(_), ty) => {
                // `rows = "value"` yields the first column.
                if let Some(column) = self
                    .known
                    .statement()
                    .and_then(|statement| statement.columns.first())
                {
                    self.column(column, ty, &self.place(ty));
                }
            }
            _ => {}
        }
    }

    /// `i32 (view `get`)`
    fn place(&self, ty: &Type) -> String {
        let of = self.shapes.schema.describe(ty);
        format!("{of} in view `{}`", self.shapes.plan.label)
    }

    fn sql(&self) -> [&'a str; 3] {
        ["lookups", self.known.name, "sql"]
    }

    /// Checks the column that fills one field of a struct.
    fn field(&mut self, id: StructId, at: usize, columns: &[Column]) {
        let of = self.shapes.schema.get(id);
        let field = &of.fields[at];
        let needed = of.kind != StructKind::Union
            && field.requiredness == Requiredness::Required
            && field.default.is_none();
        let place = format!("field `{}` of {}", field.name, of.name);
        let found = columns.iter().find(|column| column.name == *field.name);
        let Some(column) = found else {
            if needed {
                let message = format!(
                    "no column is called `{}`, and {place} is required",
                    field.name
                );
                let remark = Remark::error(self.sql(), Code::ConfigType, message);
                self.remarks
                    .push(remark.help(suggest_as(&field.name, columns)));
            }
            return;
        };
        let ty = format!("{place}, {}", self.shapes.schema.describe(&field.ty));
        self.column(column, &field.ty, &ty);
        if needed && column.nullable == Some(true) {
            let message = format!(
                "column `{}` may be null, and {place} is required",
                column.name
            );
            let help = "use `coalesce` in the SQL, give the field a default, or make it optional";
            let remark = Remark::warning(self.sql(), Code::ConfigType, message);
            self.remarks.push(remark.help(help));
        }
    }

    fn column(&mut self, column: &Column, ty: &Type, place: &str) {
        let coercion = ColumnCoercion {
            schema: self.shapes.schema,
            parse_text: self.step.parse_text,
        };
        let name = &column.name;
        let of = &column.ty;
        let sql = self.sql();
        let remark = match coercion.fit(&column.holds, ty) {
            ColumnFit::Fits => return,
            ColumnFit::InRange(what) => {
                let message =
                    format!("column `{name}` has the type `{of}`, which {what} ({place})");
                let help = "such a row ends in `merge.type`; widen the field or cast the column";
                Remark::warning(sql, Code::ConfigType, message).help(help)
            }
            ColumnFit::Never(help) => {
                let message =
                    format!("column `{name}` has the type `{of}`, which can't fill {place}");
                Remark {
                    severity: if column.strict {
                        Severity::Error
                    } else {
                        Severity::Warning
                    },
                    help: help.map(ToOwned::to_owned),
                    ..Remark::error(sql, Code::ConfigType, message)
                }
            }
        };
        self.remarks.push(remark);
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

fn suggest_as(name: &str, columns: &[Column]) -> String {
    let names = || columns.iter().map(|column| &*column.name);
    match nearest(name, names()) {
        Some(near) => format!("select `{near} as {name}`"),
        None => format!(
            "select one, or make the field optional; available: {}",
            list(names())
        ),
    }
}

#[cfg(test)]
mod tests;
