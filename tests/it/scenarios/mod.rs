//! Runs the pages of `tests/scenarios`: an IDL, a view, scripted lookups, one call, and its outcome.
//!
//! Time is paused, so a lookup of 30 ms takes exactly 30 ms, without any waiting. Every page is run evented and
//! serially; the reply must be the same unless the page has a separate block for
//! `serial`. `SCENARIO=part-of-a-name` plays only the pages whose names contain it.

mod page;
mod script;
mod story;

use std::mem::take;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tributary::coerce::Coercion;
use tributary::config::Document;
use tributary::context::{Context, Mode};
use tributary::diagnostic::SourceFile;
use tributary::guard::Guards;
use tributary::idl::Type;
use tributary::metrics::{LoopMetrics, ProgramMetrics};
use tributary::program::{Program, check_document};
use tributary::random::Random;
use tributary::value::Value;
use tributary::view::{merge, run};

use page::{Call, Page};
use story::Story;

#[tokio::test(flavor = "local", start_paused = true)]
async fn every_page_has_the_expected_outcome() {
    let mut pages = page::read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios"));
    if let Ok(part) = std::env::var("SCENARIO") {
        pages.retain(|page| page.name.contains(&part));
    }
    let mut wrong = Vec::new();
    for page in &pages {
        wrong.extend(differences(page).await);
    }
    let count = pages.len();
    assert!(count > 0, "no page to play");
    assert!(
        wrong.is_empty(),
        "{} of {count} pages went otherwise:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

/// The difference between expected and actual outcome, in the form of a page, so that it can be pasted there.
async fn differences(page: &Page) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = match load(page, folder.path()) {
        Ok(program) => Arc::new(program),
        Err(refused) => return page.compare("expect", &page.expect, &refused),
    };
    let evented = play(page, &program, Mode::Evented).await;
    let serial = play(page, &program, Mode::Serial).await;
    let mut wrong = page.compare("expect", &page.expect, &evented);
    match &page.serial {
        Some(expected) => wrong.extend(page.compare("serial", expected, &serial)),
        None => {
            wrong.extend(page.compare("reply when serial", &evented.result(), &serial.result()));
        }
    }
    wrong
}

fn load(page: &Page, folder: &Path) -> Result<Program, Story> {
    std::fs::write(folder.join("scenario.thrift"), &page.idl).expect("the folder is ours");
    let path = folder.join("tributary.toml").display().to_string();
    let source = SourceFile {
        path: Arc::from(path),
        text: Arc::from(page.toml.as_str()),
    };
    let document = Document::new(source, &[]);
    check_document(document, &script::registry(page)).map_err(|problems| Story::refused(&problems))
}

/// One call from its parameters to the merged reply.
async fn play(page: &Page, program: &Arc<Program>, mode: Mode) -> Story {
    let call = page
        .call
        .as_ref()
        .unwrap_or_else(|| panic!("{}: no call", page.name));
    let Some(plan) = program.plan(call.method.as_str()) else {
        panic!("{}: no view `{}`", page.name, call.method);
    };
    let schema = &program.services[0].schema;
    let metrics = ProgramMetrics::new(&LoopMetrics::unscraped(), program);
    let guards = Guards::connect(Arc::clone(program), Random::seeded(1), metrics, None).await;
    let params = Coercion::new(schema, false)
        .value(call.params.clone(), &Type::Struct(plan.params))
        .unwrap_or_else(|why| panic!("{}: the call: {why}", page.name));
    let Value::Record(params) = params else {
        panic!("{}: parameters are a JSON object", page.name);
    };
    let context = context(call, plan.deadline, mode);
    let params = params.values.into();
    let mut ran = run(plan, schema, &guards, &params, &context).await;

    assert_eq!(
        ran.timeline.tracks.len(),
        plan.steps.len(),
        "{}: one fate per lookup",
        page.name
    );
    let tracks = ran.timeline.tracks.iter().zip(&*ran.timeline.lanes);
    for ((track, lane), value) in tracks.zip(&ran.values) {
        assert!(
            track.fate.has_value() || value.is_null(),
            "{}: {}",
            page.name,
            lane.name
        );
    }
    let merged = match &ran.failure {
        Some(_) => None,
        None => Some(merge(plan, schema, take(&mut ran.values))),
    };
    Story::of(program, plan, &ran, merged)
}

fn context(call: &Call, deadline: Duration, mode: Mode) -> Context {
    let arrived = Instant::now();
    let budget = call
        .deadline
        .map_or(deadline, |budget| budget.min(deadline));
    let mut context = Context::new(arrived, arrived + budget);
    context.mode = mode;
    context.request_id = Arc::from(call.request_id.as_str());
    context.baggage.clone_from(&call.baggage);
    context
}
