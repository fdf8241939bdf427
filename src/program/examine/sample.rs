//! Makes sample values of a shape, to test a parameter: a store that accepts none of them accepts no such value.

use crate::coerce::ColumnValues;
use crate::idl::{Requiredness, Schema, StructId, Type};
use crate::plan::ValueShape;
use crate::value::{Record, Value};

/// Samples of what text may hold: a word, numbers, a bool, JSON, a UUID, a date.
const TEXTS: &[&str] = &[
    "a",
    "1",
    "0.5",
    "true",
    "{}",
    "2f1d1c3e-7a0b-4b1e-9c8d-0123456789ab",
    "2013-01-01",
];

/// Samples of a shape; none if the shape is unknown.
pub(super) fn of_shape(schema: &Schema, shape: &ValueShape<'_>) -> Vec<Value> {
    match shape {
        ValueShape::Unknown => Vec::new(),
        ValueShape::Typed(ty) => Samples::of(schema).of_type(ty),
        ValueShape::Held(holds) => of_column(holds),
        ValueShape::Text => texts().collect(),
        // It is bound as its column.
        ValueShape::Row([column]) => of_column(&column.holds),
        ValueShape::Row(_) => vec![Value::Map(Vec::new())],
        ValueShape::List(of) => lists(of_shape(schema, of)),
    }
}

/// Makes samples of IDL types.
struct Samples<'s> {
    schema: &'s Schema,
    /// The structs around the value that is made: a struct within itself has no value.
    within: Vec<StructId>,
}

impl<'s> Samples<'s> {
    fn of(schema: &'s Schema) -> Self {
        let within = Vec::new();
        Samples { schema, within }
    }

    fn of_type(&mut self, ty: &Type) -> Vec<Value> {
        match ty {
            Type::Bool => vec![true.into(), false.into()],
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => integers(i64::MIN, i64::MAX),
            Type::Enum(of) => of
                .values
                .iter()
                .map(|(_, number)| i64::from(*number).into())
                .collect(),
            Type::Double => vec![0.5.into(), 1.0.into()],
            Type::String => texts().collect(),
            Type::Binary => bytes(),
            Type::Uuid => vec![Value::Uuid([7; 16])],
            Type::Any => [self.of_type(&Type::I64), self.of_type(&Type::String)].concat(),
            Type::Struct(id) => vec![self.of_struct(*id)],
            Type::Map(key, of) => {
                let keys = self.of_type(key).into_iter();
                let values = self.of_type(of);
                let pairs = keys.zip(values.into_iter().cycle());
                pairs.map(|pair| Value::Map(vec![pair])).collect()
            }
            Type::List(of) | Type::Set(of) => lists(self.of_type(of)),
        }
    }

    /// A struct of which only the required fields are set.
    fn of_struct(&mut self, id: StructId) -> Value {
        if self.within.contains(&id) {
            return Value::Null;
        }
        self.within.push(id);
        let of = self.schema.get(id);
        let values = of.fields.iter().map(|field| match field.requiredness {
            Requiredness::Required => self.of_type(&field.ty).pop().unwrap_or_default(),
            _ => Value::Null,
        });
        let values = values.collect();
        self.within.pop();
        Value::Record(Record {
            names: of.names.clone(),
            values,
        })
    }
}

fn of_column(holds: &ColumnValues) -> Vec<Value> {
    match holds {
        ColumnValues::Anything | ColumnValues::Json => Vec::new(),
        ColumnValues::Bool => vec![true.into(), false.into()],
        ColumnValues::Integer(range) => integers(*range.start(), *range.end()),
        ColumnValues::Double => vec![0.5.into(), 1.0.into()],
        ColumnValues::Text => texts().collect(),
        ColumnValues::Figures => ["1", "0.5", "2013-01-01"].map(Value::from).into(),
        ColumnValues::Bytes => bytes(),
        ColumnValues::Uuid => vec![Value::Uuid([7; 16])],
        ColumnValues::List(of) => lists(of_column(of)),
    }
}

fn integers(min: i64, max: i64) -> Vec<Value> {
    let some = [0, 1, 7]
        .into_iter()
        .filter(|number| (min..=max).contains(number));
    some.map(Value::from).collect()
}

fn texts() -> impl Iterator<Item = Value> {
    TEXTS.iter().map(|text| Value::from(*text))
}

fn bytes() -> Vec<Value> {
    let texts = TEXTS
        .iter()
        .map(|text| Value::Bytes(text.as_bytes().into()));
    texts.chain([Value::Bytes([7; 16][..].into())]).collect()
}

fn lists(items: Vec<Value>) -> Vec<Value> {
    items
        .into_iter()
        .map(|item| Value::List(vec![item]))
        .collect()
}

/// The description of a shape, for messages.
pub(super) fn words(schema: &Schema, shape: &ValueShape<'_>) -> String {
    let word = match shape {
        ValueShape::Unknown => "anything",
        ValueShape::Typed(ty) => return schema.describe(ty),
        ValueShape::Held(holds) => of_holds(holds),
        ValueShape::Text => "text",
        ValueShape::Row(_) => "a row",
        ValueShape::List(_) => "a list",
    };
    word.into()
}

fn of_holds(holds: &ColumnValues) -> &'static str {
    match holds {
        ColumnValues::Anything => "anything",
        ColumnValues::Bool => "a bool",
        ColumnValues::Integer(_) => "an integer",
        ColumnValues::Double => "a double",
        ColumnValues::Text | ColumnValues::Figures => "text",
        ColumnValues::Bytes => "bytes",
        ColumnValues::Uuid => "a uuid",
        ColumnValues::Json => "JSON",
        ColumnValues::List(_) => "a list",
    }
}
