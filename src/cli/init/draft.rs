//! Derives a view and its lookups from a method: from its parameters and the type of its result.
//!
//! In a struct, each field that is a struct, or a list or set of structs, gets a lookup of its own, since such fields mostly
//! come from tables of their own. One more lookup fills the remaining fields, or the only remaining field. Any other result is
//! the value of one lookup.

use std::collections::HashSet;

use serde_json::json;

use crate::coerce::Sampler;
use crate::idl::{Field, Method, Requiredness, Schema, StructId, StructKind, Type};

/// What a lookup answers: the word for `rows` and how its value is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// One row, whose columns are the fields of a struct.
    One,
    /// A list of such rows.
    Many,
    /// The only column of one row.
    Value,
}

impl Rows {
    /// The word in the configuration.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Rows::One => "one",
            Rows::Many => "many",
            Rows::Value => "value",
        }
    }
}

/// A lookup of a method's view.
pub(super) struct Draft {
    /// Its name under `[lookups]`, which no other lookup has.
    pub(super) name: String,
    /// Its name in the view.
    pub(super) used_as: String,
    /// Its columns become fields of the reply itself.
    pub(super) into_reply: bool,
    pub(super) required: bool,
    pub(super) rows: Rows,
    /// The parameters that are columns of the answer.
    pub(super) key: Vec<String>,
    pub(super) columns: Vec<String>,
    /// The name that a table with such rows probably has.
    pub(super) table: String,
    /// The rows of its sample data.
    pub(super) sample: serde_json::Value,
}

/// Makes the lookups of all methods, with names that differ.
pub(super) struct Drafts<'s> {
    schema: &'s Schema,
    names: HashSet<String>,
}

impl<'s> Drafts<'s> {
    pub(super) fn new(schema: &'s Schema) -> Self {
        Drafts {
            schema,
            names: HashSet::new(),
        }
    }

    /// The lookups of the method's view.
    pub(super) fn of(&mut self, method: &Method) -> Vec<Draft> {
        let name = &*method.name;
        match &method.result {
            None => vec![self.value(name, "done", &json!(true))],
            Some(Type::Struct(id)) if self.is_row(*id) => self.of_struct(method, *id),
            Some(Type::Struct(id)) if self.schema.get(*id).kind == StructKind::Struct => Vec::new(),
            Some(ty) => vec![match self.rows_of(ty) {
                Some(rows) => self.row(method, name, rows, &|_| true),
                None => {
                    let sample = Sampler::new(self.schema).value(name, ty);
                    let mut draft = self.value(name, "value", &sample);
                    draft.into_reply = matches!(ty, Type::Struct(_));
                    draft
                }
            }],
        }
    }

    fn of_struct(&mut self, method: &Method, id: StructId) -> Vec<Draft> {
        let schema = self.schema;
        let of = schema.get(id);
        let mut drafts = Vec::new();
        let mut own = HashSet::new();
        for field in of.fields.iter().filter(|field| !is_report(schema, field)) {
            let Some(rows) = self.rows_of(&field.ty) else {
                continue;
            };
            // A dot in `into` would mean a field of a field.
            if field.name.contains('.') {
                continue;
            }
            own.insert(&*field.name);
            let name = format!("{}_{}", method.name, field.name);
            let mut draft = self.row(method, &name, rows, &|_| true);
            draft.used_as = field.name.to_string();
            draft.required = is_needed(field);
            drafts.push(draft);
        }
        let is_rest = |field: &Field| !own.contains(&*field.name);
        let rest = of.fields.iter();
        let rest = rest.filter(|field| is_rest(field) && !is_report(schema, field));
        let rest: Vec<&Field> = rest.collect();
        match rest[..] {
            [] => {}
            [field] if !own.is_empty() && !field.name.contains('.') => {
                let sample = Sampler::new(schema).value(&field.name, &field.ty);
                let name = format!("{}_{}", method.name, field.name);
                let mut draft = self.value(&name, &field.name, &sample);
                draft.used_as = field.name.to_string();
                draft.table = table(&field.name);
                draft.required = is_needed(field);
                drafts.push(draft);
            }
            _ => {
                let mut draft = self.row(method, &method.name, (Rows::One, id), &is_rest);
                draft.into_reply = true;
                draft.required = own.is_empty() || rest.iter().any(|field| is_needed(field));
                while own.contains(&*draft.used_as) {
                    draft.used_as.push('_');
                }
                drafts.push(draft);
            }
        }
        drafts
    }

    /// A lookup whose rows are structs. `wanted` are the fields that it fills.
    fn row(
        &mut self,
        method: &Method,
        name: &str,
        (rows, id): (Rows, StructId),
        wanted: &dyn Fn(&Field) -> bool,
    ) -> Draft {
        let of = self.schema.get(id);
        let fields = of.fields.iter();
        let fields = fields.filter(|field| wanted(field) && !is_report(self.schema, field));
        let fields: Vec<&Field> = fields.collect();
        let params = &self.schema.get(method.params).fields;
        let is_key = |param: &&Field| {
            let same = |field: &&&Field| field.name == param.name && field.ty == param.ty;
            let sent = param.requiredness != Requiredness::Optional;
            sent && is_scalar(&param.ty) && fields.iter().any(|field| same(&field))
        };
        let key = params.iter().filter(is_key);
        let key = key.map(|param| param.name.to_string()).collect();
        let mut sampler = Sampler::new(self.schema);
        let sample = sampler.row(id, &fields);
        Draft {
            name: self.unique(name),
            used_as: method.name.to_string(),
            into_reply: false,
            required: false,
            rows,
            key,
            columns: fields.iter().map(|field| field.name.to_string()).collect(),
            table: table(&of.name),
            sample: json!([sample]),
        }
    }

    /// A lookup with one value.
    fn value(&mut self, name: &str, column: &str, sample: &serde_json::Value) -> Draft {
        Draft {
            name: self.unique(name),
            used_as: name.to_owned(),
            into_reply: false,
            required: false,
            rows: Rows::Value,
            key: Vec::new(),
            columns: vec![column.to_owned()],
            table: table(name),
            sample: json!([{ column: sample }]),
        }
    }

    /// What a lookup that fills such a field answers, if that is rows.
    fn rows_of(&self, ty: &Type) -> Option<(Rows, StructId)> {
        match ty {
            Type::Struct(id) if self.is_row(*id) => Some((Rows::One, *id)),
            Type::List(of) | Type::Set(of) => match **of {
                Type::Struct(id) if self.is_row(id) => Some((Rows::Many, id)),
                _ => None,
            },
            _ => None,
        }
    }

    fn is_row(&self, id: StructId) -> bool {
        let of = self.schema.get(id);
        of.kind == StructKind::Struct
            && of.fields.iter().any(|field| !is_report(self.schema, field))
    }

    /// `name`, or `name` with a number. Names become file names, which some file systems compare without case.
    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        let mut number = 2;
        while !self.names.insert(unique.to_lowercase()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        unique
    }
}

/// The server fills reports.
fn is_report(schema: &Schema, field: &Field) -> bool {
    let report = schema.standard.report;
    report.is_some_and(|report| field.ty == Type::Struct(report))
}

fn is_needed(field: &Field) -> bool {
    field.requiredness == Requiredness::Required && field.default.is_none()
}

/// Whether a parameter of this type can be a key.
pub(super) fn is_scalar(ty: &Type) -> bool {
    matches!(
        ty,
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::String | Type::Uuid
    )
}

/// `flights.FlightStatus` as a table: `flight_status`.
fn table(name: &str) -> String {
    let name = name.rsplit('.').next().unwrap_or(name);
    let mut table = String::new();
    let mut before_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before_lower {
            table.push('_');
        }
        before_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        table.push(letter.to_ascii_lowercase());
    }
    if RESERVED.contains(&&*table) {
        table.push('s');
    }
    table
}

/// Words that structs are called and that SQL reserves. Their plurals are free, and probable names of tables.
const RESERVED: &[&str] = &[
    "case",
    "check",
    "column",
    "constraint",
    "grant",
    "group",
    "index",
    "key",
    "limit",
    "option",
    "order",
    "procedure",
    "range",
    "reference",
    "row",
    "table",
    "trigger",
    "union",
    "user",
    "view",
    "window",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_names_of_tables() {
        for (name, expected) in [
            ("greet.Person", "person"),
            ("flights.FlightStatus", "flight_status"),
            ("HTTPRoute", "httproute"),
            ("getX", "get_x"),
            ("shop.Order", "orders"),
        ] {
            assert_eq!(table(name), expected);
        }
    }
}
