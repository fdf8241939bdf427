//! Gives a self-describing value an IDL type, exactly, or says what is wrong and where. Pure.
//!
//! As strict as the typed methods, whose clients' compilers refuse everything else: nothing is dropped, parsed from text or
//! rounded. An integer may stand for a double that represents it exactly, and a whole double for an integer; an
//! enum is a name or a number, a uuid text or 16 bytes, a map also a list of pairs. Null is an unset field.

use crate::coerce::Coercion;
use crate::diagnostic::nearest;
use crate::idl::{EnumType, Field, Requiredness, Schema, StructId, StructKind, Type};
use crate::value::{Record, Value};

/// Fits values to the types of one schema, up to a number of values.
pub(super) struct Fitting<'a> {
    schema: &'a Schema,
    /// How many more values may be made: a struct gets all its fields, whatever was sent.
    left: usize,
}

/// What is wrong with a value.
struct Misfit {
    /// The path to it, outermost first.
    at: String,
    why: String,
}

impl Misfit {
    fn new(why: impl Into<String>) -> Self {
        Misfit {
            at: String::new(),
            why: why.into(),
        }
    }

    fn inside(mut self, step: &str) -> Self {
        self.at.insert_str(0, step);
        self
    }
}

impl<'a> Fitting<'a> {
    pub(super) fn new(schema: &'a Schema, values_max: usize) -> Self {
        Fitting {
            schema,
            left: values_max,
        }
    }

    /// The parameters of a method, whose struct is `id`, in field order. `own` is one that was given separately, with its
    /// index. `Err` says what is wrong and where.
    pub(super) fn params(
        &mut self,
        id: StructId,
        given: Value,
        own: Option<(usize, Value)>,
    ) -> Result<Vec<Value>, String> {
        let pairs = match given {
            Value::Map(pairs) => pairs,
            _ => Vec::new(),
        };
        self.fields(id, pairs, own)
            .map_err(|misfit| match &*misfit.at {
                "" => misfit.why,
                // A path begins with a dot.
                at => format!("{}: {}", &at[1..], misfit.why),
            })
    }

    fn value(&mut self, ty: &Type, value: Value) -> Result<Value, Misfit> {
        match (ty, value) {
            (Type::Any, value) => Ok(value),
            (Type::Struct(id), Value::Map(pairs)) => {
                let of = self.schema.get(*id);
                let values = self.fields(*id, pairs, None)?;
                let names = of.names.clone();
                Ok(Value::Record(Record { names, values }))
            }
            (Type::List(of) | Type::Set(of), Value::List(values)) => self.list(of, values),
            (Type::Map(key, of), Value::Map(pairs)) => self.map(key, of, pairs),
            (Type::Map(key, of), Value::List(entries)) => {
                let pairs = entries.into_iter().enumerate();
                let pairs = pairs.map(|(at, entry)| pair(entry).ok_or(at));
                match pairs.collect::<Result<_, usize>>() {
                    Ok(pairs) => self.map(key, of, pairs),
                    Err(at) => {
                        let misfit =
                            Misfit::new("a pair has a `key` and a `value` and nothing else");
                        Err(misfit.inside(&format!("[{at}]")))
                    }
                }
            }
            (Type::Enum(of), value) => enumerated(of, value),
            (ty, value) if is_plain(ty, &value) => {
                let coercion = Coercion::new(self.schema, false);
                coercion.value(value, ty).map_err(Misfit::new)
            }
            (ty, value) => {
                let of = self.schema.describe(ty);
                Err(Misfit::new(format!("{} can't fill {of}", value.kind())))
            }
        }
    }

    /// The fields of a struct, in their order.
    fn fields(
        &mut self,
        id: StructId,
        pairs: Vec<(Value, Value)>,
        own: Option<(usize, Value)>,
    ) -> Result<Vec<Value>, Misfit> {
        let of = self.schema.get(id);
        self.left = match self.left.checked_sub(of.fields.len()) {
            Some(left) => left,
            None => return Err(Misfit::new("these are more values than the limit")),
        };
        let mut values = vec![Value::Null; of.fields.len()];
        let mut given = vec![false; of.fields.len()];
        if let Some((at, value)) = own {
            (values[at], given[at]) = (value, true);
        }
        for (name, value) in pairs {
            let name = name.as_str().unwrap_or_default();
            let Some((at, field)) = of.field(name) else {
                let near = nearest(name, of.names.iter().map(|name| &**name));
                let near = near.map(|near| format!("; did you mean `{near}`?"));
                let unknown = format!("there is no such field{}", near.unwrap_or_default());
                return Err(Misfit::new(unknown).inside(&step(name)));
            };
            if std::mem::replace(&mut given[at], true) {
                return Err(Misfit::new("it is given twice").inside(&step(name)));
            }
            if !value.is_null() {
                let fitted = self.value(&field.ty, value);
                values[at] = fitted.map_err(|misfit| misfit.inside(&step(name)))?;
            }
        }
        if of.kind == StructKind::Union {
            let set = values.iter().filter(|value| !value.is_null()).count();
            return match set {
                1 => Ok(values),
                _ => Err(Misfit::new(format!(
                    "{set} fields of union {} are set, instead of one",
                    of.name
                ))),
            };
        }
        for (field, value) in of.fields.iter().zip(&mut values) {
            complete(field, value)?;
        }
        Ok(values)
    }

    fn list(&mut self, of: &Type, mut values: Vec<Value>) -> Result<Value, Misfit> {
        for (at, slot) in values.iter_mut().enumerate() {
            let fitted = self.element(of, std::mem::take(slot));
            *slot = fitted.map_err(|misfit| misfit.inside(&format!("[{at}]")))?;
        }
        Ok(Value::List(values))
    }

    fn map(&mut self, key: &Type, of: &Type, pairs: Vec<(Value, Value)>) -> Result<Value, Misfit> {
        let mut fitted = Vec::with_capacity(pairs.len());
        for (at, (name, value)) in pairs.into_iter().enumerate() {
            let step = match &name {
                Value::Text(name) => step(name.as_str()),
                _ => format!("[{at}]"),
            };
            let name = self.element(key, name);
            let name = name.map_err(|misfit| Misfit {
                why: format!("a map's key: {}", misfit.why),
                ..misfit.inside(&step)
            })?;
            let value = self.element(of, value);
            fitted.push((name, value.map_err(|misfit| misfit.inside(&step))?));
        }
        Ok(Value::Map(fitted))
    }

    /// An element, key or value, which can't be unset.
    fn element(&mut self, of: &Type, value: Value) -> Result<Value, Misfit> {
        if value.is_null() && *of != Type::Any {
            let of = self.schema.describe(of);
            return Err(Misfit::new(format!("null can't fill {of}")));
        }
        self.value(of, value)
    }
}

/// Whether a value of that kind can fit a type without inner types; whether this value does, is checked later.
fn is_plain(ty: &Type, value: &Value) -> bool {
    match ty {
        Type::Bool => matches!(value, Value::Bool(_)),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Double => {
            matches!(value, Value::I64(_) | Value::Double(_))
        }
        Type::String | Type::Binary | Type::Uuid => {
            matches!(value, Value::Text(_) | Value::Bytes(_))
        }
        _ => false,
    }
}

/// An enum by name or by any number: the typed methods also accept numbers that the IDL does not have.
fn enumerated(of: &EnumType, value: Value) -> Result<Value, Misfit> {
    match value {
        Value::I64(number) if i32::try_from(number).is_ok() => Ok(Value::I64(number)),
        Value::I64(number) => Err(Misfit::new(format!(
            "{number} is out of range for {}",
            of.name
        ))),
        Value::Text(name) => match of.number(name.as_str()) {
            Some(number) => Ok(Value::I64(number.into())),
            None => {
                let near = nearest(name.as_str(), of.values.iter().map(|(name, _)| &**name));
                let near = near.map(|near| format!("; did you mean `{near}`?"));
                Err(Misfit::new(format!(
                    "{} has no value of that name{}",
                    of.name,
                    near.unwrap_or_default()
                )))
            }
        },
        other => Err(Misfit::new(format!(
            "{} can't fill {}",
            other.kind(),
            of.name
        ))),
    }
}

/// The key and the value of an entry.
fn pair(entry: Value) -> Option<(Value, Value)> {
    let Value::Map(pairs) = entry else {
        return None;
    };
    let [first, second] = <[(Value, Value); 2]>::try_from(pairs).ok()?;
    match (first.0.as_str()?, second.0.as_str()?) {
        ("key", "value") => Some((first.1, second.1)),
        ("value", "key") => Some((second.1, first.1)),
        _ => None,
    }
}

/// Puts the default into an unset field; an unset required field is an error.
fn complete(field: &Field, value: &mut Value) -> Result<(), Misfit> {
    if !value.is_null() {
        return Ok(());
    }
    match &field.default {
        _ if field.requiredness == Requiredness::Required => {
            Err(Misfit::new("it is required").inside(&step(&field.name)))
        }
        Some(default) => {
            value.clone_from(default);
            Ok(())
        }
        None => Ok(()),
    }
}

/// A step of a path. Clients may send long names.
fn step(name: &str) -> String {
    const SHOWN: usize = 64;
    format!(".{}", &name[..name.floor_char_boundary(SHOWN)])
}

#[cfg(test)]
mod tests;
