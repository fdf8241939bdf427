//! Finds the IDL, the service and the methods that a configuration names.
//!
//! Used for the server's own IDL and for those of Thrift backends. A wrong name is reported at its key; the problems of the
//! IDL itself are returned as they are.

use std::path::Path;

use super::section::{Document, Place};
use crate::diagnostic::{Problem, list, suggest};
use crate::error::Code;
use crate::idl::{self, Schema, Service};

/// Reads the IDL at `path`, which the key at `place` names. Returns the problems of the IDL itself.
pub(crate) fn read_idl(
    document: &Document,
    path: &Path,
    place: &Place,
) -> (Option<Schema>, Vec<Problem>) {
    document.reads(path);
    if !path.is_file() {
        document.problem(
            place,
            Code::ConfigFile,
            format!("there is no file `{}`", path.display()),
            Some("the path is relative to this file's folder".into()),
        );
        return (None, Vec::new());
    }
    match idl::load_noting(path, &document.idl_path.borrow(), &document.files) {
        Ok(mut schema) => {
            for warning in std::mem::take(&mut schema.warnings) {
                document.warnings.push(warning);
            }
            for source in &schema.sources {
                document.note(source.text.as_bytes());
            }
            (Some(schema), Vec::new())
        }
        Err(problems) => (None, problems),
    }
}

/// The service that `wanted` names, or the only service of the IDL's own file. `table` is the place to report at if there
/// is no such key.
pub(crate) fn pick_service(
    document: &Document,
    schema: &Schema,
    wanted: Option<&(String, Place)>,
    table: &Place,
) -> Option<usize> {
    let names = || schema.services.iter().map(|service| &*service.name);
    if let Some((wanted, place)) = wanted {
        let found = names().position(|name| name == wanted);
        if found.is_none() {
            let help = suggest(wanted, names(), || "the IDL declares no service".into());
            let message = format!("the IDL has no service `{wanted}`");
            document.problem(place, Code::ConfigUnknownName, message, Some(help));
        }
        return found;
    }
    let own = schema
        .sources
        .first()
        .map(|source| source.name.trim_end_matches(".thrift"));
    let of_own_file: Vec<usize> = (0..schema.services.len())
        .filter(|&at| own.is_some_and(|own| *schema.services[at].file == *own))
        .collect();
    if let [only] = of_own_file[..] {
        return Some(only);
    }
    let (message, help) = if of_own_file.is_empty() {
        (
            "the IDL declares no service".to_owned(),
            "add a `service` to the IDL".to_owned(),
        )
    } else {
        (
            format!("the IDL declares {} services", of_own_file.len()),
            format!(
                "add `service = \"...\"` to `{}`; available: {}",
                written(table),
                list(of_own_file.iter().map(|&at| &*schema.services[at].name))
            ),
        )
    };
    document.problem(table, Code::ConfigMissingKey, message, Some(help));
    None
}

/// The header of a table as the file has it: `[[services]]` for `services[1]`.
fn written(table: &Place) -> String {
    match table.key.split_once('[') {
        Some((array, _)) => format!("[[{array}]]"),
        None => format!("[{}]", table.key),
    }
}

/// Reports that `service` has no method `name`.
pub(crate) fn unknown_method(document: &Document, service: &Service, name: &str, place: &Place) {
    let names = service.methods.iter().map(|method| &*method.name);
    let message = format!("service `{}` has no method `{name}`", service.name);
    let help = suggest(name, names, || "the service has no methods".into());
    document.problem(place, Code::ConfigUnknownName, message, Some(help));
}
