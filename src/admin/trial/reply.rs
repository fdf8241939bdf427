//! Describes what became of a call: its result or its error as JSON, and what happened when.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use super::found::Found;
use super::lines::lines;
use crate::admin::call_json::add_timeline;
use crate::coerce::to_json;
use crate::idl::Type;
use crate::service::{TRIAL_CALLER, TRIAL_FORMAT, Tried};
use crate::thrift::{Framer, Header, Limits, ReplyContent, ReplyError};
use crate::timeline::Timeline;
use crate::value::Value;

/// A longer reply is not shown.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// What became of the call: `outcome` is `returned`, `threw`, `failed`, `sent`, or `too_long` if its reply is not shown.
pub(super) fn reply(found: &Found<'_>, tried: Tried) -> Json {
    let Tried {
        reply,
        timeline,
        id,
        took,
    } = tried;
    let mut framer = Framer::with_wire_format(TRIAL_FORMAT, Limits::default());
    let mut shown = match reply {
        None if found.method.oneway => json!({ "outcome": "sent" }),
        None => failed("the call has no reply"),
        Some(frame) if frame.len() > REPLY_BYTES_MAX => json!({
            "outcome": "too_long",
            "message": format!("the reply has {} bytes, more than this page shows: use `tributary call`", frame.len()),
        }),
        Some(mut frame) => match framer.next(&mut frame) {
            Ok(Some(message)) => {
                let call = found.call();
                let limits = Limits::default();
                content(found, call.read(TRIAL_FORMAT.protocol, &message, &limits))
            }
            Ok(None) => failed("the reply can't be read"),
            Err(err) => failed(&format!("the reply can't be read: {err}")),
        },
    };
    let header = |name| framer.header().and_then(|of: &Header| of.text(name));
    let code = header("tributary-code");
    if let Some(code) = code {
        shown["code"] = code.into();
    }
    // Not the header `tributary-complete`, which also counts defaults in place of empty answers.
    let is_partial = timeline.as_ref().is_some_and(Timeline::is_partial);
    let whole = if is_partial { "partial" } else { "ok" };
    let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(0));
    let mut call = json!({
        "id": id,
        "method": &*found.plan.label,
        "outcome": code.unwrap_or(whole),
        "caller": TRIAL_CALLER,
        "request_id": header("request-id"),
        "started_us": now.saturating_sub(took),
        "took_us": took,
    });
    if let Some(timeline) = &timeline {
        add_timeline(&mut call, timeline);
    }
    shown["call"] = call;
    shown
}

fn failed(why: &str) -> Json {
    json!({ "outcome": "failed", "message": why })
}

fn content(found: &Found<'_>, said: Result<ReplyContent, ReplyError>) -> Json {
    let typed = |outcome: &str, ty: &Type, value: &Value| {
        let schema = &found.of.schema;
        let value = to_json(schema, ty, value);
        json!({
            "outcome": outcome,
            "type": schema.describe(ty),
            "lines": lines(schema, ty, &value),
            "value": value,
        })
    };
    match said {
        Ok(ReplyContent::Returned(value)) => match &found.method.result {
            Some(ty) => typed("returned", ty, &value),
            None => json!({ "outcome": "returned", "type": "void", "lines": [], "value": null }),
        },
        Ok(ReplyContent::Threw { of, value }) => typed("threw", &Type::Struct(of), &value),
        Ok(ReplyContent::Missing) => failed("the reply has no result"),
        Err(ReplyError::Application { message, .. }) => failed(message.as_str()),
        Err(err) => failed(&err.to_string()),
    }
}
