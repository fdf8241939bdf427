//! Any text as a target: whatever the parameters contain, a request goes to the operator's server.

use hyper::Uri;

use super::target::Target;
use crate::fuzzing::{FuzzInput, hold};
use crate::value::Value;

/// A target preceded by its length, then a parameter.
pub(in crate::backend) fn target(input: &mut FuzzInput<'_>) {
    let text = String::from_utf8_lossy(input.part()).into_owned();
    let mut params = Vec::new();
    let Ok(target) = Target::parse(&text, &mut params) else {
        return;
    };
    let value = Value::from(String::from_utf8_lossy(input.0).into_owned());
    let values: Vec<Value> = params.iter().map(|_| value.clone()).collect();
    let mut out = Vec::new();
    if target.render(&values, &mut out).is_err() {
        return;
    }
    let rendered = String::from_utf8_lossy(&out);
    let uri: Result<Uri, _> = rendered.parse();
    let Ok(uri) = uri else {
        return hold(false, "what is rendered is a URI", (text, rendered));
    };
    let path = text.split_once('?').map_or(&*text, |(path, _)| path);
    let segments = |path: &str| path.split('/').count();
    hold(
        segments(uri.path()) == segments(path),
        "parameters add no segment",
        &rendered,
    );
    let up = |segment: &str| matches!(segment, "." | "..");
    hold(
        !uri.path().split('/').any(up),
        "nothing leads up",
        &rendered,
    );
    let and = |text: Option<&str>| text.map(|query| query.matches('&').count());
    let own = text.split_once('?').map(|(_, query)| query);
    hold(
        and(uri.query()) == and(own),
        "parameters add no parameter",
        (own, &rendered),
    );
    hold(
        !rendered.contains(['#', ' ', '\r', '\n']),
        "what is special is encoded",
        &rendered,
    );
}
