//! `idl()`: the files that the service is declared in, as their texts stand.

use super::of_fields;
use crate::program::Program;
use crate::value::Value;

pub(super) fn idl(program: &Program) -> Value {
    let sources = &program.schema.sources;
    let root = sources.first().and_then(|source| source.paths.first());
    let files = sources.iter().flat_map(|source| {
        let text = || Value::from(&*source.text);
        let paths = source.paths.iter();
        paths.map(move |path| (Value::from(&**path), text()))
    });
    of_fields([
        ("root", root.map(|root| &**root).into()),
        ("files", Value::Map(files.collect())),
        ("service_name", (&*program.service().name).into()),
    ])
}
