//! IDLs and configurations for tests, from text.

use std::fs;

use crate::diagnostic::Problem;
use crate::idl::{self, Schema};
use crate::program::{self, Program};

/// The schema of an IDL that may include `tributary.thrift`.
#[track_caller]
pub(crate) fn schema(text: &str) -> Schema {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("test.thrift");
    fs::write(&path, text).expect("the test's IDL is written");
    match idl::load(&path, &[]) {
        Ok(schema) => schema,
        Err(problems) => panic!("{}", rendered(&problems)),
    }
}

/// The program of a configuration whose `idl` is `test.thrift`.
#[track_caller]
pub(crate) fn program(idl: &str, toml: &str) -> Program {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("tributary.toml");
    fs::write(folder.path().join("test.thrift"), idl).expect("the test's IDL is written");
    fs::write(&path, toml).expect("the test's configuration is written");
    match program::check(&path.to_string_lossy(), &Vec::new()) {
        Ok(program) => program,
        Err(problems) => panic!("{}", rendered(&problems)),
    }
}

fn rendered(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems
        .iter()
        .map(|problem| problem.render(false))
        .collect();
    texts.join("\n\n")
}
