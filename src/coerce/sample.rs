//! Makes a sample value of a type as JSON: for a `file` backend, and as an example of a parameter.
//!
//! A struct that contains itself ends where it may: an optional field is omitted, a list is empty.

use serde_json::{Map, Value as Json, json};

use crate::idl::{Field, Requiredness, Schema, StructId, StructKind, Type};

/// Structs that need each other many times over would otherwise grow exponentially.
const VALUES_MAX: usize = 2000;
/// Deeper structs are omitted where they may be.
const DEPTH_MAX: usize = 12;

/// Makes the values of one sample.
pub struct Sampler<'s> {
    schema: &'s Schema,
    /// The structs around the value that is made.
    inside: Vec<StructId>,
    left: usize,
}

impl<'s> Sampler<'s> {
    /// For the types of `schema`.
    pub fn new(schema: &'s Schema) -> Self {
        Sampler {
            schema,
            inside: Vec::new(),
            left: VALUES_MAX,
        }
    }

    /// A row with these fields of a struct.
    pub fn row(&mut self, id: StructId, fields: &[&Field]) -> Json {
        self.inside.push(id);
        let mut row = Map::new();
        for field in fields {
            if self.is_worth(field) {
                row.insert(field.name.to_string(), self.value(&field.name, &field.ty));
            }
        }
        self.inside.pop();
        // A table needs a column.
        if let (true, Some(field)) = (row.is_empty(), fields.first()) {
            row.insert(field.name.to_string(), Json::Null);
        }
        Json::Object(row)
    }

    /// A value of this type; text is `name`.
    pub fn value(&mut self, name: &str, ty: &Type) -> Json {
        if self.left == 0 {
            return Json::Null;
        }
        self.left -= 1;
        match ty {
            Type::Bool => json!(true),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => json!(1),
            Type::Double => json!(1.5),
            Type::String | Type::Binary | Type::Any => json!(name),
            Type::Uuid => json!("00000000-0000-0000-0000-000000000001"),
            Type::Enum(of) => match of.values.first() {
                Some((name, _)) => json!(&**name),
                None => json!(0),
            },
            Type::Struct(id) => self.structure(*id),
            Type::List(of) | Type::Set(of) => {
                if self.ends(of) {
                    return json!([]);
                }
                json!([self.value(name, of)])
            }
            Type::Map(key, of) => match self.key(name, key) {
                Some(key) if !self.ends(of) => {
                    let value = self.value(name, of);
                    Json::Object(Map::from_iter([(key, value)]))
                }
                _ => json!({}),
            },
        }
    }

    fn structure(&mut self, id: StructId) -> Json {
        let of = self.schema.get(id);
        let mut fields: Vec<&Field> = of.fields.iter().collect();
        if of.kind == StructKind::Union {
            // A union has one field; one that does not lead back here.
            let best = fields.iter().position(|field| !self.ends(&field.ty));
            fields = best.map(|at| fields[at]).into_iter().collect();
        }
        let mut object = Map::new();
        self.inside.push(id);
        for field in fields {
            if self.is_worth(field) {
                object.insert(field.name.to_string(), self.value(&field.name, &field.ty));
            }
        }
        self.inside.pop();
        Json::Object(object)
    }

    /// Whether a struct's field is part of the sample.
    fn is_worth(&self, field: &Field) -> bool {
        let required = field.requiredness == Requiredness::Required && field.default.is_none();
        required || !self.ends(&field.ty)
    }

    /// Whether a value of this type had better not be made here.
    fn ends(&self, ty: &Type) -> bool {
        match ty {
            Type::Struct(id) => self.inside.contains(id) || self.inside.len() >= DEPTH_MAX,
            _ => false,
        }
    }

    /// The sample as the name of a JSON object's field.
    fn key(&mut self, name: &str, ty: &Type) -> Option<String> {
        match ty {
            Type::List(_) | Type::Set(_) | Type::Map(..) | Type::Struct(_) | Type::Any => None,
            ty => match self.value(name, ty) {
                Json::String(text) => Some(text),
                other => Some(other.to_string()),
            },
        }
    }
}
