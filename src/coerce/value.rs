//! Converts a stored value to an IDL type: exactly, or with an error that says why not. Pure.
//!
//! Integers widen, and narrow within range. An integer becomes a double if that is exact, and a whole double an integer. 0
//! and 1 become bools. An enum is given by name or number. Text and bytes become each other if the bytes are UTF-8. Text with
//! JSON fills structs, lists and maps. A row of one column fills a plain value. Text fills numbers and bools only with
//! `parse_text`. Unknown fields of a struct are dropped, and missing ones take the default of the IDL.

use crate::idl::{Requiredness, Schema, StructId, StructKind, Type};
use crate::value::{Record, Text, Value, parse_uuid, uuid_text};

/// How many levels of JSON in text in JSON are converted. Each may be nested as deep as the reader of JSON goes, and all of
/// them together must fit on the stack.
const TEXTS_MAX: u8 = 2;

/// Whether a value of a plain type fits as it is: [`Coercion::value`] would return it unchanged.
#[inline]
pub fn fits_unchanged(value: &Value, ty: &Type) -> bool {
    matches!(
        (ty, value),
        (Type::Binary, Value::Bytes(_))
            | (Type::String, Value::Text(_))
            | (Type::I64, Value::I64(_))
            | (Type::Double, Value::Double(_))
            | (Type::Bool, Value::Bool(_))
    )
}

/// Converts values to the types of one schema.
#[derive(Clone, Copy, Debug)]
pub struct Coercion<'a> {
    schema: &'a Schema,
    parse_text: bool,
    /// How many more levels of text may be read as JSON.
    texts: u8,
}

impl<'a> Coercion<'a> {
    /// `parse_text`: text may fill numbers and bools.
    pub fn new(schema: &'a Schema, parse_text: bool) -> Self {
        Coercion {
            schema,
            parse_text,
            texts: TEXTS_MAX,
        }
    }

    /// Converts `value` to `ty`. `Err` says what does not fit and where in the value it is.
    pub fn value(&self, value: Value, ty: &Type) -> Result<Value, String> {
        match (ty, value) {
            (Type::Any, value) => Ok(value),
            (Type::Bool, Value::Bool(bit)) => Ok(Value::Bool(bit)),
            (Type::Bool, Value::I64(bit @ (0 | 1))) => Ok(Value::Bool(bit == 1)),
            (Type::I8 | Type::I16 | Type::I32 | Type::I64, Value::I64(number)) => {
                self.integer(number, ty)
            }
            (Type::I8 | Type::I16 | Type::I32 | Type::I64, Value::Double(number)) => {
                match whole(number) {
                    Some(number) => self.integer(number, ty),
                    None => Err(format!("{number} is not a whole number")),
                }
            }
            (Type::Double, Value::Double(number)) => Ok(Value::Double(number)),
            (Type::Double, Value::I64(number)) => exact_double(number).map(Value::Double),
            (Type::String, text @ Value::Text(_)) => Ok(text),
            (Type::String, Value::Bytes(bytes)) => match Text::from_utf8(bytes) {
                Ok(text) => Ok(Value::Text(text)),
                Err(_) => Err("bytes that are not UTF-8 can't fill string".into()),
            },
            (Type::Binary, bytes @ Value::Bytes(_)) => Ok(bytes),
            (Type::Binary, Value::Text(text)) => Ok(Value::Bytes(text.into_bytes())),
            (Type::Uuid, uuid @ Value::Uuid(_)) => Ok(uuid),
            (Type::String, Value::Uuid(uuid)) => Ok(Value::from(uuid_text(&uuid))),
            (Type::Uuid, Value::Text(text)) => match parse_uuid(text.as_str()) {
                Some(uuid) => Ok(Value::Uuid(uuid)),
                None => Err("the text is not a uuid".into()),
            },
            (Type::Uuid, Value::Bytes(bytes)) => match <[u8; 16]>::try_from(&*bytes) {
                Ok(uuid) => Ok(Value::Uuid(uuid)),
                Err(_) => Err(format!("{} bytes are not a uuid's 16", bytes.len())),
            },
            (Type::Enum(of), value) => self.enumerated(of, value),
            (Type::Struct(id), value) => self.structured(*id, value),
            (Type::List(of) | Type::Set(of), Value::List(items)) => self.items(items, of),
            (Type::Map(key, of), Value::Map(pairs)) => self.pairs(pairs, key, of),
            (Type::Map(key, of), Value::Record(record)) => {
                let names = record.names.iter().map(|name| Value::from(&**name));
                let pairs = names
                    .zip(record.values)
                    .filter(|(_, value)| !value.is_null());
                self.pairs(pairs.collect(), key, of)
            }
            (Type::List(_) | Type::Set(_) | Type::Map(..), Value::Text(text)) => {
                self.json(text.as_bytes(), ty)
            }
            (Type::List(_) | Type::Set(_) | Type::Map(..), Value::Bytes(bytes)) => {
                self.json(&bytes, ty)
            }
            (_, Value::Record(mut record)) if record.values.len() == 1 => {
                self.value(record.values.remove(0), ty)
            }
            (_, Value::Text(text)) if self.parse_text => self.parsed(text.as_str(), ty),
            (_, value) => Err(self.mismatch(&value, ty)),
        }
    }

    fn mismatch(&self, value: &Value, ty: &Type) -> String {
        let hint = match (value, ty) {
            (
                Value::Text(_),
                Type::Bool | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Double,
            ) => " (set `parse_text = true` on the lookup if the text holds one)",
            _ => "",
        };
        format!(
            "{} can't fill {}{hint}",
            value.kind(),
            self.schema.describe(ty)
        )
    }

    fn integer(&self, number: i64, ty: &Type) -> Result<Value, String> {
        let fits = match ty {
            Type::I8 => i8::try_from(number).is_ok(),
            Type::I16 => i16::try_from(number).is_ok(),
            Type::I32 => i32::try_from(number).is_ok(),
            _ => true,
        };
        if fits {
            Ok(Value::I64(number))
        } else {
            Err(format!(
                "{number} is out of range for {}",
                self.schema.describe(ty)
            ))
        }
    }

    fn enumerated(&self, of: &crate::idl::EnumType, value: Value) -> Result<Value, String> {
        match value {
            Value::I64(number) if of.name_of(number).is_some() => Ok(Value::I64(number)),
            Value::I64(number) => Err(format!("{} has no value {number}", of.name)),
            Value::Text(text) => {
                let name = text.as_str();
                let by_number = || {
                    name.parse()
                        .ok()
                        .filter(|number| of.name_of(*number).is_some())
                };
                match of
                    .number(name)
                    .map(i64::from)
                    .or_else(|| by_number().filter(|_| self.parse_text))
                {
                    Some(number) => Ok(Value::I64(number)),
                    None => Err(format!("{} has no value called `{name}`", of.name)),
                }
            }
            Value::Bytes(bytes) => match Text::from_utf8(bytes) {
                Ok(text) => self.enumerated(of, Value::Text(text)),
                Err(_) => Err(format!("bytes that are not UTF-8 can't fill {}", of.name)),
            },
            Value::Record(mut record) if record.values.len() == 1 => {
                self.enumerated(of, record.values.remove(0))
            }
            other => Err(format!("{} can't fill {}", other.kind(), of.name)),
        }
    }

    fn structured(&self, id: StructId, value: Value) -> Result<Value, String> {
        let of = self.schema.get(id);
        let mut values = match value {
            // Already of this type, or a row with the same columns: the fields need not be looked up.
            Value::Record(record) if record.names.same(&of.names) => record.values,
            Value::Record(mut record) => {
                let take = |name: &str| record.names.position(name);
                let places: Vec<Option<usize>> = of.names.iter().map(|name| take(name)).collect();
                places
                    .into_iter()
                    .map(|at| at.map_or(Value::Null, |at| std::mem::take(&mut record.values[at])))
                    .collect()
            }
            Value::Map(mut pairs) => {
                let mut take = |name: &str| {
                    let named = |(key, _): &&mut (Value, Value)| key.as_str() == Some(name);
                    pairs
                        .iter_mut()
                        .find(named)
                        .map(|(_, value)| std::mem::take(value))
                };
                of.names
                    .iter()
                    .map(|name| take(name).unwrap_or_default())
                    .collect()
            }
            Value::Text(text) => {
                return self.json(text.as_bytes(), &Type::Struct(id));
            }
            Value::Bytes(bytes) => {
                return self.json(&bytes, &Type::Struct(id));
            }
            other => return Err(format!("{} can't fill {}", other.kind(), of.name)),
        };
        for (at, slot) in values.iter_mut().enumerate() {
            *slot = self.field(id, at, std::mem::take(slot))?;
        }
        if of.kind == StructKind::Union
            && values.iter().filter(|value| !value.is_null()).count() != 1
        {
            return Err(format!(
                "{} is a union: exactly one field has to be set",
                of.name
            ));
        }
        Ok(Value::Record(Record {
            names: of.names.clone(),
            values,
        }))
    }

    /// Converts the value of one field of a struct; a missing value becomes the default of the IDL.
    pub fn field(&self, id: StructId, at: usize, value: Value) -> Result<Value, String> {
        let of = self.schema.get(id);
        let field = &of.fields[at];
        if !value.is_null() {
            return self
                .value(value, &field.ty)
                .map_err(|why| format!("field `{}` of {}: {why}", field.name, of.name));
        }
        match (&field.default, field.requiredness) {
            (Some(default), _) if of.kind != StructKind::Union => Ok(default.clone()),
            (_, Requiredness::Required) => Err(format!(
                "field `{}` of {} is required and has no value",
                field.name, of.name
            )),
            _ => Ok(Value::Null),
        }
    }

    fn items(&self, items: Vec<Value>, of: &Type) -> Result<Value, String> {
        // The items are converted in place, without a second list.
        let mut items = items;
        for (at, slot) in items.iter_mut().enumerate() {
            let item = std::mem::take(slot);
            if item.is_null() && *of != Type::Any {
                return Err(format!("element {at} is null"));
            }
            *slot = self
                .value(item, of)
                .map_err(|why| format!("element {at}: {why}"))?;
        }
        Ok(Value::List(items))
    }

    fn pairs(&self, pairs: Vec<(Value, Value)>, key: &Type, of: &Type) -> Result<Value, String> {
        let fitted =
            pairs
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(have, value)| {
                    let have = match (&have, key) {
                        // The keys of a JSON object are text, whatever their type.
                        (Value::Text(text), Type::String) => Value::Text(text.clone()),
                        (Value::Text(text), Type::Enum(_)) => Coercion {
                            parse_text: true,
                            ..*self
                        }
                        .value(Value::Text(text.clone()), key)?,
                        (Value::Text(text), _) => {
                            let parse = Coercion {
                                parse_text: true,
                                ..*self
                            };
                            parse.value(Value::Text(text.clone()), key)?
                        }
                        _ => self.value(have, key)?,
                    };
                    let value = self
                        .value(value, of)
                        .map_err(|why| format!("a map's value: {why}"))?;
                    Ok((have, value))
                });
        fitted.collect::<Result<_, String>>().map(Value::Map)
    }

    /// Converts the value in a JSON text to `ty`.
    fn json(&self, text: &[u8], ty: &Type) -> Result<Value, String> {
        let of = || self.schema.describe(ty);
        let Some(texts) = self.texts.checked_sub(1) else {
            return Err(format!("text within text within text can't fill {}", of()));
        };
        match Value::from_json(text) {
            Ok(Value::Text(_) | Value::Null) => Err(format!("a JSON text can't fill {}", of())),
            Ok(value) => Coercion { texts, ..*self }.value(value, ty),
            Err(_) => Err(format!("text that is not JSON can't fill {}", of())),
        }
    }

    fn parsed(&self, text: &str, ty: &Type) -> Result<Value, String> {
        let value = match ty {
            Type::Bool => match text {
                "true" | "1" => Some(Value::Bool(true)),
                "false" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => text.parse().ok().map(Value::I64),
            Type::Double => text.parse().ok().map(Value::Double),
            _ => None,
        };
        match value {
            Some(Value::I64(number)) => self.integer(number, ty),
            Some(value) => Ok(value),
            None => Err(format!(
                "the text can't be read as {}",
                self.schema.describe(ty)
            )),
        }
    }
}

/// The integer that equals a double.
fn whole(number: f64) -> Option<i64> {
    // 2^63: the smallest double beyond every i64.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() != 0.0 || !(-LIMIT..LIMIT).contains(&number) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within range")]
    Some(number as i64)
}

fn exact_double(number: i64) -> Result<f64, String> {
    #[expect(clippy::cast_precision_loss, reason = "checked on the next line")]
    let double = number as f64;
    if whole(double) == Some(number) {
        Ok(double)
    } else {
        Err(format!("{number} has more digits than a double holds"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idl::load_from;

    /// `levels` nested texts, each with structs nested as deep as JSON may be.
    fn texts(levels: usize) -> String {
        let mut inner = "{}".to_owned();
        for level in 0..levels {
            let last = if level == 0 {
                inner
            } else {
                serde_json::to_string(&inner).expect("text")
            };
            inner = format!("{}{last}{}", "{\"next\":".repeat(120), "}".repeat(120));
        }
        inner
    }

    #[test]
    fn text_within_text_within_text_does_not_end_the_stack() {
        let idl = "struct Node { 1: optional Node next } service S { Node get() }";
        let schema = load_from("a.thrift", &|_| Some(idl.to_owned())).expect("an IDL");
        let node = Type::Struct(StructId(0));
        let fit = |levels| Coercion::new(&schema, false).value(Value::from(texts(levels)), &node);
        assert!(fit(1).is_ok() && fit(2).is_ok());
        for levels in [3, 12] {
            let why = fit(levels).expect_err("too deep");
            assert!(why.ends_with("text within text within text can't fill a.Node"));
        }
    }
}
