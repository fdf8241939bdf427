//! Any text as a configuration gives a program, or problems.

use std::sync::Arc;

use super::{Registry, check_document};
use crate::backend::closure::Closure;
use crate::config::document_at;
use crate::fuzzing::hold;
use crate::value::Value;

/// The path of the text, so that it finds `zoo.thrift` in the same folder.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/fuzz.toml");
/// How many problems are rendered: rendering takes longer than all the rest.
const DRAWN_MAX: usize = 2;

/// The text of a `tributary.toml`; a lookup `code` with a parameter `n` is registered.
pub(crate) fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let document = document_at(PATH, &text);
    let closure = Closure::new(&["n"], async |_| Ok(Value::Null));
    let registry: Registry = vec![(Arc::from("code"), closure)];
    match check_document(document, &registry) {
        Ok(program) => {
            for plan in program.plans() {
                let (of, name) = (&program.services[plan.service], &plan.method);
                let method = of.service().method(name).map(|method| method.params);
                hold(method == Some(plan.params), "a plan is of its method", name);
            }
            hold(
                !program.lookups.is_empty(),
                "the registered lookup is there",
                &program,
            );
        }
        Err(problems) => {
            hold(
                !problems.is_empty(),
                "what is no program has a reason",
                &text,
            );
            for problem in &problems {
                let placed = problem.place.is_none() || problem.line().is_some();
                hold(
                    placed && !problem.message.is_empty(),
                    "a problem is told",
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
