//! A schema with every construct of the IDL, built by hand.

use std::sync::Arc;

use crate::idl::{EnumType, Field, Requiredness, Schema, StructId, StructKind, StructType, Type};
use crate::value::{FieldNames, Record, Value};

pub(super) const POINT: StructId = StructId(0);
pub(super) const CHOICE: StructId = StructId(1);
pub(super) const ALL: StructId = StructId(2);
pub(super) const ECHO: StructId = StructId(3);
pub(super) const NODE: StructId = StructId(4);
pub(super) const EMPTY: StructId = StructId(5);
pub(super) const ONE_OF_EACH: StructId = StructId(6);

/// A field without a default.
pub(super) fn field(id: i16, name: &str, ty: Type) -> Field {
    Field {
        id,
        name: name.into(),
        requiredness: Requiredness::Default,
        ty,
        default: None,
        doc: None,
    }
}

pub(super) fn struct_type(name: &str, kind: StructKind, fields: Vec<Field>) -> StructType {
    StructType {
        name: name.into(),
        kind,
        names: FieldNames::new(fields.iter().map(|field| Arc::clone(&field.name))),
        fields,
        doc: None,
    }
}

pub(super) fn list(of: Type) -> Type {
    Type::List(Box::new(of))
}

pub(super) fn set(of: Type) -> Type {
    Type::Set(Box::new(of))
}

pub(super) fn map(key: Type, value: Type) -> Type {
    Type::Map(Box::new(key), Box::new(value))
}

/// A record with these values by name; other fields are null.
pub(super) fn record(schema: &Schema, id: StructId, values: &[(&str, Value)]) -> Value {
    let of = schema.get(id);
    let mut record = Record {
        names: of.names.clone(),
        values: vec![Value::Null; of.fields.len()],
    };
    for (name, value) in values {
        record.values[of.names.position(name).expect("a field")] = value.clone();
    }
    Value::Record(record)
}

fn color() -> Type {
    let values = vec![("RED".into(), 1), ("GREEN".into(), 5)];
    Type::Enum(Arc::new(EnumType {
        name: "golden.Color".into(),
        values,
    }))
}

/// The last two fields are not declared in the order of their ids.
fn all_fields(sorted: bool) -> Vec<Field> {
    let mut fields = vec![
        field(1, "yes", Type::Bool),
        field(2, "no", Type::Bool),
        field(3, "small", Type::I8),
        field(4, "short_", Type::I16),
        field(5, "int_", Type::I32),
        field(6, "long_", Type::I64),
        field(7, "real", Type::Double),
        field(8, "text", Type::String),
        field(9, "raw", Type::Binary),
        field(10, "color", color()),
        field(11, "point", Type::Struct(POINT)),
        field(12, "bits", list(Type::Bool)),
        field(13, "numbers", set(Type::I32)),
        field(14, "counts", map(Type::String, Type::I64)),
        field(15, "points", list(Type::Struct(POINT))),
        field(16, "choice", Type::Struct(CHOICE)),
        field(40, "lists", map(Type::I32, list(Type::String))),
        field(17, "empty_", map(Type::String, Type::String)),
    ];
    if sorted {
        fields.sort_by_key(|field| field.id);
    }
    fields
}

/// The schema. `sorted` puts the fields of `All` in the order of their ids, which differs from the declared order.
pub(super) fn schema(sorted: bool) -> Schema {
    let mut x = field(1, "x", Type::I32);
    x.requiredness = Requiredness::Required;
    let mut y = field(2, "y", Type::I32);
    y.requiredness = Requiredness::Optional;
    let mut hue = field(2, "hue", Type::String);
    hue.default = Some("blue".into());
    let node = Type::Struct(NODE);
    Schema {
        structs: vec![
            struct_type("golden.Point", StructKind::Struct, vec![x, y]),
            struct_type(
                "golden.Choice",
                StructKind::Union,
                vec![
                    field(1, "text", Type::String),
                    field(2, "number", Type::I64),
                ],
            ),
            struct_type("golden.All", StructKind::Struct, all_fields(sorted)),
            struct_type(
                "golden.Golden.echo params",
                StructKind::Struct,
                vec![field(1, "all", Type::Struct(ALL)), field(2, "n", Type::I32)],
            ),
            struct_type(
                "golden.Node",
                StructKind::Struct,
                vec![
                    field(1, "next", node.clone()),
                    field(2, "children", list(node)),
                ],
            ),
            struct_type("golden.Empty", StructKind::Struct, vec![]),
            struct_type(
                "golden.OneOfEach",
                StructKind::Struct,
                vec![
                    field(1, "number", Type::I32),
                    hue,
                    field(3, "uuid", Type::Uuid),
                    field(4, "empties", list(Type::Struct(EMPTY))),
                    field(5, "texts", list(Type::String)),
                    field(6, "counts", map(Type::String, Type::I64)),
                    field(7, "bit", Type::Bool),
                    field(8, "choice", Type::Struct(CHOICE)),
                    field(9, "short_", Type::I16),
                ],
            ),
        ],
        ..Schema::default()
    }
}

/// The value in the recorded messages of the clients.
pub(super) fn all(schema: &Schema) -> Value {
    let point = |values: &[(&str, Value)]| record(schema, POINT, values);
    record(
        schema,
        ALL,
        &[
            ("yes", true.into()),
            ("no", false.into()),
            ("small", (-3).into()),
            ("short_", (-300).into()),
            ("int_", 70_000.into()),
            ("long_", (-5_000_000_000).into()),
            ("real", 1.5.into()),
            ("text", "h\u{e9}llo".into()),
            ("raw", Value::Bytes(bytes::Bytes::from_static(&[0, 0xff]))),
            ("color", 5.into()),
            ("point", point(&[("x", 1.into())])),
            ("bits", vec![true, false].into()),
            ("numbers", vec![7].into()),
            ("counts", Value::Map(vec![("a".into(), 1.into())])),
            (
                "points",
                Value::List(vec![
                    point(&[("x", (-1).into()), ("y", 2.into())]),
                    point(&[("x", 0.into())]),
                ]),
            ),
            ("choice", record(schema, CHOICE, &[("number", 9.into())])),
            (
                "lists",
                Value::Map(vec![(300.into(), vec!["x", ""].into())]),
            ),
            ("empty_", Value::Map(vec![])),
        ],
    )
}
