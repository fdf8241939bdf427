//! Reads a page of `tests/scenarios`: prose, then fenced blocks named by what they hold.
//!
//! `thrift` and `toml` are files (a toml block without a `[server]` gets the usual one); `script` is described in
//! [`super::script`]; `call` is a method, its parameters as JSON, and lines `key = value`; `expect` and `serial` are
//! described in [`super::story`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tributary::value::Value;

use super::story::Story;

/// One scenario.
pub(super) struct Page {
    /// The file's name.
    pub(super) name: String,
    pub(super) idl: String,
    pub(super) toml: String,
    pub(super) script: String,
    /// Missing if the configuration must be refused.
    pub(super) call: Option<Call>,
    pub(super) expect: Story,
    /// The outcome of the same call run serially, if the reply differs.
    pub(super) serial: Option<Story>,
}

/// The method and its parameters.
pub(super) struct Call {
    pub(super) method: String,
    pub(super) params: Value,
    /// The caller's own budget.
    pub(super) deadline: Option<Duration>,
    pub(super) request_id: String,
    pub(super) baggage: Vec<(Arc<str>, Arc<str>)>,
}

/// All pages of `folder`, by name.
pub(super) fn read_all(folder: &Path) -> Vec<Page> {
    let entries = std::fs::read_dir(folder).expect("tests/scenarios exists");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Page {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let text = std::fs::read_to_string(path).unwrap_or_else(|err| panic!("{name}: {err}"));
    assert!(text.starts_with("# "), "{name}: a page begins with a title");
    let block = |kind: &str| block(&text, kind);
    let needed = |kind: &str| block(kind).unwrap_or_else(|| panic!("{name}: no block `{kind}`"));
    let mut toml = needed("toml");
    if !toml.contains("[server]") {
        toml.insert_str(0, "[server]\nidl = \"scenario.thrift\"\n\n");
    }
    Page {
        idl: needed("thrift"),
        toml,
        script: needed("script"),
        call: block("call").map(|text| read_call(&name, &text)),
        expect: Story::parse(&name, &needed("expect")),
        serial: block("serial").map(|text| Story::parse(&name, &text)),
        name,
    }
}

/// The text of the fenced block of this kind.
fn block(text: &str, kind: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("\n```{kind}\n"))?;
    let end = if rest.starts_with("```") {
        0
    } else {
        rest.find("\n```")? + 1
    };
    Some(rest[..end].to_owned())
}

fn read_call(name: &str, text: &str) -> Call {
    let (method, rest) = text
        .split_once(' ')
        .unwrap_or_else(|| panic!("{name}: `method {{..}}`"));
    let (params, rest) = split_json(name, rest);
    let mut call = Call {
        method: method.to_owned(),
        params: json_value(&params),
        deadline: None,
        request_id: String::new(),
        baggage: Vec::new(),
    };
    for line in rest.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) = line
            .split_once(" = ")
            .unwrap_or_else(|| panic!("{name}: `{line}`"));
        match key.split_once('.') {
            None if key == "deadline" => call.deadline = Some(duration(name, value)),
            None if key == "request_id" => value.clone_into(&mut call.request_id),
            Some(("baggage", key)) => call.baggage.push((Arc::from(key), Arc::from(value))),
            _ => panic!("{name}: a call has no `{key}`"),
        }
    }
    call
}

/// The JSON at the start of `text`, and the rest.
pub(super) fn split_json<'t>(name: &str, text: &'t str) -> (serde_json::Value, &'t str) {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    match values.next() {
        Some(Ok(json)) => (json, &text[values.byte_offset()..]),
        other => panic!("{name}: expected JSON, found `{}`: {other:?}", text.trim()),
    }
}

/// JSON as a value, converted like a store's JSON.
pub(super) fn json_value(json: &serde_json::Value) -> Value {
    Value::from_json(json.to_string().as_bytes()).expect("it is JSON")
}

pub(super) fn duration(name: &str, text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or_else(|err| panic!("{name}: `{text}`: {err}"))
}
