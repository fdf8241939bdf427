//! Compares a program with its stores, for `check --connect`: their findings about each lookup with what views and the IDL
//! need.
//!
//! In: a checked program. Out: errors, and warnings of what may fail for some values, each at its line. All stores are asked
//! at the same time, through `examine` of their kind. No lookup runs. `compare` and what it uses are pure.

mod compare;
mod locate;
mod remark;
mod sample;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use self::compare::{KnownLookup, compare};
use self::locate::KeyPlaces;
use self::remark::{Remark, Severity};
use super::definition::{BackendDef, LookupDef, Program};
use super::served::ServedService;
use crate::backend::examine::{Examination, Finding};
use crate::backend::{AnyLookup, LookupError, Planned, sqlite, tls};
use crate::diagnostic::{Problem, Problems, SourceFile};
use crate::error::Code;
use crate::plan::{LookupId, maybe_unset};

/// How long one store may take to answer everything.
const EXAMINE_MAX: Duration = Duration::from_secs(30);

/// The result of asking the stores.
#[derive(Debug, Default)]
pub struct Examined {
    /// What was done with each store that could be reached.
    pub done: Vec<String>,
    /// Where the servers of stores were found, and how many of them can be reached.
    pub found: Vec<String>,
    /// The errors, in the order of the file.
    pub problems: Vec<Problem>,
    /// The warnings: what works, but not for every value.
    pub warnings: Vec<Problem>,
}

impl Examined {
    /// Whether there are errors other than stores that can't be reached.
    pub fn is_misconfigured(&self) -> bool {
        let mut problems = self.problems.iter();
        problems.any(|problem| problem.code != Code::LookupUnavailable)
    }
}

/// The warnings that need no store: those that were found while the configuration was read, and those about its views.
pub(super) fn warnings(program: &Program, source: &SourceFile) -> Vec<Problem> {
    let examined = place(source, unset_fields(program), Vec::new());
    with_warnings(program, examined).warnings
}

/// Asks every store of `program`, which was read from `source`.
pub async fn examine(program: &Program, source: &SourceFile) -> Examined {
    examine_by(program, source, examine_one).await
}

/// Asks every store through `ask`.
async fn examine_by(
    program: &Program,
    source: &SourceFile,
    ask: impl AsyncFn(&BackendDef, &[Planned<'_, AnyLookup>]) -> Examination,
) -> Examined {
    let stores = program.backends.iter().enumerate();
    let stores = stores.map(async |(at, backend)| {
        let (ids, lookups): (Vec<_>, Vec<_>) = program.of_backend(at).unzip();
        (ids, ask(backend, &lookups).await)
    });
    let stores = join_all(stores).await;
    let mut remarks = Vec::new();
    let mut done = Vec::new();
    let mut found = Vec::new();
    let mut findings: Vec<Option<Finding>> = program.lookups.iter().map(|_| None).collect();
    for (backend, (ids, examination)) in program.backends.iter().zip(stores) {
        let failures = examination.failures.iter();
        remarks.extend(failures.map(|err| failure(&backend.name, err)));
        let of_backend = |line: &String| format!("{}: {line}", backend.name);
        found.extend(examination.found.iter().map(of_backend));
        if examination.failures.is_empty() {
            done.push(format!("{}: {}", backend.name, examination.did));
        }
        for (LookupId(at), finding) in ids.into_iter().zip(examination.lookups) {
            findings[at] = Some(finding);
        }
    }
    remarks.extend(compare_all(program, &findings));
    let examined = Examined {
        found,
        ..place(source, remarks, done)
    };
    with_warnings(program, examined)
}

/// Adds the warnings that need no store.
fn with_warnings(program: &Program, mut examined: Examined) -> Examined {
    let warnings = Problems::default();
    for warning in program.warnings.iter().cloned().chain(examined.warnings) {
        warnings.push(warning);
    }
    examined.warnings = warnings.into_vec();
    examined
}

async fn examine_one(backend: &BackendDef, lookups: &[Planned<'_, AnyLookup>]) -> Examination {
    match timeout(EXAMINE_MAX, backend.config.examine(lookups)).await {
        Ok(examination) => examination,
        Err(_elapsed) => {
            let why = format!(
                "no answer within {}",
                humantime::format_duration(EXAMINE_MAX)
            );
            Examination::failed(
                LookupError::new(Code::LookupUnavailable, why),
                lookups.len(),
            )
        }
    }
}

/// A store that can't be reached, that refuses the connection, that is of another kind, or whose client has an error of
/// its own.
fn failure(backend: &str, err: &LookupError) -> Remark {
    if err.code == Code::ServerInternal {
        let message = format!("the store can't be examined: {}", err.detail);
        let help = "this is an error of the program, not of the configuration: report it, with the version of the store";
        return Remark::error(["backends", backend], err.code, message).help(help);
    }
    let away = matches!(err.code, Code::LookupUnavailable | Code::LookupTimeout);
    let (code, message, help) = if away {
        let message = format!("the store can't be reached: {}", err.detail);
        let help = tls::help(&err.detail).or_else(|| sqlite::help(&err.detail));
        let help = help.unwrap_or("check that it runs, and that its address is right");
        (Code::LookupUnavailable, message, help)
    } else if err.code == Code::LookupBadAnswer {
        let message = format!("the store's answer makes no sense: {}", err.detail);
        let help = "check that its address and its `kind` are right";
        (Code::ConfigBadValue, message, help)
    } else {
        let message = format!("the store refuses the connection: {}", err.detail);
        let help = "check the account and the database, and that the store admits them";
        (Code::ConfigBadValue, message, help)
    };
    Remark::error(["backends", backend], code, message).help(help)
}

fn compare_all(program: &Program, findings: &[Option<Finding>]) -> Vec<Remark> {
    let lookups = program.lookups.iter().zip(findings);
    let known: Vec<KnownLookup<'_>> = lookups
        .map(|(def, finding)| KnownLookup {
            name: in_the_file(&def.name, &program.lookups),
            params: &def.params,
            finding: finding.as_ref(),
        })
        .collect();
    let mut remarks: Vec<Remark> = known.iter().flat_map(compare::lookup).collect();
    for plan in program
        .services
        .iter()
        .flat_map(ServedService::plans_in_order)
    {
        remarks.extend(compare(program.schema(plan), plan, &known));
    }
    remarks
}

/// The name that a lookup has in the file, also if it is asked at another backend than it names there.
fn in_the_file<'a>(name: &'a str, lookups: &[LookupDef]) -> &'a str {
    match name.rsplit_once('@') {
        Some((own, _)) if lookups.iter().any(|def| *def.name == *own) => own,
        _ => name,
    }
}

/// The required fields of replies that may have no value.
fn unset_fields(program: &Program) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for plan in program.plans() {
        remarks.extend(maybe_unset(program.schema(plan), plan).iter().map(|field| {
            let path = plan.key.split('.').chain(["lookups", &field.step.name]);
            Remark::warning(path, Code::MergeMissingField, field.message()).help(field.help())
        }));
    }
    remarks
}

/// Sorts remarks into errors and warnings at their lines, each remark once.
fn place(source: &SourceFile, remarks: Vec<Remark>, done: Vec<String>) -> Examined {
    let map = KeyPlaces::of(source);
    let (problems, warnings) = (Problems::default(), Problems::default());
    let mut seen: Vec<Remark> = Vec::new();
    for remark in remarks {
        if seen.contains(&remark) {
            continue;
        }
        match remark.severity {
            Severity::Error => problems.push(map.problem(&remark)),
            Severity::Warning => warnings.push(map.problem(&remark)),
        }
        seen.push(remark);
    }
    Examined {
        done,
        found: Vec::new(),
        problems: problems.into_vec(),
        warnings: warnings.into_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{check_document, open};

    #[test]
    fn how_a_store_failed_decides_what_to_check() {
        for (code, found, message, help) in [
            (
                Code::LookupUnavailable,
                Code::LookupUnavailable,
                "can't be reached",
                "that it runs",
            ),
            (
                Code::LookupRefused,
                Code::ConfigBadValue,
                "refuses the connection",
                "the account",
            ),
            (
                Code::LookupBadAnswer,
                Code::ConfigBadValue,
                "makes no sense",
                "`kind`",
            ),
        ] {
            let remark = failure("cache", &LookupError::new(code, "HTTP/1.1 400"));
            assert_eq!((remark.code, remark.severity), (found, Severity::Error));
            assert!(remark.message.contains(message), "{}", remark.message);
            assert!(remark.help.is_some_and(|said| said.contains(help)));
        }
    }

    #[tokio::test(flavor = "local")]
    async fn a_panic_of_a_stores_client_is_a_problem_of_that_store_only() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = "[server]\nidl = 's.thrift'\n\
            [backends.bad]\nkind = 'file'\npath = 't.csv'\n\
            [backends.good]\nkind = 'file'\npath = 't.csv'\n\
            [lookups.one]\nbackend = 'bad'\nkey = { id = '{id}' }\ncolumns = ['name']\nrows = 'value'\n\
            [lookups.two]\nbackend = 'good'\nkey = { id = '{id}' }\ncolumns = ['name']\nrows = 'value'\n\
            [views.one.lookups]\none = 'one'\n[views.two.lookups]\ntwo = 'two'\n";
        let idl = "service S { string one(1: string id), string two(1: string id) }";
        for (name, text) in [
            ("t.toml", config),
            ("s.thrift", idl),
            ("t.csv", "id,name\n1,Ann\n"),
        ] {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        let path = folder.path().join("t.toml");
        let document = open(&path.to_string_lossy(), &[]).expect("it is there");
        let source = document.source.clone();
        let program = check_document(document, &Vec::new()).expect("it has no problems");
        let ask = async |backend: &BackendDef, lookups: &[Planned<'_, AnyLookup>]| {
            if &*backend.name == "good" {
                return examine_one(backend, lookups).await;
            }
            let confused = async { panic!("over the greeting") };
            Examination::of(confused, lookups.len()).await
        };
        let examined = examine_by(&program, &source, ask).await;
        let [problem] = &examined.problems[..] else {
            panic!("one problem: {:?}", examined.problems)
        };
        assert_eq!(
            (problem.code, &*problem.key, problem.line()),
            (Code::ServerInternal, "backends.bad", Some(3))
        );
        assert_eq!(
            problem.message,
            "the store can't be examined: the client of the store panicked: over the greeting"
        );
        let [done] = &examined.done[..] else {
            panic!("the other is examined: {:?}", examined.done)
        };
        assert!(done.starts_with("good: "), "{done}");
        assert!(examined.is_misconfigured(), "exit code 2");
    }
}
