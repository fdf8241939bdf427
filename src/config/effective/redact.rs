//! Leaves secrets out of values: passwords, tokens, credentials in URLs, headers.
//!
//! What may be a secret is decided by its key, by its name in a URL or a body (see [`is_secret`]), and by its form. When in
//! doubt, it is one.
//! References to secrets (`env:NAME`, `file:PATH`) are none.

use serde_json::Value as Json;

use crate::diagnostic::{is_secret, names_secret};

const HIDDEN: &str = "***";

/// The value at the key path `key`, without secrets.
pub(super) fn redacted(key: &str, value: Json) -> Json {
    match value {
        Json::String(text) => Json::String(text_at(key, text)),
        Json::Array(items) => {
            let items = items.into_iter().map(|item| redacted(key, item));
            items.collect()
        }
        Json::Object(pairs) => {
            let pairs = pairs.into_iter().map(|(name, value)| {
                let value = redacted(&format!("{key}.{name}"), value);
                (name, value)
            });
            Json::Object(pairs.collect())
        }
        Json::Null => Json::Null,
        _ if is_secret(key) => Json::String(HIDDEN.into()),
        other => other,
    }
}

fn text_at(key: &str, text: String) -> String {
    if text.starts_with("env:") || text.starts_with("file:") {
        return text;
    }
    if is_secret(key) {
        return HIDDEN.into();
    }
    if let Some(text) = without_body_secrets(key, &text) {
        return text;
    }
    without_query_secrets(&without_words(&without_credentials(&text)))
}

/// The text of a body, JSON or a form, without the values whose names are those of secrets.
fn without_body_secrets(key: &str, text: &str) -> Option<String> {
    if let Ok(json @ (Json::Object(_) | Json::Array(_))) = serde_json::from_str(text) {
        return Some(without_named_secrets(json).to_string());
    }
    let is_body = key.rsplit_once('.').is_some_and(|(_, last)| last == "body");
    let has_form = is_body && text.contains('=') && !text.contains('"');
    if has_form {
        return Some(without_pairs(text));
    }
    (is_body || text.trim_start().starts_with(['{', '['])).then(|| without_json_pairs(text))
}

fn without_named_secrets(json: Json) -> Json {
    match json {
        Json::Array(items) => items.into_iter().map(without_named_secrets).collect(),
        Json::Object(pairs) => {
            let pairs = pairs.into_iter().map(|(name, value)| {
                let value = match value {
                    _ if names_secret(&name) => Json::String(HIDDEN.into()),
                    value => without_named_secrets(value),
                };
                (name, value)
            });
            Json::Object(pairs.collect())
        }
        other => other,
    }
}

/// What looks like JSON and is not, as with parameters in it: whatever follows a name of a secret, up to the next comma or the
/// end of the object, and the rest of a text that does not end.
fn without_json_pairs(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(':') {
        let name = before.trim_end().trim_end_matches(['"', '\'']);
        let begin = name.rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
        let name = &name[begin.map_or(0, |at| at + 1)..];
        shown.push_str(before);
        shown.push(':');
        rest = after;
        if !names_secret(name) {
            continue;
        }
        shown.push_str(" \"");
        shown.push_str(HIDDEN);
        shown.push('"');
        rest = after_json_value(after.trim_start());
    }
    shown + rest
}

fn after_json_value(text: &str) -> &str {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut is_escaped = false;
        for (at, c) in quoted.char_indices() {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => return &quoted[at + 1..],
                _ => {}
            }
        }
        return "";
    }
    // Of an object or a list nothing is shown, nor of what follows it.
    if text.starts_with(['{', '[']) {
        return "";
    }
    text.find([',', '}', ']']).map_or("", |end| &text[end..])
}

/// A URL without the password, and over HTTP also without the user, which may be a token.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let before_query = rest.split('?').next().unwrap_or(rest);
    let Some(end) = before_query.rfind('@') else {
        return text.to_owned();
    };
    let (credentials, host) = rest.split_at(end);
    let user = match credentials.split_once(':') {
        _ if scheme.starts_with("http") => HIDDEN.to_owned(),
        Some((user, _)) => format!("{user}:{HIDDEN}"),
        None => credentials.to_owned(),
    };
    format!("{scheme}://{user}{host}")
}

/// Text of the form `host=a password=b`, as libpq takes it, without passwords.
fn without_words(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.to_ascii_lowercase().find("password") {
        let (before, after) = rest.split_at(at + "password".len());
        shown.push_str(before);
        rest = after;
        let value = rest.trim_start();
        let Some(value) = value.strip_prefix('=').map(str::trim_start) else {
            continue;
        };
        shown.push('=');
        shown.push_str(HIDDEN);
        rest = after_value(value);
    }
    shown + rest
}

/// What follows the value at the beginning of `text`: a quoted one, or one that ends with a blank or `&`.
fn after_value(text: &str) -> &str {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end = text.find(|c: char| c.is_whitespace() || c == '&');
        return end.map_or("", |end| &text[end..]);
    };
    let mut is_escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\'' => return &quoted[at + 1..],
            _ => {}
        }
    }
    ""
}

/// A URL or a path without the values in its query whose names are those of secrets. A parameter of a lookup is none.
fn without_query_secrets(text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    // A question mark in SQL follows other words.
    if path.contains(char::is_whitespace) {
        return text.to_owned();
    }
    format!("{path}?{}", without_pairs(query))
}

fn without_pairs(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if names_secret(name) && !is_parameter(value) => {
            format!("{name}={HIDDEN}")
        }
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Whether a value is nothing but a parameter of the lookup.
fn is_parameter(value: &str) -> bool {
    let value = value.trim();
    let name = value
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.contains(['{', '}']) && !name.contains(char::is_whitespace))
}
