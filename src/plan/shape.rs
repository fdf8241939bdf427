//! What the values of a view look like, as far as stores and IDL tell before any is there. Pure.
//!
//! A lookup's statement says what its answer looks like; a reference is followed into that as
//! [`Reference::follow`] follows it into the answer itself.

use super::compiled::{Foreach, Plan, Target};
use super::reference::{Reference, Root};
use crate::backend::examine::{Column, Statement};
use crate::backend::rows::Rows;
use crate::coerce::ColumnValues;
use crate::idl::{Schema, Type};

/// What a value looks like.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape<'a> {
    /// Nobody knows.
    Unknown,
    /// Of a type of the IDL.
    Typed(&'a Type),
    /// A column's value.
    Held(&'a ColumnValues),
    /// Text of the call's context.
    Text,
    /// A row.
    Row(&'a [Column]),
    /// A list of these.
    List(Box<Shape<'a>>),
}

/// A reference that never leads anywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Nowhere<'a> {
    /// The name that is not there.
    pub name: &'a str,
    /// The columns that are; none where there are no columns at all.
    pub columns: &'a [Column],
}

/// The shapes of one view's values.
#[derive(Clone, Copy, Debug)]
pub struct Shapes<'a> {
    /// The IDL.
    pub schema: &'a Schema,
    /// The view.
    pub plan: &'a Plan,
    /// What is known of the lookup of each step.
    pub statements: &'a [Option<&'a Statement>],
}

impl<'a> Shapes<'a> {
    /// What one answer of a step's lookup looks like.
    pub fn answer(self, step: usize) -> Shape<'a> {
        let Some(statement) = self.statements[step] else {
            return Shape::Unknown;
        };
        let columns = &statement.columns[..];
        match (statement.rows, columns) {
            (_, []) => Shape::Unknown,
            (Rows::One, columns) => Shape::Row(columns),
            (Rows::Many { .. }, columns) => Shape::List(Shape::Row(columns).into()),
            (Rows::Value, [first, ..]) => Shape::Held(&first.holds),
        }
    }

    /// What other steps see of a step.
    fn step(self, step: usize) -> Shape<'a> {
        let of = &self.plan.steps[step];
        match (&of.foreach, of.target.ty()) {
            // By element.
            (Some(_), Some(Type::Map(..))) => Shape::Unknown,
            (Some(_), _) => Shape::List(self.answer(step).into()),
            (None, _) => self.answer(step),
        }
    }

    /// What a reference leads to; `foreach` is that of its own step.
    pub fn reference(
        self,
        reference: &'a Reference,
        foreach: Option<&'a Foreach>,
    ) -> Result<Shape<'a>, Nowhere<'a>> {
        let start = match reference.root {
            Root::Param(at) => Shape::Typed(&self.schema.get(self.plan.params).fields[at].ty),
            Root::Lookup(step) => self.step(step),
            Root::Item => self.item(foreach),
            Root::Context(_) => return Ok(Shape::Text),
        };
        let path = reference.path.iter();
        path.map(|name| &**name)
            .try_fold(start, |shape, name| self.get(&shape, name))
    }

    fn item(self, foreach: Option<&'a Foreach>) -> Shape<'a> {
        // A list that leads nowhere is told for itself.
        let over = foreach.and_then(|foreach| self.reference(&foreach.over, None).ok());
        match over {
            Some(Shape::List(of)) => *of,
            Some(Shape::Typed(Type::List(of) | Type::Set(of))) => Shape::Typed(of),
            Some(Shape::Held(ColumnValues::List(of))) => Shape::Held(of),
            _ => Shape::Unknown,
        }
    }

    fn get(self, shape: &Shape<'a>, name: &'a str) -> Result<Shape<'a>, Nowhere<'a>> {
        let nowhere = |columns| Err(Nowhere { name, columns });
        match shape {
            Shape::Unknown | Shape::Held(ColumnValues::Anything | ColumnValues::Json) => {
                Ok(Shape::Unknown)
            }
            Shape::Row(columns) => match columns.iter().find(|column| column.name == name) {
                Some(column) => Ok(Shape::Held(&column.holds)),
                None => nowhere(columns),
            },
            Shape::Typed(Type::Struct(id)) => match self.schema.get(*id).field(name) {
                Some((_, field)) => Ok(Shape::Typed(&field.ty)),
                None => nowhere(&[]),
            },
            Shape::Typed(Type::Map(_, of)) => Ok(Shape::Typed(of)),
            Shape::Typed(_) | Shape::Held(_) | Shape::Text | Shape::List(_) => nowhere(&[]),
        }
    }

    /// The type that one answer of a step has to fit; `None` when it goes nowhere or is taken apart.
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
