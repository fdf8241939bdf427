//! Writes a [`Value`] as JSON.
//!
//! Values without a JSON form become text or an object: `"NaN"`, `"inf"`, a UUID, and `{"hex": ".."}` for bytes that are
//! not UTF-8. A map whose keys are not all text becomes an array of `[key, value]`.

use serde_json::{Value as Json, json};

use crate::value::{Value, hex, uuid_text};

impl Value {
    /// The value as JSON. Without an IDL, an enum stays a number.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(bit) => Json::from(*bit),
            Value::I64(number) => Json::from(*number),
            Value::Double(number) if number.is_finite() => Json::from(*number),
            Value::Double(number) => Json::from(number.to_string()),
            Value::Text(text) => Json::from(text.as_str()),
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Json::from(text),
                Err(_) => json!({ "hex": hex(bytes) }),
            },
            Value::Uuid(uuid) => Json::from(uuid_text(uuid)),
            Value::Enum(of) => match &of.name {
                Some(name) => Json::from(&**name),
                None => Json::from(of.number),
            },
            Value::List(items) => items.iter().map(Value::to_json).collect(),
            Value::Map(pairs) => map(pairs),
            Value::Record(record) => {
                let pairs = record.names.iter().zip(&record.values);
                let set = pairs.filter(|(_, value)| !value.is_null());
                let fields = set.map(|(name, value)| (name.to_string(), value.to_json()));
                Json::Object(fields.collect())
            }
        }
    }
}

fn map(pairs: &[(Value, Value)]) -> Json {
    let names: Option<Vec<&str>> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    match names {
        Some(names) => {
            let values = pairs.iter().map(|(_, value)| value.to_json());
            let names = names.into_iter().map(ToOwned::to_owned);
            Json::Object(names.zip(values).collect())
        }
        None => pairs
            .iter()
            .map(|(key, value)| json!([key.to_json(), value.to_json()]))
            .collect(),
    }
}
