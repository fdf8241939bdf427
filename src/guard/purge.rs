//! Removes kept answers on request of an operator, whose request comes from another thread.
//!
//! In: the name of a lookup, and values of its parameters as JSON has them. An entry goes if its parameters have these values,
//! whatever their types are: JSON has no bytes, no UUIDs and no enums.

use tokio::sync::{mpsc, oneshot};

use super::purge_types::misfit;
use crate::plan::LookupId;
use crate::program::Program;
use crate::value::{Value, parse_uuid};

/// The most requests that wait for a loop.
const REQUESTS_MAX: usize = 16;

/// What is to be removed.
#[derive(Clone, Debug, Default)]
pub struct Purge {
    /// The answers of this lookup; of all if `None`.
    pub lookup: Option<String>,
    /// Only those whose parameters have these values.
    pub params: Vec<(String, Value)>,
}

/// Why nothing could be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPurged {
    /// There is no lookup of this name.
    NoLookup,
    /// The lookup has no cache.
    NoCache,
    /// The lookup has no parameter of this name, but those.
    NoParameter(String, Vec<String>),
    /// A parameter never has a value of such a type; this is what would be right.
    WrongType(String),
}

/// How many answers were removed on one loop.
pub type Purged = Result<usize, NotPurged>;

/// A request on its way to a loop.
#[derive(Debug)]
pub struct PurgeRequest {
    /// What is to be removed.
    pub purge: Purge,
    /// Where the loop answers.
    pub purged: oneshot::Sender<Purged>,
}

/// The way of requests to one loop.
pub type PurgeSender = mpsc::Sender<PurgeRequest>;

/// Where one loop gets its requests.
pub type PurgeReceiver = mpsc::Receiver<PurgeRequest>;

/// The way of requests to one loop.
pub fn purge_channel() -> (PurgeSender, PurgeReceiver) {
    mpsc::channel(REQUESTS_MAX)
}

impl Purge {
    /// The lookup that is meant, and the places of its parameters with the values they are to have.
    pub(super) fn resolve(&self, program: &Program) -> Result<Resolved<'_>, NotPurged> {
        let Some(name) = &self.lookup else {
            return Ok(Resolved {
                lookup: None,
                params: Vec::new(),
            });
        };
        let at = program
            .lookups
            .iter()
            .position(|lookup| *lookup.name == **name);
        let at = at.ok_or(NotPurged::NoLookup)?;
        let lookup = &program.lookups[at];
        if lookup.sharing.cache.is_none() {
            return Err(NotPurged::NoCache);
        }
        let params = self.params.iter().map(|(name, value)| {
            let place = lookup.params.iter().position(|param| **param == **name);
            let place = place.ok_or_else(|| {
                let known = lookup.params.iter().map(ToString::to_string);
                NotPurged::NoParameter(name.clone(), known.collect())
            })?;
            if let Some(wanted) = misfit(program, (LookupId(at), place, name), value) {
                return Err(NotPurged::WrongType(wanted));
            }
            Ok((place, value))
        });
        Ok(Resolved {
            lookup: Some(LookupId(at)),
            params: params.collect::<Result<_, _>>()?,
        })
    }
}

/// What is to be removed from the caches of one program.
pub(super) struct Resolved<'a> {
    pub(super) lookup: Option<LookupId>,
    params: Vec<(usize, &'a Value)>,
}

impl Resolved<'_> {
    /// Whether an entry with these parameters goes.
    pub(super) fn means(&self, params: &[Value]) -> bool {
        let is = |(at, json): &(usize, &Value)| params.get(*at).is_some_and(|it| means(json, it));
        self.params.iter().all(is)
    }
}

/// Whether `value` is what an operator writes as `json`.
fn means(json: &Value, value: &Value) -> bool {
    match (json, value) {
        (Value::Text(text), Value::Bytes(bytes)) => text.as_bytes() == &bytes[..],
        (Value::Text(text), Value::Uuid(uuid)) => parse_uuid(text.as_str()) == Some(*uuid),
        (Value::Text(text), Value::Enum(of)) => of.name.as_deref() == Some(text.as_str()),
        (Value::I64(number), Value::Enum(of)) => of.number == *number,
        #[expect(
            clippy::cast_precision_loss,
            clippy::float_cmp,
            reason = "equality is what is asked for"
        )]
        (Value::I64(number), Value::Double(double)) => *number as f64 == *double,
        (Value::List(json), Value::List(values)) => {
            json.len() == values.len() && json.iter().zip(values).all(|(json, it)| means(json, it))
        }
        (Value::Map(json), Value::Map(pairs)) => {
            let has = |(name, json): &(Value, Value)| {
                let mut pairs = pairs.iter();
                pairs.any(|(key, value)| means(name, key) && means(json, value))
            };
            json.len() == pairs.len() && json.iter().all(has)
        }
        (Value::Map(json), Value::Record(record)) => json.iter().all(|(name, json)| {
            let field = name.as_str().and_then(|name| record.get(name));
            field.is_some_and(|value| means(json, value))
        }),
        (json, value) => json == value,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::value::{EnumValue, FieldNames, Record};

    fn json(text: &str) -> Value {
        Value::from_json(text.as_bytes()).expect("JSON")
    }

    #[test]
    fn values_of_any_type_can_be_written_as_json() {
        let kind = Value::Enum(EnumValue {
            number: 3,
            name: Some(Arc::from("CARGO")),
        });
        let row = Value::Record(Record {
            names: FieldNames::new(["a", "b"]),
            values: vec![Value::I64(1), Value::from("x")],
        });
        let uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        let same = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("7", Value::I64(7)),
            ("7", Value::Double(7.0)),
            ("7.5", Value::Double(7.5)),
            (r#""x""#, Value::from("x")),
            (r#""x""#, Value::Bytes(Bytes::from_static(b"x"))),
            (
                r#""6ba7b810-9dad-11d1-80b4-00c04fd430c8""#,
                Value::Uuid(parse_uuid(uuid).expect("a UUID")),
            ),
            (r#""CARGO""#, kind.clone()),
            ("3", kind.clone()),
            ("[1, 2]", Value::List(vec![Value::I64(1), Value::I64(2)])),
            (r#"{"b": "x", "a": 1}"#, row.clone()),
        ];
        for (text, value) in &same {
            assert!(means(&json(text), value), "{text} {value:?}");
        }
        let different = [
            ("1", Value::from("1")),
            (r#""1""#, Value::I64(1)),
            ("4", kind.clone()),
            (r#""cargo""#, kind),
            ("[1]", Value::List(vec![Value::I64(1), Value::I64(2)])),
            (r#"{"a": 2}"#, row.clone()),
            (r#"{"c": 1}"#, row),
            ("null", Value::from("")),
        ];
        for (text, value) in &different {
            assert!(!means(&json(text), value), "{text} {value:?}");
        }
    }
}
