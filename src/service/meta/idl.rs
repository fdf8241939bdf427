//! `idl()`: the text of the files that declare the service.

use super::value::record;
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
    record([
        ("root", root.map(|root| &**root).into()),
        ("files", Value::Map(files.collect())),
        ("service_name", (&*program.service().name).into()),
    ])
}
