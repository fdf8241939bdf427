//! How the values of a view's lookups become the fields of its reply, if each lookup fills one field of the reply itself, or
//! none, as in most views.
//!
//! Then the reply needs no memory of its own: the values change places where they are.

use crate::value::Value;

/// What the value of a step fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fills {
    Nothing,
    /// This field of the reply.
    Field(usize),
    /// Anything else.
    Other,
}

/// The swaps that turn one value per step, followed by nulls, into one value per field of the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placing {
    fields: usize,
    swaps: Vec<(usize, usize)>,
}

impl Placing {
    /// How the values of steps that fill this become so many fields; `None` if that takes more than changing places.
    pub(super) fn of(fills: impl Iterator<Item = Fills>, fields: usize) -> Option<Self> {
        let field = |fills| match fills {
            Fills::Nothing => Some(None),
            Fills::Field(field) => Some(Some(field)),
            Fills::Other => None,
        };
        // By place: the field that the value there belongs to.
        let mut belongs = fills.map(field).collect::<Option<Vec<Option<usize>>>>()?;
        belongs.resize(belongs.len().max(fields), None);
        let mut swaps = Vec::new();
        for at in 0..belongs.len() {
            // No two steps fill one field, so each swap puts one value into its place for good.
            while let Some(field) = belongs[at]
                && field != at
            {
                belongs.swap(at, field);
                swaps.push((at, field));
            }
        }
        Some(Placing { fields, swaps })
    }

    /// The number of fields: `place` needs no more memory if the values have room for so many.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// Turns one value per step into one per field. Steps that fill none have null.
    pub fn place(&self, values: &mut Vec<Value>) {
        if values.len() < self.fields {
            values.resize_with(self.fields, Value::default);
        }
        for &(a, b) in &self.swaps {
            values.swap(a, b);
        }
        values.truncate(self.fields);
    }
}

#[cfg(test)]
mod tests {
    use super::Fills::{Field, Nothing, Other};
    use super::*;

    /// The fields after values that count from 1 were placed; 0 stands for null.
    fn placed(fills: &[Fills], fields: usize) -> Option<Vec<i64>> {
        let values = (1..).zip(fills).map(|(n, fills)| match fills {
            Nothing => Value::Null,
            _ => Value::I64(n),
        });
        let mut values = values.collect();
        Placing::of(fills.iter().copied(), fields)?.place(&mut values);
        let number = |value: &Value| match value {
            Value::I64(number) => *number,
            _ => 0,
        };
        Some(values.iter().map(number).collect())
    }

    #[test]
    fn each_value_goes_to_its_field_in_any_order() {
        assert_eq!(placed(&[Field(0), Field(1)], 2), Some(vec![1, 2]));
        assert_eq!(placed(&[Field(0), Field(1)], 4), Some(vec![1, 2, 0, 0]));
        let cycle = [Field(1), Field(2), Field(0)];
        assert_eq!(placed(&cycle, 3), Some(vec![3, 1, 2]));
        let far = [Field(4), Nothing, Field(0)];
        assert_eq!(placed(&far, 5), Some(vec![3, 0, 0, 0, 1]));
        let more_steps = [Nothing, Nothing, Field(0), Nothing];
        assert_eq!(placed(&more_steps, 1), Some(vec![3]));
        assert_eq!(placed(&[], 2), Some(vec![0, 0]));
    }

    #[test]
    fn values_that_fill_anything_else_are_not_placed() {
        assert_eq!(placed(&[Field(0), Other], 2), None);
    }
}
