//! Converts a stored value to an IDL type: exactly, or with an error that says why not. Pure.
//!
//! Integers widen, and narrow within range. An integer becomes a double if that is exact, and a whole double an integer. 0
//! and 1 become bools. An enum is given by name or number. Text and bytes become each other if the bytes are UTF-8. Text with
//! JSON fills structs, lists and maps. A row of one column fills a plain value. Text fills numbers and bools only with
//! `parse_text`. Unknown fields of a struct are dropped, and missing ones take the default of the IDL.

use super::leniency::Leniency;
use crate::idl::{Requiredness, Schema, StructId, StructKind, Type};
use crate::value::{
    Record, Text, Value, double_of_integer, is_beyond_i64, parse_double, parse_uuid, uuid_text,
};

/// How many levels of JSON in text in JSON are converted. Each may be nested as deep as the reader of JSON goes, and all of
/// them together must fit on the stack.
const TEXTS_MAX: u8 = 2;

/// Whether a value of a plain type fits as it is: [`Coercion::value`] would return it unchanged.
#[inline]
pub fn fits_unchanged(value: &Value, ty: &Type) -> bool {
    match (ty, value) {
        (Type::Binary, Value::Bytes(_))
        | (Type::String, Value::Text(_))
        | (Type::I64, Value::I64(_))
        | (Type::Double, Value::Double(_))
        | (Type::Bool, Value::Bool(_)) => true,
        (Type::I32, Value::I64(number)) => i32::try_from(*number).is_ok(),
        (Type::I16, Value::I64(number)) => i16::try_from(*number).is_ok(),
        (Type::I8, Value::I64(number)) => i8::try_from(*number).is_ok(),
        _ => false,
    }
}

/// Converts values to the types of one schema.
#[derive(Clone, Copy, Debug)]
pub struct Coercion<'a> {
    schema: &'a Schema,
    parse_text: bool,
    /// How many more levels of text may be read as JSON.
    texts: u8,
    leniency: Leniency<'a>,
    /// Whether an enum may keep a number that the IDL has no name for: not in a required field.
    keeps_numbers: bool,
    /// A person wrote the value, not a store.
    is_written: bool,
}

impl<'a> Coercion<'a> {
    /// `parse_text`: text may fill numbers and bools.
    pub fn new(schema: &'a Schema, parse_text: bool) -> Self {
        Coercion {
            schema,
            parse_text,
            texts: TEXTS_MAX,
            leniency: Leniency::None,
            keeps_numbers: false,
            is_written: false,
        }
    }

    /// A person wrote the value: what does not fit is for them to write in another form.
    #[must_use]
    pub fn written(self) -> Self {
        Coercion {
            is_written: true,
            ..self
        }
    }

    /// Accepts, as far as `leniency` says, what a newer IDL has added. `keeps_numbers`: so does an enum that is no
    /// field's value, but all of what is converted.
    #[must_use]
    pub fn lenient(self, leniency: Leniency<'a>, keeps_numbers: bool) -> Self {
        Coercion {
            leniency,
            keeps_numbers,
            ..self
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
            (_, Value::Enum(of)) => self.value(Value::I64(of.number), ty),
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
            // An integer of JSON that no `i64` holds arrives as its digits.
            (Type::Double, Value::Text(text)) if is_beyond_i64(text.as_str()) => {
                match double_of_integer(text.as_str()) {
                    Some(number) => Ok(Value::Double(number)),
                    None => Err(format!(
                        "{} has more digits than a double holds",
                        shown(&text)
                    )),
                }
            }
            (_, value) => Err(self.mismatch(&value, ty)),
        }
    }

    fn mismatch(&self, value: &Value, ty: &Type) -> String {
        let hint = match (value, ty) {
            (Value::Text(text), Type::I8 | Type::I16 | Type::I32 | Type::I64)
                if is_beyond_i64(text.as_str()) =>
            {
                let of = self.schema.describe(ty);
                return format!("{} is out of range for {of}", shown(text));
            }
            (
                Value::Text(_),
                Type::Bool | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Double,
            ) if self.is_written => " (write it without quotes, if the text holds one)",
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
            Value::I64(number) if of.name_of(number).is_some() || self.keeps(number) => {
                Ok(Value::I64(number))
            }
            Value::I64(number) => Err(self.unknown(format!("{} has no value {number}", of.name))),
            Value::Text(text) => {
                let name = text.as_str();
                let by_number = || {
                    name.parse()
                        .ok()
                        .filter(|number| of.name_of(*number).is_some() || self.keeps(*number))
                };
                match of
                    .number(name)
                    .map(i64::from)
                    .or_else(|| by_number().filter(|_| self.parse_text))
                {
                    Some(number) => Ok(Value::I64(number)),
                    None => Err(self.unknown(format!("{} has no value called `{name}`", of.name))),
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

    /// Whether an enum keeps `number`, which has no name.
    fn keeps(&self, number: i64) -> bool {
        self.keeps_numbers && i32::try_from(number).is_ok()
    }

    /// Marks an error as due to a newer IDL.
    fn unknown(&self, why: String) -> String {
        if let Leniency::LeavesOut(left_out) = self.leniency {
            left_out.is_unknown.set(true);
        }
        why
    }

    fn structured(&self, id: StructId, value: Value) -> Result<Value, String> {
        let of = self.schema.get(id);
        let mut others = false;
        let mut values = match value {
            // Already of this type, or a row with the same columns: the fields need not be looked up.
            Value::Record(record) if record.names == of.names => record.values,
            Value::Record(mut record) => {
                let take = |name: &str| record.names.position(name);
                let places: Vec<Option<usize>> = of.names.iter().map(|name| take(name)).collect();
                let values = places
                    .into_iter()
                    .map(|at| at.map_or(Value::Null, |at| std::mem::take(&mut record.values[at])))
                    .collect();
                others = record.values.iter().any(|value| !value.is_null());
                values
            }
            Value::Map(mut pairs) => {
                let mut take = |name: &str| {
                    let named = |(key, _): &&mut (Value, Value)| key.as_str() == Some(name);
                    pairs
                        .iter_mut()
                        .find(named)
                        .map(|(_, value)| std::mem::take(value))
                };
                let values = of.names.iter();
                let values = values.map(|name| take(name).unwrap_or_default()).collect();
                others = pairs.iter().any(|(_, value)| !value.is_null());
                values
            }
            Value::Text(text) => {
                return self.json(text.as_bytes(), &Type::Struct(id));
            }
            Value::Bytes(bytes) => {
                return self.json(&bytes, &Type::Struct(id));
            }
            other => return Err(format!("{} can't fill {}", other.kind(), of.name)),
        };
        for (at, (slot, field)) in values.iter_mut().zip(&of.fields).enumerate() {
            if !fits_unchanged(slot, &field.ty) {
                *slot = self.field(id, at, std::mem::take(slot))?;
            }
        }
        if of.kind == StructKind::Union {
            match values.iter().filter(|value| !value.is_null()).count() {
                1 => {}
                0 if others => {
                    let why = format!("{} has no such field", of.name);
                    return Err(self.unknown(why));
                }
                _ => {
                    let name = &of.name;
                    return Err(format!(
                        "{name} is a union: exactly one field has to be set"
                    ));
                }
            }
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
            // What is unknown in the one field of a union is unknown in the union.
            let is_union = of.kind == StructKind::Union;
            let may_be_unset = !is_union && field.requiredness != Requiredness::Required;
            let inner = Coercion {
                keeps_numbers: match self.leniency {
                    Leniency::None => false,
                    _ if is_union => self.keeps_numbers,
                    Leniency::Numbers => field.requiredness == Requiredness::Optional,
                    Leniency::LeavesOut(_) => may_be_unset,
                },
                ..*self
            };
            let why = match inner.value(value, &field.ty) {
                Ok(value) => return Ok(value),
                Err(why) => format!("field `{}` of {}: {why}", field.name, of.name),
            };
            match self.leniency {
                Leniency::LeavesOut(left_out) if may_be_unset && left_out.is_unknown.take() => {
                    left_out.note(why);
                }
                _ => return Err(why),
            }
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
            Type::Double => parse_double(text).map(Value::Double),
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

/// The digits of a long number for a message: all of them, or the first ones.
fn shown(digits: &Text) -> String {
    const MOST: usize = 40;
    match digits.as_str().get(..MOST) {
        Some(first) => format!("{first}..."),
        None => digits.as_str().to_owned(),
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
