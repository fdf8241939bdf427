//! Predicts the shape of the values of a view, as far as the stores and the IDL determine it. Pure.
//!
//! A prepared statement determines the shape of its lookup's answer. A reference is followed into that just as
//! [`Reference::follow`] follows it into the answer itself.

use super::compiled::{Foreach, Plan, Target};
use super::reference::{Reference, Root};
use crate::backend::examine::{Column, Statement};
use crate::backend::rows::Rows;
use crate::coerce::ColumnValues;
use crate::idl::{Schema, Type};

/// The shape of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueShape<'a> {
    /// Unknown until there is a value.
    Unknown,
    /// A value of an IDL type.
    Typed(&'a Type),
    /// The value of a column.
    Held(&'a ColumnValues),
    /// Text from the call's context.
    Text,
    /// A row.
    Row(&'a [Column]),
    /// A list of these.
    List(Box<ValueShape<'a>>),
}

/// A reference to a name that never exists.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingName<'a> {
    /// The missing name.
    pub name: &'a str,
    /// The columns that exist; empty if the value has no columns.
    pub columns: &'a [Column],
}

/// The shapes of the values of one view.
#[derive(Clone, Copy, Debug)]
pub struct ValueShapes<'a> {
    /// The IDL.
    pub schema: &'a Schema,
    /// The view.
    pub plan: &'a Plan,
    /// The prepared statement of each step, if there is one.
    pub statements: &'a [Option<&'a Statement>],
}

impl<'a> ValueShapes<'a> {
    /// The shape of one answer to a step's lookup.
    pub fn answer(self, step: usize) -> ValueShape<'a> {
        let Some(statement) = self.statements[step] else {
            return ValueShape::Unknown;
        };
        let columns = &statement.columns[..];
        match (statement.rows, columns) {
            (_, []) => ValueShape::Unknown,
            (Rows::One, columns) => ValueShape::Row(columns),
            (Rows::Many { .. }, columns) => ValueShape::List(ValueShape::Row(columns).into()),
            (Rows::Value, [first, ..]) => ValueShape::Held(&first.holds),
        }
    }

    /// The shape of a step as other steps see it.
    fn step(self, step: usize) -> ValueShape<'a> {
        let of = &self.plan.steps[step];
        match (&of.foreach, of.target.ty()) {
            // A map from element to answer.
            (Some(_), Some(Type::Map(..))) => ValueShape::Unknown,
            (Some(_), _) => ValueShape::List(self.answer(step).into()),
            (None, _) => self.answer(step),
        }
    }

    /// The shape of what a reference names. `foreach` is that of the step which has the reference.
    pub fn reference(
        self,
        reference: &'a Reference,
        foreach: Option<&'a Foreach>,
    ) -> Result<ValueShape<'a>, MissingName<'a>> {
        let start = match reference.root {
            Root::Param(at) => ValueShape::Typed(&self.schema.get(self.plan.params).fields[at].ty),
            Root::Lookup(step) => self.step(step),
            Root::Item => self.item(foreach),
            Root::Context(_) => return Ok(ValueShape::Text),
        };
        let path = reference.path.iter();
        path.map(|name| &**name)
            .try_fold(start, |shape, name| self.get(&shape, name))
    }

    fn item(self, foreach: Option<&'a Foreach>) -> ValueShape<'a> {
        // A list that does not exist is reported on its own.
        let over = foreach.and_then(|foreach| self.reference(&foreach.over, None).ok());
        match over {
            Some(ValueShape::List(of)) => *of,
            Some(ValueShape::Typed(Type::List(of) | Type::Set(of))) => ValueShape::Typed(of),
            Some(ValueShape::Held(ColumnValues::List(of))) => ValueShape::Held(of),
            _ => ValueShape::Unknown,
        }
    }

    fn get(self, shape: &ValueShape<'a>, name: &'a str) -> Result<ValueShape<'a>, MissingName<'a>> {
        let nowhere = |columns| Err(MissingName { name, columns });
        match shape {
            ValueShape::Unknown | ValueShape::Held(ColumnValues::Anything | ColumnValues::Json) => {
                Ok(ValueShape::Unknown)
            }
            ValueShape::Row(columns) => match columns.iter().find(|column| column.name == name) {
                Some(column) => Ok(ValueShape::Held(&column.holds)),
                None => nowhere(columns),
            },
            ValueShape::Typed(Type::Struct(id)) => match self.schema.get(*id).field(name) {
                Some((_, field)) => Ok(ValueShape::Typed(&field.ty)),
                None => nowhere(&[]),
            },
            ValueShape::Typed(Type::Map(_, of)) => Ok(ValueShape::Typed(of)),
            ValueShape::Typed(_) | ValueShape::Held(_) | ValueShape::Text | ValueShape::List(_) => {
                nowhere(&[])
            }
        }
    }

    /// The type that one answer of a step must fit; `None` if it goes nowhere or is spread.
    pub fn wanted(self, step: usize) -> Option<&'a Type> {
        let of = &self.plan.steps[step];
        let ty = match &of.target {
            Target::Field { ty, .. } | Target::Whole(ty) => ty,
            Target::Nothing | Target::Spread { .. } => return None,
        };
        match (&of.foreach, ty) {
            (None, ty) => Some(ty),
            (Some(_), Type::List(of) | Type::Set(of) | Type::Map(_, of)) => Some(of),
            (Some(_), _) => None,
        }
    }
}
