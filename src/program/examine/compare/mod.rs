//! Compares prepared statements with the views that use them and the IDL types that they fill. Pure.
//!
//! An error never works. A warning works for some values only. The conversions are those of [`crate::coerce::Coercion`]:
//! what it accepts at run time is never an error here.

mod inputs; // references and parameters

use std::sync::Arc;

use super::remark::{Remark, Severity};
use super::sample;
use crate::backend::examine::{Column, Finding, Statement};
use crate::backend::rows::Rows;
use crate::coerce::{ColumnCoercion, ColumnFit, ColumnValues};
use crate::diagnostic::{list, nearest};
use crate::error::Code;
use crate::idl::{Requiredness, Schema, StructId, StructKind, Type};
use crate::plan::{Plan, Step, Target, ValueShape, ValueShapes};

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
                ["lookups", known.name]
                    .into_iter()
                    .chain(refusal.key.split('.')),
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
        step_of((shapes, at), step, lookups, &mut remarks);
        for instead in step.attempts().skip(1) {
            // Its answer goes to the same place.
            let mut statements = statements.clone();
            statements[at] = lookups[instead.lookup.0].statement();
            let statements = &statements;
            let shapes = ValueShapes {
                schema,
                plan,
                statements,
            };
            step_of((shapes, at), instead, lookups, &mut remarks);
        }
    }
    remarks
}

/// Adds the remarks about the step at a place, or about one that is asked instead of it.
fn step_of<'a>(
    (shapes, at): (ValueShapes<'a>, usize),
    step: &'a Step,
    lookups: &[KnownLookup<'a>],
    remarks: &mut Vec<Remark>,
) {
    let mut view = View {
        shapes,
        step,
        known: lookups[step.lookup.0],
        remarks,
    };
    view.references();
    view.answer(at);
}

/// One step of a view.
struct View<'a, 'r> {
    shapes: ValueShapes<'a>,
    step: &'a Step,
    known: KnownLookup<'a>,
    remarks: &'r mut Vec<Remark>,
}

impl<'a> View<'a, '_> {
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
            (Target::Spread { .. }, answer) => self.unspread(&answer),
            (_, answer) => {
                if let Some(ty) = self.shapes.wanted(at) {
                    self.value(&answer, ty);
                }
            }
        }
    }

    /// Checks an answer that is not a row, and whose columns are to be spread.
    fn unspread(&mut self, answer: &ValueShape<'_>) {
        let column = match answer {
            ValueShape::Held(ColumnValues::Anything | ColumnValues::Json) | ValueShape::Unknown => {
                return;
            }
            ValueShape::Held(_) => self
                .known
                .statement()
                .and_then(|known| known.columns.first()),
            _ => None,
        };
        let words = match column {
            Some(column) => format!("column `{}` of the type `{}`", column.name, column.ty),
            None => sample::words(self.shapes.schema, answer),
        };
        let message = format!("{words} has no columns, and `into = \".\"` fills a field with each");
        let mut remark = self.remark(&["into"], Code::ConfigType, message);
        if column.is_some_and(|column| !column.strict) {
            remark.severity = Severity::Warning;
        }
        let help = "use `rows = \"one\"`, or name the field that it fills";
        self.remarks.push(remark.help(help));
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
