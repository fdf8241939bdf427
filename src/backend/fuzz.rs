//! Fuzz targets for the parsers and writers that several kinds share.

use std::sync::Arc;

use super::format::Format;
use super::sql::{Style, scan};
use super::template::{Template, Verbatim};
use super::{file, http, memcached, mysql, postgres};
use crate::fuzzing::{FuzzInput, hold};
use crate::value::Value;

/// Columns, values, packets and files; the first byte chooses which.
pub(crate) fn stored(bytes: &[u8]) {
    let mut input = FuzzInput(bytes);
    match input.byte() % 7 {
        0 | 1 => postgres::fuzz::column(&mut input),
        2 => mysql::fuzz::column(&mut input),
        3 => file::fuzz::csv_file(&mut input),
        4 => file::fuzz::json_file(&input),
        5 => mysql::fuzz::packet(&mut input),
        _ => {
            let formats = [Format::Json, Format::Text, Format::I64, Format::Double];
            // Only checks that this returns.
            drop(
                input
                    .choose(&formats)
                    .decode(bytes::Bytes::copy_from_slice(input.0)),
            );
        }
    }
}

/// Templates, SQL, URLs, keys and addresses; the first byte chooses which.
pub(crate) fn asked(bytes: &[u8]) {
    let mut input = FuzzInput(bytes);
    match input.byte() % 8 {
        0 => template(&mut input),
        1 => sql(&input, Style::Numbered),
        2 => sql(&input, Style::Dollar),
        3 => sql(&input, Style::Question),
        4 | 5 => http::fuzz::target(&mut input),
        6 => memcached::fuzz::key(&input),
        _ => memcached::fuzz::address(&input),
    }
}

/// A template preceded by its length, then the value of all its parameters.
fn template(input: &mut FuzzInput<'_>) {
    let text = String::from_utf8_lossy(input.part()).into_owned();
    let mut params: Vec<Arc<str>> = Vec::new();
    let Ok(template) = Template::parse(&text, &mut params) else {
        return;
    };
    let value = String::from_utf8_lossy(input.0).into_owned();
    let values: Vec<Value> = params.iter().map(|_| Value::from(&*value)).collect();
    let mut out = Vec::new();
    let rendered = template.render(&values, &Verbatim, &mut out);
    hold(rendered.is_ok(), "text is allowed in every place", &text);
    let literals: usize = template.literals().map(str::len).sum();
    let places = template.positions().count();
    hold(
        out.len() == literals + places * value.len(),
        "nothing else is there",
        (text, out),
    );
    hold(
        template.params() == params,
        "all its parameters are known",
        params,
    );
}

fn sql(input: &FuzzInput<'_>, style: Style) {
    let text = String::from_utf8_lossy(input.0);
    match scan(&text, style) {
        Ok(statement) => {
            let known = |slot: &usize| *slot < statement.params.len();
            hold(
                statement.slots.iter().all(known),
                "each place has a parameter",
                &statement,
            );
            let used = |at: &usize| statement.slots.contains(at);
            let all = (0..statement.params.len()).collect::<Vec<_>>();
            hold(
                all.iter().all(used),
                "each parameter has a place",
                &statement,
            );
            hold(!statement.text.is_empty(), "there is a statement", &text);
        }
        Err(mistakes) => hold(
            !mistakes.is_empty(),
            "what is no statement has a reason",
            text,
        ),
    }
}
