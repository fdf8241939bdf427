//! Decides whether a written constant fits a type other than a container or struct.
//!
//! An integer fits every numeric type whose range includes it, and 0 and 1 fit bool. Text fits string, binary and
//! uuid. Nothing else is converted.

use std::collections::HashSet;

use bytes::Bytes;

use super::super::schema::Type;
use super::super::syntax::ConstantKind;
use crate::value::Value;

/// The value of a constant before its type is known.
#[derive(Clone, Copy)]
pub(super) enum Literal<'a> {
    Bool(bool),
    Integer(i64),
    Double(f64),
    Text(&'a str),
    List,
    Map,
}

/// Why it does not fit.
pub(super) enum Misfit {
    /// It is of a different kind.
    Kind,
    /// It is of the right kind but out of range; the text says what would fit.
    Range(String),
}

impl<'a> Literal<'a> {
    /// A written constant; `None` if it is a name.
    pub(super) fn written(kind: &'a ConstantKind) -> Option<Self> {
        Some(match kind {
            ConstantKind::Bool(bit) => Literal::Bool(*bit),
            ConstantKind::Integer(number) => Literal::Integer(*number),
            ConstantKind::Double(number) => Literal::Double(*number),
            ConstantKind::Text(text) => Literal::Text(text),
            ConstantKind::List(_) => Literal::List,
            ConstantKind::Map(_) => Literal::Map,
            ConstantKind::Named(_) => return None,
        })
    }

    /// The value of an evaluated constant; `None` if it fits only its own type.
    pub(super) fn evaluated(value: &'a Value) -> Option<Self> {
        Some(match value {
            Value::Bool(bit) => Literal::Bool(*bit),
            Value::I64(number) => Literal::Integer(*number),
            Value::Double(number) => Literal::Double(*number),
            Value::Text(text) => Literal::Text(text.as_str()),
            Value::Bytes(bytes) => Literal::Text(std::str::from_utf8(bytes).ok()?),
            Value::Null
            | Value::Uuid(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Record(_)
            | Value::Enum(_) => return None,
        })
    }

    /// The value as messages describe it.
    pub(super) fn describe(self) -> String {
        match self {
            Literal::Bool(bit) => format!("`{bit}`"),
            Literal::Integer(number) => format!("the integer {number}"),
            Literal::Double(number) => format!("the double {number}"),
            Literal::Text(_) => "text".into(),
            Literal::List => "a list".into(),
            Literal::Map => "a map".into(),
        }
    }
}

/// Converts `given` to type `ty`, which is neither a container nor a struct. `known` are the numbers of the enum.
pub(super) fn scalar(
    given: Literal<'_>,
    ty: &Type,
    known: Option<&HashSet<i32>>,
) -> Result<Value, Misfit> {
    match (ty, given) {
        (Type::Bool, Literal::Bool(bit)) => Ok(Value::Bool(bit)),
        (Type::Bool, Literal::Integer(number)) => match number {
            0 | 1 => Ok(Value::Bool(number == 1)),
            _ => Err(Misfit::Range("write `true`, `false`, 1 or 0".into())),
        },
        (Type::I8 | Type::I16 | Type::I32 | Type::I64, Literal::Bool(bit)) => {
            Ok(Value::I64(i64::from(bit)))
        }
        (Type::I8, Literal::Integer(number)) => integer(number, i8::MIN, i8::MAX),
        (Type::I16, Literal::Integer(number)) => integer(number, i16::MIN, i16::MAX),
        (Type::I32, Literal::Integer(number)) => integer(number, i32::MIN, i32::MAX),
        (Type::I64, Literal::Integer(number)) => Ok(Value::I64(number)),
        #[expect(
            clippy::cast_precision_loss,
            reason = "every compiler of the IDL does so"
        )]
        (Type::Double, Literal::Integer(number)) => Ok(Value::Double(number as f64)),
        (Type::Double, Literal::Double(number)) => Ok(Value::Double(number)),
        (Type::String, Literal::Text(text)) => Ok(Value::from(text)),
        (Type::Binary, Literal::Text(text)) => {
            Ok(Value::Bytes(Bytes::copy_from_slice(text.as_bytes())))
        }
        (Type::Uuid, Literal::Text(text)) => uuid(text).map(Value::Uuid).ok_or_else(|| {
            Misfit::Range("a uuid looks like `123e4567-e89b-12d3-a456-426614174000`".into())
        }),
        (Type::Enum(of), Literal::Integer(number)) => {
            let narrow = i32::try_from(number).ok();
            if narrow
                .zip(known)
                .is_some_and(|(number, known)| known.contains(&number))
            {
                Ok(Value::I64(number))
            } else {
                Err(Misfit::Range(format!(
                    "`{}` has no value with that number",
                    of.name
                )))
            }
        }
        _ => Err(Misfit::Kind),
    }
}

fn integer<N: Into<i64>>(number: i64, low: N, high: N) -> Result<Value, Misfit> {
    let (low, high) = (low.into(), high.into());
    if (low..=high).contains(&number) {
        Ok(Value::I64(number))
    } else {
        Err(Misfit::Range(format!("the type holds {low} to {high}")))
    }
}

/// The bytes of a uuid in its usual form, braces allowed.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or(text);
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let digits: String = text.split('-').collect();
    if lengths != [8, 4, 4, 4, 12] || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_must_be_in_range() {
        let fits = |number, ty| scalar(Literal::Integer(number), &ty, None).is_ok();
        assert!(fits(-128, Type::I8) && !fits(128, Type::I8));
        assert!(fits(32767, Type::I16) && !fits(-32769, Type::I16));
        assert!(fits(-2_147_483_648, Type::I32) && !fits(2_147_483_648, Type::I32));
        assert!(fits(1, Type::Bool) && !fits(2, Type::Bool));
        assert!(fits(i64::MIN, Type::I64) && !fits(0, Type::String));
    }

    #[test]
    fn uuids_have_one_form() {
        let bytes = uuid("00112233-4455-6677-8899-aabbccddeeff").unwrap();
        assert_eq!(bytes[..3], [0x00, 0x11, 0x22]);
        assert_eq!(uuid("{00112233-4455-6677-8899-aabbccddeeff}"), Some(bytes));
        assert_eq!(uuid("00112233445566778899aabbccddeeff"), None);
        assert_eq!(uuid("+0112233-4455-6677-8899-aabbccddeeff"), None);
    }
}
