//! Builds schemas and values from random bytes, so that a failing case shrinks to a short string of bytes.

use bytes::Bytes;

use super::sample::{field, list, map, set, struct_type};
use crate::idl::{Requiredness, Schema, StructId, StructKind, Type};
use crate::value::{Record, Value};

/// Random bytes, followed by zeros without end.
pub(super) struct Entropy<'a>(pub(super) &'a [u8]);

impl Entropy<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        byte
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn number(&mut self) -> i64 {
        let bytes = [(); 8].map(|()| self.byte());
        // Small and large numbers of both signs.
        i64::from_be_bytes(bytes) >> (8 * self.below(8))
    }

    fn text(&mut self) -> String {
        (0..self.below(20))
            .map(|_| char::from(self.byte()))
            .collect()
    }

    /// A new schema, and its last struct.
    pub(super) fn schema(&mut self) -> (Schema, StructId) {
        let mut schema = Schema::default();
        let id = self.struct_type(&mut schema, 4);
        (schema, id)
    }

    fn struct_type(&mut self, schema: &mut Schema, depth: u8) -> StructId {
        let kind = if self.below(4) == 1 {
            StructKind::Union
        } else {
            StructKind::Struct
        };
        let mut id = 0_i16;
        let few = self.below(6).max(u8::from(kind == StructKind::Union));
        let mut fields = Vec::new();
        for _ in 0..few {
            id += match self.below(8) {
                7 => 16 + i16::from(self.byte()),
                step => 1 + i16::from(step),
            };
            let mut field = field(id, &format!("field{id}"), self.ty(schema, depth));
            if kind == StructKind::Struct && self.below(3) == 1 {
                field.requiredness = Requiredness::Required;
            }
            fields.push(field);
        }
        schema
            .structs
            .push(struct_type("random.Struct", kind, fields));
        StructId(u32::try_from(schema.structs.len() - 1).expect("few structs"))
    }

    fn ty(&mut self, schema: &mut Schema, depth: u8) -> Type {
        match self.below(if depth == 0 { 9 } else { 14 }) {
            0 => Type::Bool,
            1 => Type::I8,
            2 => Type::I16,
            3 => Type::I32,
            4 => Type::I64,
            5 => Type::Double,
            6 => Type::String,
            7 => Type::Binary,
            8 => Type::Uuid,
            9 => list(self.ty(schema, depth - 1)),
            10 => set(self.ty(schema, depth - 1)),
            11 => map(self.ty(schema, depth - 1), self.ty(schema, depth - 1)),
            12 => Type::Any,
            _ => Type::Struct(self.struct_type(schema, depth - 1)),
        }
    }

    /// A value of `ty`.
    pub(super) fn value(&mut self, schema: &Schema, ty: &Type) -> Value {
        match ty {
            Type::Bool => Value::Bool(self.below(2) == 1),
            Type::I8 => Value::I64(self.number() >> 56),
            Type::I16 => Value::I64(self.number() >> 48),
            Type::I32 | Type::Enum(_) => Value::I64(self.number() >> 32),
            Type::I64 => Value::I64(self.number()),
            // Halves of integers are exact, and never NaN.
            #[expect(clippy::cast_precision_loss, reason = "any double will do")]
            Type::Double => Value::Double(self.number() as f64 / 2.0),
            Type::String => self.text().into(),
            Type::Binary => Value::Bytes(Bytes::from(self.text().into_bytes())),
            Type::Uuid => Value::Uuid([(); 16].map(|()| self.byte())),
            Type::Struct(id) => self.record(schema, *id),
            Type::List(of) | Type::Set(of) => {
                let count = self.count();
                Value::List((0..count).map(|_| self.value(schema, of)).collect())
            }
            Type::Map(key, value) => {
                let count = self.count();
                let pair = |_| (self.value(schema, key), self.value(schema, value));
                Value::Map((0..count).map(pair).collect())
            }
            Type::Any => self.any(schema, 3),
        }
    }

    /// A value for `tributary.Value`, not null.
    fn any(&mut self, schema: &Schema, depth: u8) -> Value {
        let ty = match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => Type::Bool,
            1 => Type::I64,
            2 => Type::Double,
            3 => Type::String,
            4 => Type::Binary,
            5 => {
                let count = self.count();
                let items = (0..count).map(|_| self.any_or_null(schema, depth - 1));
                return Value::List(items.collect());
            }
            _ => {
                let count = self.count();
                let pairs = (0..count).map(|_| {
                    let key = self.text();
                    (key.into(), self.any_or_null(schema, depth - 1))
                });
                return Value::Map(pairs.collect());
            }
        };
        self.value(schema, &ty)
    }

    fn any_or_null(&mut self, schema: &Schema, depth: u8) -> Value {
        match self.below(5) {
            4 => Value::Null,
            _ => self.any(schema, depth),
        }
    }

    /// A count, rarely too large for the short form of compact.
    fn count(&mut self) -> u8 {
        match self.below(16) {
            15 => 10 + self.below(10),
            few => few % 4,
        }
    }

    /// A record of `id`.
    pub(super) fn record(&mut self, schema: &Schema, id: StructId) -> Value {
        let of = schema.get(id);
        let mut values = vec![Value::Null; of.fields.len()];
        let chosen = usize::from(self.byte());
        for (at, field) in of.fields.iter().enumerate() {
            let set = match of.kind {
                StructKind::Union => at == chosen % of.fields.len(),
                _ => field.requiredness == Requiredness::Required || self.below(4) > 0,
            };
            if set {
                values[at] = self.value(schema, &field.ty);
            }
        }
        Value::Record(Record {
            names: of.names.clone(),
            values,
        })
    }
}
