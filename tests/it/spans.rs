//! Spans have the right parents although calls are interleaved: each lookup is below its own call.
#![expect(
    clippy::disallowed_types,
    reason = "a subscriber has to be Send and Sync"
)]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use tokio::sync::Barrier;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use thrift::protocol::TMessageType;
use tributary::backend::closure::{Closure, Input};
use tributary::coerce::Coercion;
use tributary::idl::Type;
use tributary::metrics::LoopMetrics;
use tributary::program::{Registry, check};
use tributary::random::Random;
use tributary::service::{Arrival, Decision, Service};
use tributary::thrift::{Body, HeadOut, Protocol, Transport, WireFormat, write_message};
use tributary::value::Value;

/// For each event, the path of span names with their request ids or lookups.
#[derive(Clone, Default)]
struct Paths(Arc<Mutex<Vec<String>>>);

/// The field of a span that identifies it: its request id or its lookup.
struct Word(String);

struct Find(Option<String>);

impl Visit for Find {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if matches!(field.name(), "request_id" | "lookup" | "asked") {
            self.0 = Some(format!("{value:?}").trim_matches('"').to_owned());
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Paths {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut find = Find(None);
        attributes.record(&mut find);
        let span = context.span(id).expect("just made");
        span.extensions_mut()
            .insert(Word(find.0.unwrap_or_default()));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut find = Find(None);
        values.record(&mut find);
        if let (Some(word), Some(span)) = (find.0, context.span(id)) {
            span.extensions_mut().replace(Word(word));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut find = Find(None);
        event.record(&mut find);
        let (Some(asked), Some(scope)) = (find.0, context.event_scope(event)) else {
            return;
        };
        if event.metadata().target() != "spans" {
            return;
        }
        let names = scope.from_root().map(|span| {
            let extensions = span.extensions();
            let word = extensions.get::<Word>().map_or("", |word| &word.0);
            format!("{}:{word}", span.name())
        });
        let path: Vec<String> = names.collect();
        self.0
            .lock()
            .expect("one thread")
            .push(format!("{} {asked}", path.join(" > ")));
    }
}

const IDL: &str = r#"
include "tributary.thrift"
struct Page { 1: string a, 2: string b, 3: string c }
service Pages { Page page(1: string key, 2: tributary.Context context) }
"#;

const CONFIG: &str = r#"
[server]
idl = "pages.thrift"
[views.page.lookups]
a = { use = "a" }
b = { use = "b" }
c = { use = "c", with = { key = "a" } }
"#;

fn lookup(name: &'static str, gate: &Arc<Barrier>) -> (Arc<str>, Closure) {
    let gate = Arc::clone(gate);
    let call = move |input: Input| {
        let gate = Arc::clone(&gate);
        async move {
            let id = input.context.request_id.to_string();
            tracing::info!(target: "spans", asked = %format!("{id}/{name}/before"));
            // Every runnable lookup of both calls reaches this point before any continues, so they are interleaved.
            if name != "c" {
                gate.wait().await;
            }
            tokio::task::yield_now().await;
            tracing::info!(target: "spans", asked = %format!("{id}/{name}/after"));
            Ok(Value::from(name))
        }
    };
    (Arc::from(name), Closure::new(&["key"], call))
}

#[tokio::test(flavor = "local")]
async fn lookups_of_interleaved_calls_are_under_their_own_call() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pages.thrift"), IDL).unwrap();
    let config = dir.path().join("pages.toml");
    std::fs::write(&config, CONFIG).unwrap();
    // Two calls with two lookups each wait for each other.
    let gate = Arc::new(Barrier::new(4));
    let registry: Registry = ["a", "b", "c"].map(|name| lookup(name, &gate)).into();
    let program = Arc::new(check(config.to_str().unwrap(), &registry).unwrap());
    let metrics = LoopMetrics::unscraped();
    let of_service = (Arc::clone(&program), Random::seeded(1));
    let opened = Service::open(of_service.0, program.limits, of_service.1, &metrics, None);
    let service = Rc::new(opened.await);

    let paths = Paths::default();
    let subscriber = tracing_subscriber::registry().with(paths.clone());
    let _guard = tracing::subscriber::set_default(subscriber);

    let method = program.services[0].service().method("page").unwrap();
    let wire_format = WireFormat {
        transport: Transport::Framed,
        protocol: Protocol::Binary,
    };
    let calls = RefCell::new(Vec::new());
    for id in ["one", "two"] {
        let json = format!(r#"{{"key": "k", "context": {{"request_id": "{id}"}}}}"#);
        let params = Value::from_json(json.as_bytes()).unwrap();
        let coerce = Coercion::new(&program.services[0].schema, false);
        let record = coerce.value(params, &Type::Struct(method.params)).unwrap();
        let mut message = BytesMut::new();
        let head = HeadOut {
            name: "page",
            kind: TMessageType::Call,
            sequence: 1,
        };
        let body = Body::Params {
            schema: &program.services[0].schema,
            id: method.params,
            record: &record,
        };
        write_message(&mut message, wire_format, head, body).unwrap();
        let message = message.freeze().slice(4..);
        let admitted = service.admit(Arrival::from_anybody(wire_format), &message);
        match admitted.unwrap() {
            Decision::Serve(call) => calls.borrow_mut().push(Rc::clone(&service).serve(call)),
            Decision::Reply(_) | Decision::Rest(..) | Decision::NoReply => {
                panic!("the call is served")
            }
        }
    }
    let mut calls = calls.into_inner();
    let (two, one) = (calls.pop().unwrap(), calls.pop().unwrap());
    let (one, two) = tokio::join!(one, two);
    assert!(one.is_some() && two.is_some());

    let paths = paths.0.lock().unwrap().clone();
    let mut expected = Vec::new();
    for id in ["one", "two"] {
        for name in ["a", "b", "c"] {
            for when in ["before", "after"] {
                expected.push(format!("call:{id} > lookup:{name} {id}/{name}/{when}"));
            }
        }
    }
    let mut sorted = paths.clone();
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
    let first_four: Vec<&String> = paths.iter().take(4).collect();
    assert!(
        first_four.iter().all(|path| path.ends_with("before")),
        "the calls ran at the same time: {first_four:?}"
    );
}
