//! TLS to real stores: lookups work if the certificate is valid, and nothing is sent if it is not.

mod http;
mod mysql;
mod postgres;
mod thrift;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tributary::backend::{Ask, Backend, Examination, LookupError};
use tributary::config::{Document, Place, Section};
use tributary::context::Context;
use tributary::diagnostic::SourceFile;
use tributary::error::Code;
use tributary::value::Value;

use crate::support::PATIENCE;

/// A backend and its only lookup, which has no parameters.
struct Store<B: Backend> {
    backend: B,
    lookup: B::Lookup,
}

impl<B: Backend> Store<B> {
    /// `keys` of the backend, for a configuration in `folder`, and those of the lookup.
    async fn new(folder: &Path, keys: &str, lookup: &str) -> Self {
        let keys = format!("connect_timeout = \"20s\"\n{keys}");
        let config = read(folder, &keys, |section| B::read_config(section));
        let compiled = read(folder, lookup, |section| B::read_lookup(&config, section));
        Store {
            backend: B::connect(&config, &[], &tributary::backend::OnLoop::default()).await,
            lookup: compiled.lookup,
        }
    }

    async fn ask(&self) -> Result<Value, LookupError> {
        let deadline = Instant::now() + PATIENCE;
        let context = Context::new(Instant::now(), deadline);
        let ask = Ask {
            params: &[],
            context: &context,
            deadline,
            allowed: std::time::Duration::ZERO,
            step: 0,
        };
        let answer = self.backend.lookup(&self.lookup, ask).await;
        answer.map(|answer| answer.value)
    }

    /// Checks that there is no connection, for a reason that contains `word`.
    #[track_caller]
    fn assert_unavailable(answer: &Result<Value, LookupError>, word: &str) {
        let err = answer.as_ref().expect_err(word);
        assert_eq!(err.code, Code::LookupUnavailable, "{err}");
        assert!(err.detail.contains(word), "{word}: {err}");
    }

    /// Asks until there is an answer; the server is down in the meantime.
    async fn ask_until_up(&self) -> Value {
        let asking = async {
            loop {
                match self.ask().await {
                    Ok(value) => return value,
                    Err(err) => assert_eq!(err.code, Code::LookupUnavailable, "{err}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, asking).await.expect("it comes back")
    }
}

/// The output of `check --connect` for a store without lookups.
async fn examine<B: Backend>(folder: &Path, keys: &str) -> Examination {
    let config = read(folder, keys, |section| B::read_config(section));
    B::examine(&config, &[]).await
}

fn read<T>(folder: &Path, text: &str, read: impl FnOnce(&mut Section<'_>) -> Option<T>) -> T {
    let path = folder.join("tributary.toml");
    let source = SourceFile {
        path: Arc::from(&*path.to_string_lossy()),
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
