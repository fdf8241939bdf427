//! `kind = "postgres"` against a real server: one `Store` per test, called as the guard calls it.

mod batches;
mod cancel;
mod outages;
mod placement;
mod pooler;
mod silent;
mod types;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tributary::backend::{
    Answer, Answers, Ask, Backend, BatchedAsk, Compiled, LookupError, postgres,
};
use tributary::config::{Document, Place, Section};
use tributary::context::Context;
use tributary::diagnostic::SourceFile;
use tributary::error::Code;
use tributary::value::Value;

/// A backend and its configuration.
struct Store {
    config: postgres::Config,
    backend: postgres::Postgres,
}

type Lookup = Compiled<postgres::Lookup>;

impl Store {
    async fn new(url: &str, keys: &str) -> Self {
        let keys = format!("url = \"{url}\"\nconnect_timeout = \"20s\"\n{keys}");
        let config = read(&keys, postgres::Postgres::read_config);
        let backend =
            postgres::Postgres::connect(&config, &[], &tributary::backend::OnLoop::default()).await;
        Store { config, backend }
    }

    /// A lookup; `keys` starts with its SQL, and other keys follow on separate lines.
    fn lookup(&self, sql: &str, keys: &str) -> Lookup {
        let keys = format!("sql = '''{sql}'''\n{keys}");
        read(&keys, |section| {
            postgres::Postgres::read_lookup(&self.config, section)
        })
    }

    /// Runs it with parameters in order of first use.
    async fn ask(&self, lookup: &Lookup, params: &[Value]) -> Result<Value, LookupError> {
        let deadline = Instant::now() + Duration::from_mins(1);
        let context = Context::new(Instant::now(), deadline);
        let ask = Ask {
            params,
            context: &context,
            deadline,
            allowed: std::time::Duration::ZERO,
            step: 0,
        };
        let answer = self.backend.lookup(&lookup.lookup, ask).await;
        answer.map(|answer| answer.value)
    }

    /// The code of the error, which must occur.
    async fn code(&self, lookup: &Lookup, params: &[Value]) -> Code {
        let answer = self.ask(lookup, params).await;
        answer.expect_err("an error").code
    }

    /// Runs it for several keys at once.
    async fn ask_many(&self, lookup: &Lookup, keys: &[Value]) -> Vec<Result<Value, LookupError>> {
        let asked = keys.iter().map(|key| BatchedAsk {
            lookup: &lookup.lookup,
            params: std::slice::from_ref(key),
        });
        let asked: Vec<_> = asked.collect();
        let answers = Answers::collect(asked.len(), async |answers| {
            self.backend.lookup_many(&asked, answers).await;
        })
        .await;
        let value = |answer: Result<Answer, LookupError>| answer.map(|answer| answer.value);
        answers.into_iter().map(value).collect()
    }
}

fn read<T>(text: &str, read: impl FnOnce(&mut Section<'_>) -> Option<T>) -> T {
    let source = SourceFile {
        path: Arc::from("test.toml"),
        text: Arc::from(text),
    };
    let document = Document::new(source, &[]);
    let table = toml::de::DeTable::parse(text).expect("TOML");
    let place = Place {
        key: String::new(),
        span: table.span(),
    };
    let mut section = Section::new(&document, place, table.into_inner());
    let read = read(&mut section);
    section.finish();
    let problems = document.problems.into_vec();
    let messages: Vec<_> = problems.iter().map(|problem| &problem.message).collect();
    assert!(messages.is_empty(), "{messages:?}");
    read.expect("there are no problems")
}

/// Runs SQL directly, without the backend.
pub(crate) async fn run(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("it runs");
    let driver = tokio::task::spawn_local(connection);
    client.batch_execute(sql).await.expect("good SQL");
    drop(client);
    driver.await.expect("no panic").expect("ends well");
}

/// A value as JSON, for short comparisons.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(bit) => (*bit).into(),
        Value::I64(number) => (*number).into(),
        Value::Double(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(bytes) => format!("bytes {:02x?}", &bytes[..]).into(),
        Value::Uuid(uuid) => format!("uuid {}", tributary::value::uuid_text(uuid)).into(),
        Value::Enum(of) => unreachable!("an answer has no {of:?}"),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(pairs) => {
            let key = |key: &Value| key.as_str().expect("text").to_owned();
            let pairs = pairs.iter().map(|(name, value)| (key(name), json(value)));
            serde_json::Value::Object(pairs.collect())
        }
        Value::Record(record) => {
            let pairs = record.names.iter().zip(&record.values);
            let pairs = pairs.map(|(name, value)| (name.to_string(), json(value)));
            serde_json::Value::Object(pairs.collect())
        }
    }
}
