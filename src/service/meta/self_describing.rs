//! Makes a typed value describe itself, by adding what only the IDL knows. Pure.
//!
//! Enum numbers become names, and maps whose keys are not strings become lists of pairs. Everything else stays: writing a uuid
//! or a struct into a `tributary.Value` is the codec's job.

use crate::idl::{Schema, Type};
use crate::value::Value;

/// `value`, which is of type `ty`, in a form that a client without the IDL can read.
pub(super) fn self_describing(schema: &Schema, ty: &Type, value: Value) -> Value {
    match (ty, value) {
        (Type::Enum(of), Value::I64(number)) => match of.name_of(number) {
            Some(name) => Value::from(&**name),
            None => Value::I64(number),
        },
        (Type::Struct(id), Value::Record(mut record)) => {
            let fields = &schema.get(*id).fields;
            for (field, slot) in fields.iter().zip(&mut record.values) {
                *slot = self_describing(schema, &field.ty, std::mem::take(slot));
            }
            Value::Record(record)
        }
        (Type::List(of) | Type::Set(of), Value::List(mut values)) => {
            for slot in &mut values {
                *slot = self_describing(schema, of, std::mem::take(slot));
            }
            Value::List(values)
        }
        (Type::Map(key, of), Value::Map(pairs)) => {
            let pairs = pairs.into_iter().map(|(name, value)| {
                let name = self_describing(schema, key, name);
                (name, self_describing(schema, of, value))
            });
            let pairs = pairs.collect();
            if **key == Type::String {
                Value::Map(pairs)
            } else {
                Value::entries(pairs)
            }
        }
        (_, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::schema;
    use crate::coerce::Coercion;

    const IDL: &str = r"
enum Color { RED = 1 }
struct Point { 1: i32 x, 2: optional Color color }
struct All {
  1: list<Color> colors
  2: map<string, Point> places
  3: map<i32, Color> by_number
  4: map<binary, bool> by_bytes
  5: uuid id
}
service S { All all() }
";

    /// JSON read as the type `All`, then made to describe itself.
    fn described(json: &str) -> Value {
        let schema = schema(IDL);
        let ty = schema.services[0].methods[0]
            .result
            .clone()
            .expect("a type");
        let value = Value::from_json(json.as_bytes()).expect("JSON");
        let typed = Coercion::new(&schema, false).value(value, &ty);
        self_describing(&schema, &ty, typed.expect("it fits"))
    }

    #[test]
    fn enum_numbers_become_names_where_the_idl_has_one() {
        let value = described(r#"{"colors": ["RED"], "places": {"a": {"x": 1, "color": "RED"}}}"#);
        assert_eq!(value.get("colors"), Some(&vec!["RED"].into()));
        let place = value.get("places").and_then(|places| places.get("a"));
        let place = place.expect("a place");
        assert_eq!(place.get("color"), Some(&"RED".into()));
        assert_eq!(place.get("x"), Some(&1.into()));
        let schema = schema(IDL);
        let Some(Type::Struct(id)) = schema.services[0].methods[0].result else {
            panic!("a struct")
        };
        let colors = &schema.get(id).fields[0].ty;
        let unknown = self_describing(&schema, colors, vec![9].into());
        assert_eq!(unknown, vec![9].into());
    }

    #[test]
    fn maps_with_other_keys_become_pairs_even_if_they_are_empty() {
        let value = described(r#"{"by_number": {"7": "RED"}, "by_bytes": {}}"#);
        let pair = Value::Map(vec![
            ("key".into(), 7.into()),
            ("value".into(), "RED".into()),
        ]);
        assert_eq!(value.get("by_number"), Some(&Value::List(vec![pair])));
        assert_eq!(value.get("by_bytes"), Some(&Value::List(Vec::new())));
        assert_eq!(
            value.get("places"),
            Some(&Value::Null),
            "unset fields stay unset"
        );
    }
}
