//! The keys of a batch: by what they are compared, and the array in which they are sent.
//!
//! A row belongs to the lookups with its key. Integers are compared as numbers, all other keys as text.

use tokio_postgres::types::{Kind, Type};

use super::encode::{self, integers, quote};
use crate::backend::LookupError;
use crate::value::{IntegerText, Text, Value, uuid_text};

/// A key, as it is compared with others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum BatchKey {
    /// Of an integer type.
    Number(i64),
    Text(Text),
}

impl BatchKey {
    /// The key of type `ty` that a lookup asks for; `None` is null.
    pub(super) fn asked(value: &Value, ty: &Type) -> Result<Option<Self>, LookupError> {
        if let Value::I64(number) = value
            && integers(ty).is_some_and(|range| range.contains(number))
        {
            // The usual case.
            return Ok(Some(BatchKey::Number(*number)));
        }
        let text = encode::text(value, ty)?;
        Ok(text.map(|text| BatchKey::of_text(text.into(), ty)))
    }

    /// The key of type `ty` that a row holds; `None` if no key has such a value.
    pub(super) fn stored(value: &Value, ty: &Type) -> Option<Self> {
        Some(match value {
            Value::I64(number) if integers(ty).is_some() => BatchKey::Number(*number),
            Value::I64(number) => BatchKey::Text(number.to_string().into()),
            Value::Text(text) => BatchKey::of_text(text.clone(), ty),
            Value::Uuid(uuid) => BatchKey::Text(uuid_text(uuid).into()),
            _ => return None,
        })
    }

    fn of_text(text: Text, ty: &Type) -> Self {
        if integers(ty).is_some()
            && let Ok(number) = text.as_str().parse::<i64>()
            && number.to_string() == text.as_str()
        {
            return BatchKey::Number(number);
        }
        BatchKey::Text(if *ty == Type::BPCHAR {
            // Spaces pad a `char(n)`.
            text.as_str().trim_end_matches(' ').into()
        } else {
            text
        })
    }
}

/// The keys in the text form of an array.
pub(super) fn array(keys: &[BatchKey]) -> String {
    let mut text = String::with_capacity(8 * keys.len() + 2);
    text.push('{');
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match key {
            BatchKey::Number(number) => text.push_str(IntegerText::new(*number).as_str()),
            BatchKey::Text(key) => quote(key.as_str(), &mut text),
        }
    }
    text.push('}');
    text
}

/// Whether equal values of `ty` make equal keys.
pub(super) fn is_exact(ty: &Type) -> bool {
    match ty.kind() {
        Kind::Enum(_) => true,
        Kind::Domain(base) => is_exact(base),
        _ => matches!(
            *ty,
            Type::INT2
                | Type::INT4
                | Type::INT8
                | Type::OID
                | Type::TEXT
                | Type::VARCHAR
                | Type::BPCHAR
                | Type::NAME
                | Type::UUID
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ty: &Type, asked: impl Into<Value>, stored: impl Into<Value>, equal: bool) {
        let asked = BatchKey::asked(&asked.into(), ty).expect("a key");
        assert_eq!(asked == BatchKey::stored(&stored.into(), ty), equal);
        assert!(asked.is_some());
    }

    #[test]
    fn a_row_has_the_key_that_was_asked_for_whatever_their_types() {
        check(&Type::INT4, 7_i64, 7_i64, true);
        check(&Type::INT8, "7", 7_i64, true);
        check(&Type::INT8, Value::Double(7.0), "7", true);
        check(&Type::OID, 7_i64, 8_i64, false);
        check(&Type::INT2, 7_i64, "07", false);
        check(&Type::TEXT, 7_i64, 7_i64, true);
        check(&Type::TEXT, "7", 7_i64, true);
        check(&Type::TEXT, "07", 7_i64, false);
        check(&Type::TEXT, "a ", "a", false);
        check(&Type::BPCHAR, "a", "a  ", true);
        let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let stored = crate::value::parse_uuid(uuid).expect("a uuid");
        check(&Type::UUID, uuid, Value::Uuid(stored), true);
    }

    #[test]
    fn a_number_beyond_its_type_is_no_key() {
        assert!(BatchKey::asked(&Value::I64(1 << 31), &Type::INT4).is_err());
        let null = BatchKey::asked(&Value::Null, &Type::INT4).expect("null");
        assert_eq!(null, None);
    }

    #[test]
    fn keys_are_an_array() {
        let text = |text: &str| BatchKey::Text(text.into());
        let numbers = [7, i64::MIN].map(BatchKey::Number);
        let keys = [&numbers[..], &[text(r#"a"b\"#), text("")]].concat();
        assert_eq!(array(&keys), r#"{7,-9223372036854775808,"a\"b\\",""}"#);
        assert_eq!(array(&[]), "{}");
    }
}
