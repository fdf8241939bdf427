//! Writes spans as OTLP JSON: ids in hexadecimal digits, 64-bit numbers as text, enums as numbers.

use serde_json::{Map, Value as Json, json};

use super::call_spans::SpanMaker;
use super::resource::Resource;
use super::span::{AttributeValue, Span};
use crate::recorder::RecordedCall;

/// One request with the spans of `calls`.
pub fn to_json<'c>(resource: &Resource, calls: impl Iterator<Item = &'c RecordedCall>) -> Json {
    let of_resource = resource.attributes();
    let of_resource =
        of_resource.map(|(name, value)| attribute(name, &json!({ "stringValue": value })));
    let (mut maker, mut spans) = (SpanMaker::new(), Vec::new());
    for call in calls {
        maker.each(call, |span| spans.push(of_span(span)));
    }
    json!({ "resourceSpans": [{
        "resource": { "attributes": of_resource.collect::<Vec<Json>>() },
        "scopeSpans": [{
            "scope": { "name": "tributary", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans,
        }],
    }] })
}

fn of_span(span: &Span<'_>) -> Json {
    let trace = format!("{:032x}", span.trace);
    let attributes = span.attributes.iter();
    let attributes = attributes.map(|(name, value)| attribute(name, &of_value(value)));
    let mut fields = Map::new();
    let mut add = |name: &str, value: Json| fields.insert(name.to_owned(), value);
    add("traceId", trace.clone().into());
    add("spanId", hex(span.id));
    if let Some(parent) = span.parent {
        add("parentSpanId", hex(parent));
    }
    add("flags", span.flags().into());
    add("name", (&*span.name).into());
    add("kind", (span.kind as u8).into());
    add("startTimeUnixNano", span.start.to_string().into());
    add("endTimeUnixNano", span.end.to_string().into());
    add("attributes", attributes.collect());
    if let Some((at, name)) = span.event {
        add(
            "events",
            json!([{ "timeUnixNano": at.to_string(), "name": name }]),
        );
    }
    if !span.links.is_empty() {
        let links = span.links.iter();
        let link = |id: &u64| json!({ "traceId": trace, "spanId": hex(*id) });
        add("links", links.map(link).collect());
    }
    add(
        "status",
        if span.failed {
            json!({ "code": 2 })
        } else {
            json!({})
        },
    );
    Json::Object(fields)
}

fn attribute(name: &str, value: &Json) -> Json {
    json!({ "key": name, "value": value })
}

fn of_value(value: &AttributeValue<'_>) -> Json {
    match value {
        AttributeValue::Text(text) => json!({ "stringValue": text }),
        AttributeValue::Int(number) => json!({ "intValue": number.to_string() }),
        AttributeValue::Bool(bit) => json!({ "boolValue": bit }),
    }
}

fn hex(id: u64) -> Json {
    format!("{id:016x}").into()
}
