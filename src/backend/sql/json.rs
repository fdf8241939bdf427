//! Writes a list, map or record as JSON text, for SQL such as `json_each(:ids)`.
//!
//! Values that JSON cannot carry exactly (bytes, a double that is not a number, a map key that is not text) are
//! refused.

use serde_json::{Map, Number, Value as Json};

use crate::backend::LookupError;
use crate::error::Code;
use crate::value::{EnumValue, Value, uuid_text};

/// `value` as JSON text.
pub fn json_text(value: &Value) -> Result<String, LookupError> {
    to_json(value).map(|json| json.to_string())
}

fn to_json(value: &Value) -> Result<Json, LookupError> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(bit) => Json::Bool(*bit),
        Value::I64(number) => Json::from(*number),
        Value::Double(number) => Number::from_f64(*number)
            .map(Json::Number)
            .ok_or_else(|| cannot("a double that is not a number"))?,
        Value::Text(text) => Json::from(text.as_str()),
        Value::Bytes(_) => return Err(cannot("bytes")),
        Value::Uuid(uuid) => Json::String(uuid_text(uuid)),
        Value::Enum(of) => Json::from(enum_name(of)?),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(pairs) => {
            let mut map = Map::with_capacity(pairs.len());
            for (key, value) in pairs {
                map.insert(key_text(key)?, to_json(value)?);
            }
            Json::Object(map)
        }
        Value::Record(record) => {
            let mut map = Map::with_capacity(record.values.len());
            for (name, value) in record.names.iter().zip(&record.values) {
                map.insert(name.to_string(), to_json(value)?);
            }
            Json::Object(map)
        }
    })
}

fn key_text(key: &Value) -> Result<String, LookupError> {
    match key {
        Value::Text(text) => Ok(text.as_str().to_owned()),
        Value::I64(number) => Ok(number.to_string()),
        Value::Bool(bit) => Ok(bit.to_string()),
        Value::Uuid(uuid) => Ok(uuid_text(uuid)),
        Value::Enum(of) => enum_name(of).map(ToOwned::to_owned),
        other => Err(cannot(&format!("{} as a key", other.kind()))),
    }
}

/// The name of an enum value, where a statement reads it by name.
pub fn enum_name(of: &EnumValue) -> Result<&str, LookupError> {
    of.name()
        .map_err(|why| LookupError::new(Code::LookupBadParam, why))
}

fn cannot(what: &str) -> LookupError {
    LookupError::new(
        Code::LookupBadParam,
        format!("it becomes JSON, which can't carry {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_maps_become_json() {
        let map = Value::Map(vec![
            (Value::I64(7), Value::from(1.5)),
            ("é".into(), Value::Null),
        ]);
        let value = Value::List(vec![
            Value::from("a\"b"),
            true.into(),
            map,
            Value::Uuid([0x1f; 16]),
        ]);
        assert_eq!(
            json_text(&value).unwrap(),
            r#"["a\"b",true,{"7":1.5,"é":null},"1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f"]"#
        );
    }

    #[test]
    fn values_that_json_cannot_represent_are_refused() {
        let key = (Value::List(vec![]), Value::Null);
        for value in [
            Value::Bytes(vec![1].into()),
            Value::from(f64::NAN),
            Value::Map(vec![key]),
        ] {
            let err = json_text(&Value::List(vec![value])).unwrap_err();
            assert_eq!(err.code, Code::LookupBadParam);
        }
    }

    proptest::proptest! {
        /// A parameter bound as JSON is read back as it was.
        #[test]
        fn numbers_are_written_exactly(numbers: Vec<i64>, bits: Vec<u64>) {
            let doubles = bits.into_iter().map(f64::from_bits).filter(|double| double.is_finite());
            let items = numbers.into_iter().map(Value::from).chain(doubles.map(Value::from));
            let value = Value::List(items.collect());
            let text = json_text(&value).unwrap();
            proptest::prop_assert_eq!(Value::from_json(text.as_bytes()).unwrap(), value);
        }
    }
}
