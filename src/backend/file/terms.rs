//! Reads a lookup's keys `key`, `where`, `columns` and `rows`, and checks them against the columns of the table.
//!
//! A term is `column = "{param}"` or `column = literal`. Every mistake is reported, and for an unknown column the nearest
//! one is suggested.

use std::sync::Arc;

use super::find::{Columns, Find, Term, Want};
use super::key::key;
use super::loaded::Loaded;
use super::table::Table;
use crate::backend::{Compiled, Enums, rows::Rows};
use crate::config::{Place, Section};
use crate::diagnostic::{did_you_mean, list};
use crate::error::Code;
use crate::value::{FieldNames, Value};

/// Reads and compiles a lookup.
pub(super) fn read(loaded: &Arc<Loaded>, section: &mut Section<'_>) -> Option<Compiled<Find>> {
    let before = section.document().problems.len();
    let table = &loaded.table;
    let rows = Rows::read(section);
    let indexed = section.has("key");
    if indexed && section.has("where") {
        section.document().problem(
            section.place(),
            Code::ConfigClash,
            "both `key` and `where` are given",
            Some("`key` is indexed, `where` looks at every row; keep one".into()),
        );
    }
    let mut params = Vec::new();
    let mut terms = Vec::new();
    for name in ["key", "where"] {
        if let Some(inner) = section.section(name) {
            terms.extend(read_terms(table, inner, &mut params));
        }
    }
    if rows == Rows::Value && table.names.len() > 1 && !section.has("columns") {
        let example = format!("columns = [\"{}\"]", table.names[0]);
        section.missing("columns", &example);
    }
    let columns = read_columns(table, section);
    let enums = Enums::read(section, Enums::Number);
    if section.document().problems.len() > before {
        return None;
    }
    Some(Compiled {
        lookup: Find::new(loaded, terms, indexed, columns, rows),
        params,
        enums,
        yields: rows.yields(),
    })
}

/// The terms of a `key` or `where` table; parameters are added to `params`.
fn read_terms(table: &Table, mut section: Section<'_>, params: &mut Vec<Arc<str>>) -> Vec<Term> {
    let names = section.keys();
    if names.is_empty() {
        let column = table.names.first().map_or("column", |name| &**name);
        let help = format!("for example `{column} = \"{{param}}\"`");
        section.bad(section.place(), "no column is named here", Some(help));
    }
    let mut terms = Vec::new();
    for name in names {
        let name_place = section.place_of_name(&name);
        let Some((value, place)) = section.take_named(&name) else {
            continue;
        };
        let column = column(
            table,
            &name,
            name_place.as_ref().unwrap_or(&place),
            &section,
        );
        let value = section.to_value(&value, &place);
        let want = match &value {
            None => None,
            Some(Value::Text(text)) if text.as_str().contains(['{', '}']) => {
                param(text.as_str(), &place, &section, params)
            }
            Some(value) if key(value).is_some() => Some(Want::Literal(value.clone())),
            Some(other) => {
                let message = format!("a column can't equal {}", other.kind());
                let help = Some("a parameter, `\"{name}\"`, or one value".into());
                section.bad(&place, message, help);
                None
            }
        };
        if let (Some(column), Some(want)) = (column, want) {
            terms.push(Term {
                name: name.into(),
                column,
                want,
            });
        }
    }
    terms
}

/// The parameter that makes up the whole of `text`.
fn param(
    text: &str,
    place: &Place,
    section: &Section<'_>,
    params: &mut Vec<Arc<str>>,
) -> Option<Want> {
    let name = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    let Some(name) = name else {
        let message = format!("`{text}` is neither a parameter nor a plain value");
        let help = "a parameter is the whole value: `\"{name}\"`";
        section.bad(place, message, Some(help.into()));
        return None;
    };
    let at = params.iter().position(|have| &**have == name);
    Some(Want::Param(at.unwrap_or_else(|| {
        params.push(name.into());
        params.len() - 1
    })))
}

/// The choice of columns, if there is one.
fn read_columns(table: &Table, section: &mut Section<'_>) -> Option<Columns> {
    let (names, place) = section.strings("columns")?;
    if names.is_empty() {
        let help = Some("leave it out for all columns".into());
        section.bad(&place, "no column is named here", help);
    }
    let mut positions = Vec::new();
    for (name, place) in &names {
        let Some(at) = column(table, name, place, section) else {
            continue;
        };
        if positions.contains(&at) && !table.has_any_column() {
            let message = format!("the column `{name}` is listed twice");
            section
                .document()
                .problem(place, Code::ConfigClash, message, None);
        }
        positions.push(at);
    }
    let names = FieldNames::new(names.iter().map(|(name, _)| name.as_str()));
    Some(Columns { names, positions })
}

/// The index of the column called `name`; reported at `place` if there is none.
pub(super) fn column(
    table: &Table,
    name: &str,
    place: &Place,
    section: &Section<'_>,
) -> Option<usize> {
    if table.has_any_column() {
        return Some(0);
    }
    let at = table.names.position(name);
    if at.is_none() {
        unknown_column(&table.names, name, place, section);
    }
    at
}

/// Reports that there is no column called `name`.
pub(super) fn unknown_column(names: &FieldNames, name: &str, place: &Place, section: &Section<'_>) {
    let known = || names.iter().map(|name| &**name);
    let help = did_you_mean(name, known())
        .unwrap_or_else(|| format!("the file has {}", list(known().take(20))));
    section.document().problem(
        place,
        Code::ConfigUnknownName,
        format!("there is no column `{name}`"),
        Some(help),
    );
}
