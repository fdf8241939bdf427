//! Whether what a column holds can fill a type of the IDL. Pure.
//!
//! Says before any value is there what [`super::Conform`] will say of each: `Never` only where it refuses them all.

use std::ops::RangeInclusive;

use crate::backend::examine::Holds;
use crate::idl::{Schema, Type};

/// How values of a column fit a type.
#[derive(Clone, Debug, PartialEq)]
pub enum Fit {
    /// As far as the column's type tells.
    Fits,
    /// Those in range do; says what is not.
    InRange(String),
    /// None does; says what would be right, where that is easy to say.
    Never(Option<&'static str>),
}

/// Fits columns to types of one schema.
#[derive(Clone, Copy, Debug)]
pub struct Fitting<'a> {
    /// The IDL.
    pub schema: &'a Schema,
    /// Text may fill numbers and bools.
    pub parse_text: bool,
}

const PARSE_TEXT: &str = "set `parse_text = true` on the lookup if the text holds one";
const CAST: &str = "cast it in the SQL, or change the field's type";

impl Fitting<'_> {
    /// How `holds` fits `ty`.
    pub fn of(self, holds: &Holds, ty: &Type) -> Fit {
        let fits = match (ty, holds) {
            (_, Holds::Anything | Holds::Json)
            | (Type::Any, _)
            | (Type::Bool, Holds::Bool)
            | (Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Double, Holds::Double)
            | (Type::Uuid, Holds::Uuid) => true,
            (_, Holds::Integer(range)) => return self.integer(range, ty),
            (Type::List(wanted) | Type::Set(wanted), Holds::List(of)) => {
                return self.of(of, wanted);
            }
            (Type::Bool | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Double, _) => {
                return self.text_only(holds);
            }
            (Type::String, _) => is_text(holds) || *holds == Holds::Uuid,
            (Type::Binary, _) => is_text(holds),
            (Type::Enum(_), Holds::Figures) => self.parse_text,
            // Names, UUIDs or JSON.
            _ => matches!(holds, Holds::Text | Holds::Bytes),
        };
        if fits {
            Fit::Fits
        } else {
            Fit::Never(Some(CAST))
        }
    }

    /// What fills a number or a bool only if it is text that is to be read as one.
    fn text_only(self, holds: &Holds) -> Fit {
        match holds {
            Holds::Text | Holds::Figures if self.parse_text => Fit::Fits,
            Holds::Text | Holds::Figures => Fit::Never(Some(PARSE_TEXT)),
            _ => Fit::Never(Some(CAST)),
        }
    }

    fn integer(self, range: &RangeInclusive<i64>, ty: &Type) -> Fit {
        let fits = match ty {
            Type::I8 => i8::MIN.into()..=i8::MAX.into(),
            Type::I16 => i16::MIN.into()..=i16::MAX.into(),
            Type::I32 => i32::MIN.into()..=i32::MAX.into(),
            // 0 and 1 are bools: stores without a bool have it so.
            Type::Bool | Type::I64 | Type::Double => return Fit::Fits,
            Type::Enum(of) => {
                let mut numbers = of.values.iter().map(|(_, number)| i64::from(*number));
                return if numbers.any(|number| range.contains(&number)) {
                    Fit::Fits
                } else {
                    Fit::Never(Some(CAST))
                };
            }
            _ => return Fit::Never(Some(CAST)),
        };
        if fits.contains(range.start()) && fits.contains(range.end()) {
            return Fit::Fits;
        }
        Fit::InRange(format!(
            "holds numbers that {} does not",
            self.schema.describe(ty)
        ))
    }
}

fn is_text(holds: &Holds) -> bool {
    matches!(holds, Holds::Text | Holds::Figures | Holds::Bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::idl::{EnumType, Field, Kind, Requiredness, StructId, StructType};
    use crate::value::{Names, Value};
    use crate::view::Conform;

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
                kind: Kind::Struct,
                fields: vec![field],
                names: Names::new(["n"]),
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

    /// What a column of that kind may come with, among it what fits each type there is.
    fn samples(holds: &Holds) -> Vec<Value> {
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
            Holds::Bool => vec![true.into(), false.into()],
            Holds::Integer(range) => {
                let some = [*range.start(), 0, 1, 70_000, *range.end()];
                let some = some.into_iter().filter(|number| range.contains(number));
                some.map(Value::from).collect()
            }
            Holds::Double => vec![0.5.into(), 1.0.into(), 1e300.into()],
            Holds::Figures => ["1", "0.5", "2013-01-31", "05:17:00"]
                .map(Value::from)
                .into(),
            Holds::Text => texts.into_iter().chain(maps).map(Value::from).collect(),
            Holds::Bytes => {
                let texts = texts.into_iter().chain(maps);
                let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec().into());
                let odd = [
                    Value::Bytes(vec![0xff].into()),
                    Value::Bytes(vec![7; 16].into()),
                ];
                texts.map(bytes).chain(odd).collect()
            }
            Holds::Uuid => vec![Value::Uuid([7; 16])],
            Holds::List(of) => {
                let of = samples(of).into_iter();
                let lists = of.map(|item| Value::List(vec![item]));
                lists.collect()
            }
            Holds::Anything | Holds::Json => Vec::new(),
        }
    }

    /// What is refused here is refused at run time, and the other way round.
    #[test]
    fn a_fit_is_never_exactly_where_no_value_ever_fits() {
        let (schema, color) = schema();
        let plain = [
            Holds::Bool,
            Holds::Integer(0..=1),
            Holds::Integer(-128..=127),
            Holds::Integer(i64::MIN..=i64::MAX),
            Holds::Integer(0..=i64::MAX),
            Holds::Double,
            Holds::Text,
            Holds::Figures,
            Holds::Bytes,
            Holds::Uuid,
        ];
        let lists = plain.clone().map(|of| Holds::List(of.into()));
        for holds in plain.iter().chain(&lists) {
            for (ty, parse_text) in types(&color)
                .iter()
                .flat_map(|ty| [(ty, false), (ty, true)])
            {
                let fitting = Fitting {
                    schema: &schema,
                    parse_text,
                };
                let fit = fitting.of(holds, ty);
                let conform = Conform::new(&schema, parse_text);
                let fits = |value: Value| conform.value(value, ty).is_ok();
                let any = samples(holds).into_iter().any(fits);
                let never = matches!(fit, Fit::Never(_));
                assert_eq!(never, !any, "{holds:?} {ty:?} {parse_text}: {fit:?}");
            }
        }
    }

    #[test]
    fn only_what_is_out_of_range_is_told() {
        let (schema, color) = schema();
        let fit = |range: RangeInclusive<i64>, ty: &Type| {
            let fitting = Fitting {
                schema: &schema,
                parse_text: false,
            };
            fitting.of(&Holds::Integer(range), ty)
        };
        let big = i64::MIN..=i64::MAX;
        let words = "holds numbers that i32 does not";
        assert_eq!(fit(big.clone(), &Type::I32), Fit::InRange(words.into()));
        assert_eq!(fit(big.clone(), &Type::Bool), Fit::Fits);
        assert_eq!(fit(big, &color), Fit::Fits);
        assert_eq!(fit(-32_768..=32_767, &Type::I32), Fit::Fits);
        assert_eq!(fit(2..=9, &color), Fit::Never(Some(CAST)));
    }
}
