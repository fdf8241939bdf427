//! Writes JSON in lines, each with the type that the IDL gives to what begins there.

use serde_json::{Value as Json, json};

use crate::idl::{Schema, Type};

/// The rest is left out.
const LINES_MAX: usize = 1000;
/// A longer text is cut.
const TEXT_CHARS_MAX: usize = 1000;

/// The lines of `json`, which is of type `ty`: depth, text and type of each.
pub(super) fn lines(schema: &Schema, ty: &Type, json: &Json) -> Vec<Json> {
    let mut lines = Lines {
        schema,
        lines: Vec::new(),
    };
    lines.value((0, String::new()), Some(ty), json, "");
    if lines.lines.len() >= LINES_MAX {
        lines.lines.truncate(LINES_MAX);
        lines.lines.push(json!([0, "…", "the rest is left out"]));
    }
    lines.lines
}

struct Lines<'s> {
    schema: &'s Schema,
    lines: Vec<Json>,
}

impl Lines<'_> {
    /// Adds a value. `name` is what comes before it, `end` what comes after it.
    fn value(&mut self, (depth, name): (usize, String), ty: Option<&Type>, json: &Json, end: &str) {
        if self.lines.len() >= LINES_MAX {
            return;
        }
        let described = ty.map(|ty| self.schema.describe(ty)).unwrap_or_default();
        match json {
            Json::Object(fields) if !fields.is_empty() => {
                self.lines
                    .push(json!([depth, format!("{name}{{"), described]));
                let last = fields.len() - 1;
                for (at, (key, value)) in fields.iter().enumerate() {
                    let of = match ty {
                        Some(Type::Struct(id)) => {
                            let field = self.schema.get(*id).field(key);
                            field.map(|(_, field)| &field.ty)
                        }
                        Some(Type::Map(_, of)) => Some(&**of),
                        _ => None,
                    };
                    let end = if at == last { "" } else { "," };
                    self.value((depth + 1, format!("{}: ", json!(key))), of, value, end);
                }
                self.lines.push(json!([depth, format!("}}{end}"), ""]));
            }
            Json::Array(items) if !items.is_empty() => {
                self.lines
                    .push(json!([depth, format!("{name}["), described]));
                let of = match ty {
                    Some(Type::List(of) | Type::Set(of)) => Some(&**of),
                    _ => None,
                };
                let last = items.len() - 1;
                for (at, item) in items.iter().enumerate() {
                    let end = if at == last { "" } else { "," };
                    self.value((depth + 1, String::new()), of, item, end);
                }
                self.lines.push(json!([depth, format!("]{end}"), ""]));
            }
            leaf => {
                let mut text = leaf.to_string();
                if let Some((at, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
                    text.truncate(at);
                    text.push('…');
                }
                self.lines
                    .push(json!([depth, format!("{name}{text}{end}"), described]));
            }
        }
    }
}
