//! Holds a program against its stores, for `check --connect`: what they say of every lookup against what the views
//! and the IDL make of it.
//!
//! In: a checked program. Out: everything that is wrong, and what may become wrong, each at its line. Every store is
//! reached at the same time, through its kind's `examine`; no lookup is run. `compare` and what it uses are pure.

mod compare;
mod locate;
mod remark;
mod sample;

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use self::compare::{Known, compare};
use self::locate::Map;
use self::remark::{Level, Remark};
use super::definition::{BackendDef, Program};
use crate::backend::examine::{Examination, Finding};
use crate::backend::{AnyLookup, LookupError, Planned, tls};
use crate::diagnostic::{Problem, Problems, Source};
use crate::error::Code;
use crate::plan::{LookupId, unsure};

/// How long one store may take to say all it knows.
const EXAMINE_MAX: Duration = Duration::from_secs(30);

/// What came of asking the stores.
#[derive(Debug, Default)]
pub struct Examined {
    /// What was done with each store that was reached.
    pub done: Vec<String>,
    /// What is wrong, in the file's order.
    pub problems: Vec<Problem>,
    /// What works and may not always.
    pub warnings: Vec<Problem>,
}

impl Examined {
    /// Whether anything but stores that can't be reached is wrong.
    pub fn is_misconfigured(&self) -> bool {
        let mut problems = self.problems.iter();
        problems.any(|problem| problem.code != Code::LookupUnavailable)
    }
}

/// What works and may not always, as far as the file tells: no store is asked.
pub fn remarks(program: &Program, source: &Source) -> Examined {
    place(source, unsure_fields(program), Vec::new())
}

/// Reaches every store of `program`, which was read from `source`.
pub async fn examine(program: &Program, source: &Source) -> Examined {
    let stores = program.backends.iter().enumerate();
    let stores = stores.map(async |(at, backend)| {
        let (ids, lookups): (Vec<_>, Vec<_>) = program.of_backend(at).unzip();
        (ids, examine_one(backend, &lookups).await)
    });
    let stores = join_all(stores).await;
    let mut remarks = Vec::new();
    let mut done = Vec::new();
    let mut findings: Vec<Option<Finding>> = program.lookups.iter().map(|_| None).collect();
    for (backend, (ids, examination)) in program.backends.iter().zip(stores) {
        let failures = examination.failures.iter();
        remarks.extend(failures.map(|err| failure(&backend.name, err)));
        if examination.failures.is_empty() {
            done.push(format!("{}: {}", backend.name, examination.did));
        }
        for (LookupId(at), finding) in ids.into_iter().zip(examination.lookups) {
            findings[at] = Some(finding);
        }
    }
    remarks.extend(unsure_fields(program));
    remarks.extend(compare_all(program, &findings));
    place(source, remarks, done)
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

/// A store that is not there, or that does not let us in.
fn failure(backend: &str, err: &LookupError) -> Remark {
    let away = matches!(err.code, Code::LookupUnavailable | Code::LookupTimeout);
    let (code, message, help) = if away {
        let message = format!("the store can't be reached: {}", err.detail);
        let help = tls::help(&err.detail);
        let help = help.unwrap_or("see that it runs, and that its address is right");
        (Code::LookupUnavailable, message, help)
    } else {
        let message = format!("the store refuses the connection: {}", err.detail);
        let help = "see that account and database are right, and that the store lets them in";
        (Code::ConfigBadValue, message, help)
    };
    Remark::error(["backends", backend], code, message).help(help)
}

fn compare_all(program: &Program, findings: &[Option<Finding>]) -> Vec<Remark> {
    let lookups = program.lookups.iter().zip(findings);
    let known: Vec<Known<'_>> = lookups
        .map(|(def, finding)| Known {
            name: &def.name,
            params: &def.params,
            finding: finding.as_ref(),
        })
        .collect();
    let mut remarks: Vec<Remark> = known.iter().flat_map(compare::lookup).collect();
    for method in &program.service().methods {
        if let Some(plan) = program.plans.get(&method.name) {
            remarks.extend(compare(&program.schema, plan, &known));
        }
    }
    remarks
}

/// The required fields that a call may leave without a value.
fn unsure_fields(program: &Program) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for plan in program.plans.values() {
        remarks.extend(unsure(&program.schema, plan).iter().map(|unsure| {
            let path = ["views", &plan.method, "lookups", &unsure.step.name];
            Remark::warning(path, Code::MergeMissingField, unsure.message()).help(unsure.help())
        }));
    }
    remarks
}

/// The remarks at their lines, each once.
fn place(source: &Source, remarks: Vec<Remark>, done: Vec<String>) -> Examined {
    let map = Map::of(source);
    let (problems, warnings) = (Problems::default(), Problems::default());
    let mut seen: Vec<Remark> = Vec::new();
    for remark in remarks {
        if seen.contains(&remark) {
            continue;
        }
        match remark.level {
            Level::Error => problems.push(map.problem(&remark)),
            Level::Warning => warnings.push(map.problem(&remark)),
        }
        seen.push(remark);
    }
    Examined {
        done,
        problems: problems.into_vec(),
        warnings: warnings.into_vec(),
    }
}
