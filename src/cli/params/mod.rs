//! Parses a method's parameters: `carrier=UA hour=5 context.mode=SERIAL`, or JSON.
//!
//! In: text, and the types of the IDL. Out: a record that fits them exactly, or an error that says what would fit. Text is
//! parsed by the parameter's type: numbers and bools as such, enums by name or number, structs, lists and maps as
//! JSON. A dotted name sets one field of a struct, or one key of a map.

use crate::coerce::{Coercion, UnknownName, field_type, known_names};
use crate::diagnostic::did_you_mean;
use crate::idl::{Method, Schema, Type};
use crate::value::Value;

use super::error::CommandError;
use super::method::suggestion;

/// A method's parameters while they are collected. [`ParamTree::finish`] gives them their types.
#[derive(Debug)]
pub(super) struct ParamTree<'a> {
    schema: &'a Schema,
    method: &'a Method,
    /// Nested maps with text keys, as in JSON.
    tree: Value,
    /// The dotted names so far, to detect duplicates.
    given: Vec<String>,
}

impl<'a> ParamTree<'a> {
    /// No parameters yet.
    pub(super) fn new(schema: &'a Schema, method: &'a Method) -> Self {
        ParamTree {
            schema,
            method,
            tree: Value::Map(Vec::new()),
            given: Vec::new(),
        }
    }

    /// Takes all of them from the text of a JSON object.
    pub(super) fn json(&mut self, text: &str) -> Result<(), CommandError> {
        let tree = Value::from_json(text.as_bytes())
            .map_err(|err| CommandError::misuse(format_args!("`--json`: not JSON: {err}")))?;
        if !matches!(tree, Value::Map(_)) {
            let message = format!("`--json`: expected an object, found {}", tree.kind());
            return Err(CommandError::misuse(message)
                .help("one object of all parameters: `--json '{\"code\": \"JFK\"}'`"));
        }
        known_names(self.schema, &Type::Struct(self.method.params), &tree, "")?;
        self.tree = tree;
        Ok(())
    }

    /// Takes one `name=value`.
    pub(super) fn word(&mut self, word: &str) -> Result<(), CommandError> {
        let Some((name, text)) = word.split_once('=') else {
            return Err(
                CommandError::misuse(format_args!("`{word}` is not `name=value`"))
                    .help("parameters are given as `carrier=UA`, or all together with `--json`"),
            );
        };
        if self.given.iter().any(|have| have == name) {
            return Err(CommandError::misuse(format_args!(
                "`{name}` is given twice"
            )));
        }
        let ty = self.type_of(name)?;
        let value = leaf(self.schema, &ty, text)
            .map_err(|(message, help)| failure(&format!("`{name}`: {message}"), help))?;
        if let (Type::Struct(_), value) = (&ty, &value) {
            known_names(self.schema, &ty, value, name)?;
        }
        self.given.push(name.to_owned());
        self.set(name, value)
    }

    /// Puts `value` at a dotted name, replacing what is there.
    pub(super) fn set(&mut self, name: &str, value: Value) -> Result<(), CommandError> {
        let mut slot = &mut self.tree;
        for segment in name.split('.') {
            if slot.is_null() {
                *slot = Value::Map(Vec::new());
            }
            let Value::Map(pairs) = slot else {
                return Err(CommandError::misuse(format_args!(
                    "`{name}`: there is {} already",
                    slot.kind()
                )));
            };
            let at = pairs
                .iter()
                .position(|(key, _)| key.as_str() == Some(segment))
                .unwrap_or_else(|| {
                    pairs.push((Value::from(segment), Value::Null));
                    pairs.len() - 1
                });
            slot = &mut pairs[at].1;
        }
        *slot = value;
        Ok(())
    }

    /// The parameters with the IDL's types.
    pub(super) fn finish(self) -> Result<Value, CommandError> {
        let params = Type::Struct(self.method.params);
        Coercion::new(self.schema, false)
            .written()
            .value(self.tree, &params)
            .map_err(|why| CommandError::misuse(format_args!("the parameters do not fit: {why}")))
    }

    /// The type at a dotted name.
    fn type_of(&self, name: &str) -> Result<Type, CommandError> {
        let mut ty = Type::Struct(self.method.params);
        let mut walked = String::new();
        for segment in name.split('.') {
            ty = match &ty {
                Type::Struct(id) => field_type(self.schema, *id, segment, &walked)?,
                Type::Map(key, value) if **key == Type::String => (**value).clone(),
                other => {
                    let of = self.schema.describe(other);
                    return Err(CommandError::misuse(format_args!(
                        "`{walked}` is of type {of} and has no `{segment}`"
                    )));
                }
            };
            if !walked.is_empty() {
                walked.push('.');
            }
            walked.push_str(segment);
        }
        Ok(ty)
    }
}

/// Parses `text` as a value for `ty`. `Err`: what is wrong, and what would be right, if that is known.
fn leaf(schema: &Schema, ty: &Type, text: &str) -> Result<Value, (String, Option<String>)> {
    match ty {
        Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(..) => {
            Value::from_json(text.as_bytes()).map_err(|err| {
                let of = schema.describe(ty);
                let example = match ty {
                    Type::List(_) | Type::Set(_) => "'[...]'",
                    _ => "'{...}'",
                };
                (
                    format!("not JSON: {err}"),
                    Some(format!("{of} is given as JSON: `{example}`")),
                )
            })
        }
        // JSON if it parses, otherwise text.
        Type::Any => Ok(Value::from_json(text.as_bytes()).unwrap_or_else(|_| Value::from(text))),
        Type::Enum(of) => Coercion::new(schema, true)
            .value(Value::from(text), ty)
            .map_err(|why| {
                let names = of.values.iter().map(|(name, _)| &**name);
                let upper = text.to_uppercase();
                let near = did_you_mean(text, names.clone());
                let help = near.or_else(|| did_you_mean(&upper, names.clone()));
                (why, help.or_else(|| Some(suggestion(text, names))))
            }),
        _ => Coercion::new(schema, true)
            .value(Value::from(text), ty)
            .map_err(|_| (format!("`{text}` is not {}", article(schema, ty)), None)),
    }
}

/// `an i32`, `a bool: true or false`
fn article(schema: &Schema, ty: &Type) -> String {
    let of = schema.describe(ty);
    match ty {
        Type::Bool => "a bool: `true` or `false`".into(),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => format!("an {of}"),
        _ => format!("a {of}"),
    }
}

impl From<UnknownName> for CommandError {
    fn from(unknown: UnknownName) -> Self {
        CommandError::misuse(unknown.message).help(unknown.help)
    }
}

fn failure(message: &str, help: Option<String>) -> CommandError {
    let failure = CommandError::misuse(message);
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

#[cfg(test)]
mod tests;
