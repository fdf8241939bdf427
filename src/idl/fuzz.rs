//! Fuzz target: any text as an IDL either loads into a consistent schema or is refused with problems.

use super::{Schema, Type, load_from};
use crate::fuzzing::{hold, hold_type};

/// The most problems reported for one IDL.
const PROBLEMS_MAX: usize = 100;
/// How many of them are rendered: that takes longer than all the rest.
const DRAWN_MAX: usize = 2;

/// The text of two files, separated by a byte 1. Every include finds the second.
pub(crate) fn idl(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (own, included) = text.split_once('\u{1}').unwrap_or((&text, ""));
    let read = |name: &str| match name {
        "fuzz.thrift" => Some(own.to_owned()),
        name if name.contains("tributary") => None,
        _ => Some(included.to_owned()),
    };
    match load_from("fuzz.thrift", &read) {
        Ok(schema) => hold_schema(&schema),
        Err(problems) => {
            hold(!problems.is_empty(), "what does not load has a reason", own);
            hold(
                problems.len() <= PROBLEMS_MAX,
                "problems are cut off",
                problems.len(),
            );
            for problem in &problems {
                let reported = !problem.message.is_empty() && problem.help.is_some();
                hold(
                    reported && problem.line().is_some(),
                    "a problem is reported",
                    problem,
                );
            }
            for problem in problems.iter().take(DRAWN_MAX) {
                hold(
                    !problem.render(false).is_empty(),
                    "a problem is drawn",
                    problem,
                );
            }
        }
    }
}

/// Checks what users of a schema rely on.
fn hold_schema(schema: &Schema) {
    for of in &schema.structs {
        hold(
            of.fields.len() == of.names.len(),
            "each field has a name",
            &of.name,
        );
        for (at, field) in of.fields.iter().enumerate() {
            hold(
                of.position_of_id(field.id) == Some(at),
                "ids are different",
                &field.name,
            );
            let found = of.field(&field.name).map(|(at, _)| at);
            hold(found == Some(at), "names are different", &field.name);
            hold_known(schema, &field.ty);
            if let Some(default) = &field.default {
                hold_type(schema, &field.ty, default);
            }
        }
    }
    for service in &schema.services {
        for method in &service.methods {
            let found = service.method(&method.name).map(|found| &found.name);
            hold(
                found == Some(&method.name),
                "methods are different",
                &method.name,
            );
            schema.get(method.params);
            method.result.iter().for_each(|ty| hold_known(schema, ty));
            method
                .throws
                .iter()
                .for_each(|throw| hold_known(schema, &throw.ty));
        }
    }
}

fn hold_known(schema: &Schema, ty: &Type) {
    hold(!schema.describe(ty).is_empty(), "every type is known", ty);
}
