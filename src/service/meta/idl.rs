//! `idl()`: the text of the files that declare the service.

use super::value::{record, with_others};
use crate::program::ServedService;
use crate::value::Value;

/// That of the first of `services`, with those of the others in it.
pub(super) fn idl(services: &[ServedService]) -> Value {
    let first = services.first().map_or(Value::Null, of_service);
    with_others(first, services.iter().skip(1).map(of_service))
}

fn of_service(of: &ServedService) -> Value {
    let sources = &of.schema.sources;
    let root = sources.first().and_then(|source| source.paths.first());
    let files = sources.iter().flat_map(|source| {
        let text = || Value::from(&*source.text);
        let paths = source.paths.iter();
        paths.map(move |path| (Value::from(&**path), text()))
    });
    record([
        ("root", root.map(|root| &**root).into()),
        ("files", Value::Map(files.collect())),
        ("service_name", (&*of.name).into()),
    ])
}
