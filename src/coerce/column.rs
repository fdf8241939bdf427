//! Decides whether the values of a column can be coerced to an IDL type.
//!
//! Predicts the result of [`super::Coercion`] for each value. The answer is `Never` only if every value is refused.

use std::ops::RangeInclusive;

use crate::idl::{Schema, Type};

/// What the values of a column become here, apart from null.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValues {
    /// Unknown until a value arrives.
    Anything,
    /// Bools.
    Bool,
    /// Integers in this range.
    Integer(RangeInclusive<i64>),
    /// Doubles.
    Double,
    /// Text.
    Text,
    /// Text of decimals, dates and times: never a name, and no JSON except numbers.
    Figures,
    /// Bytes.
    Bytes,
    /// UUIDs.
    Uuid,
    /// JSON.
    Json,
    /// Lists of these values.
    List(Box<ColumnValues>),
}

/// How the values of a column fit an IDL type.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnFit {
    /// All fit, as far as the column's type shows.
    Fits,
    /// Only those in range fit. The text says which do not.
    InRange(String),
    /// None fits. The text says how to fix that, if it is simple.
    Never(Option<&'static str>),
}

/// Compares columns with types of one schema.
#[derive(Clone, Copy, Debug)]
pub struct ColumnCoercion<'a> {
    /// The IDL.
    pub schema: &'a Schema,
    /// Text may fill numbers and bools.
    pub parse_text: bool,
}

const PARSE_TEXT: &str = "set `parse_text = true` on the lookup if the text holds one";
const CAST: &str = "cast it in the SQL, or change the field's type";

impl ColumnCoercion<'_> {
    /// How the values of a column fit `ty`.
    pub fn fit(self, holds: &ColumnValues, ty: &Type) -> ColumnFit {
        let fits = match (ty, holds) {
            (_, ColumnValues::Anything | ColumnValues::Json)
            | (Type::Any, _)
            | (Type::Bool, ColumnValues::Bool)
            | (Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Double, ColumnValues::Double)
            | (Type::Uuid, ColumnValues::Uuid) => true,
            (_, ColumnValues::Integer(range)) => return self.integer(range, ty),
            (Type::List(wanted) | Type::Set(wanted), ColumnValues::List(of)) => {
                return self.fit(of, wanted);
            }
            (Type::Bool | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Double, _) => {
                return self.text_only(holds);
            }
            (Type::String, _) => is_text(holds) || *holds == ColumnValues::Uuid,
            (Type::Binary, _) => is_text(holds),
            (Type::Enum(_), ColumnValues::Figures) => self.parse_text,
            // The text may be an enum's name, a UUID or JSON.
            _ => matches!(holds, ColumnValues::Text | ColumnValues::Bytes),
        };
        if fits {
            ColumnFit::Fits
        } else {
            ColumnFit::Never(Some(CAST))
        }
    }

    /// Of the remaining columns, only text can fill a number or a bool, and only with `parse_text`.
    fn text_only(self, holds: &ColumnValues) -> ColumnFit {
        match holds {
            ColumnValues::Text | ColumnValues::Figures if self.parse_text => ColumnFit::Fits,
            ColumnValues::Text | ColumnValues::Figures => ColumnFit::Never(Some(PARSE_TEXT)),
            _ => ColumnFit::Never(Some(CAST)),
        }
    }

    fn integer(self, range: &RangeInclusive<i64>, ty: &Type) -> ColumnFit {
        let fits = match ty {
            Type::I8 => i8::MIN.into()..=i8::MAX.into(),
            Type::I16 => i16::MIN.into()..=i16::MAX.into(),
            Type::I32 => i32::MIN.into()..=i32::MAX.into(),
            // Stores without a bool type store 0 and 1.
            Type::Bool | Type::I64 | Type::Double => return ColumnFit::Fits,
            Type::Enum(of) => {
                let mut numbers = of.values.iter().map(|(_, number)| i64::from(*number));
                return if numbers.any(|number| range.contains(&number)) {
                    ColumnFit::Fits
                } else {
                    ColumnFit::Never(Some(CAST))
                };
            }
            _ => return ColumnFit::Never(Some(CAST)),
        };
        if fits.contains(range.start()) && fits.contains(range.end()) {
            return ColumnFit::Fits;
        }
        ColumnFit::InRange(format!(
            "holds numbers that {} does not",
            self.schema.describe(ty)
        ))
    }
}

fn is_text(holds: &ColumnValues) -> bool {
    matches!(
        holds,
        ColumnValues::Text | ColumnValues::Figures | ColumnValues::Bytes
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::coerce::Coercion;
    use crate::idl::{EnumType, Field, Requiredness, StructId, StructKind, StructType};
    use crate::value::{FieldNames, Value};

    /// A struct of one optional number, and an enum.
    fn schema() -> (Schema, Type) {
        let field = Field {
            id: 1,
            name: "n".into(),
            requiredness: Requiredness::Optional,
            ty: Type::I32,
            default: None,
            doc: None,
        };
        let schema = Schema {
            structs: vec![StructType {
                name: "t.S".into(),
                kind: StructKind::Struct,
                fields: vec![field],
                names: FieldNames::new(["n"]),
                doc: None,
            }],
            ..Schema::default()
        };
        let color = EnumType {
            name: "t.Color".into(),
            values: vec![("RED".into(), 1), ("BLUE".into(), 70_000)],
        };
        (schema, Type::Enum(Arc::new(color)))
    }

    fn types(color: &Type) -> Vec<Type> {
        let plain = [
            Type::Bool,
            Type::I8,
            Type::I16,
            Type::I32,
            Type::I64,
            Type::Double,
            Type::String,
            Type::Binary,
            Type::Uuid,
            color.clone(),
            Type::Struct(StructId(0)),
        ];
        let lists = plain.iter().cloned().map(Box::new);
        let lists = lists.flat_map(|of| {
            let map = Type::Map(Type::String.into(), of.clone());
            [Type::List(of.clone()), Type::Set(of), map]
        });
        let lists: Vec<Type> = lists.collect();
        plain.into_iter().chain(lists).collect()
    }

    /// Values that a column of that kind may have, including one that fits each type, if there is one.
    fn samples(holds: &ColumnValues) -> Vec<Value> {
        const UUID: &str = "2f1d1c3e-7a0b-4b1e-9c8d-0123456789ab";
        let texts = [
            "",
            "a",
            "1",
            "0.5",
            "true",
            "RED",
            UUID,
            "{}",
            "[]",
            "{\"n\":1}",
            "[1]",
            "[{}]",
            "[true]",
            "[\"a\"]",
            "[\"RED\"]",
            "[0.5]",
        ];
        let uuid_list = format!("[\"{UUID}\"]");
        let uuid_map = format!("{{\"a\":\"{UUID}\"}}");
        let maps = [
            "{\"a\":true}",
            "{\"a\":\"RED\"}",
            "{\"a\":{}}",
            &uuid_map,
            &uuid_list,
        ];
        match holds {
            ColumnValues::Bool => vec![true.into(), false.into()],
            ColumnValues::Integer(range) => {
                let some = [*range.start(), 0, 1, 70_000, *range.end()];
                let some = some.into_iter().filter(|number| range.contains(number));
                some.map(Value::from).collect()
            }
            ColumnValues::Double => vec![0.5.into(), 1.0.into(), 1e300.into()],
            ColumnValues::Figures => ["1", "0.5", "2013-01-31", "05:17:00"]
                .map(Value::from)
                .into(),
            ColumnValues::Text => texts.into_iter().chain(maps).map(Value::from).collect(),
            ColumnValues::Bytes => {
                let texts = texts.into_iter().chain(maps);
                let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec().into());
                let odd = [
                    Value::Bytes(vec![0xff].into()),
                    Value::Bytes(vec![7; 16].into()),
                ];
                texts.map(bytes).chain(odd).collect()
            }
            ColumnValues::Uuid => vec![Value::Uuid([7; 16])],
            ColumnValues::List(of) => {
                let of = samples(of).into_iter();
                let lists = of.map(|item| Value::List(vec![item]));
                lists.collect()
            }
            ColumnValues::Anything | ColumnValues::Json => Vec::new(),
        }
    }

    /// What is refused here is refused at run time, and vice versa.
    #[test]
    fn never_is_predicted_exactly_if_no_value_fits() {
        let (schema, color) = schema();
        let plain = [
            ColumnValues::Bool,
            ColumnValues::Integer(0..=1),
            ColumnValues::Integer(-128..=127),
            ColumnValues::Integer(i64::MIN..=i64::MAX),
            ColumnValues::Integer(0..=i64::MAX),
            ColumnValues::Double,
            ColumnValues::Text,
            ColumnValues::Figures,
            ColumnValues::Bytes,
            ColumnValues::Uuid,
        ];
        let lists = plain.clone().map(|of| ColumnValues::List(of.into()));
        for holds in plain.iter().chain(&lists) {
            for (ty, parse_text) in types(&color)
                .iter()
                .flat_map(|ty| [(ty, false), (ty, true)])
            {
                let coercion = ColumnCoercion {
                    schema: &schema,
                    parse_text,
                };
                let fit = coercion.fit(holds, ty);
                let coercion = Coercion::new(&schema, parse_text);
                let fits = |value: Value| coercion.value(value, ty).is_ok();
                let any = samples(holds).into_iter().any(fits);
                let never = matches!(fit, ColumnFit::Never(_));
                assert_eq!(never, !any, "{holds:?} {ty:?} {parse_text}: {fit:?}");
            }
        }
    }

    #[test]
    fn only_what_is_out_of_range_is_reported() {
        let (schema, color) = schema();
        let fit = |range: RangeInclusive<i64>, ty: &Type| {
            let coercion = ColumnCoercion {
                schema: &schema,
                parse_text: false,
            };
            coercion.fit(&ColumnValues::Integer(range), ty)
        };
        let big = i64::MIN..=i64::MAX;
        let words = "holds numbers that i32 does not";
        assert_eq!(
            fit(big.clone(), &Type::I32),
            ColumnFit::InRange(words.into())
        );
        assert_eq!(fit(big.clone(), &Type::Bool), ColumnFit::Fits);
        assert_eq!(fit(big, &color), ColumnFit::Fits);
        assert_eq!(fit(-32_768..=32_767, &Type::I32), ColumnFit::Fits);
        assert_eq!(fit(2..=9, &color), ColumnFit::Never(Some(CAST)));
    }
}
