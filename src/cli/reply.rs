//! Prints replies: results and exceptions as JSON by the IDL's types, reports as waterfalls.

use super::client::MethodReply;
use super::exit::ExitStatus;
use super::method::ResolvedMethod;
use super::output::Output;
use crate::coerce::to_json;
use crate::context::Mode;
use crate::idl::{StructId, Type};
use crate::timeline::Timeline;
use crate::value::Value;

/// Prints a reply. An exception means that the call failed.
pub(super) fn show(found: &ResolvedMethod, reply: &MethodReply, out: &mut Output) -> ExitStatus {
    match reply {
        MethodReply::Returned(value) => {
            let json = result_json(found, value);
            out.data(&format!("{json:#}"));
            ExitStatus::Done
        }
        MethodReply::Threw { of, value } => {
            out.error(&exception_line(found, *of, value), None);
            let json = to_json(&found.schema, &Type::Struct(*of), value);
            out.data(&format!("{json:#}"));
            ExitStatus::Failed
        }
        MethodReply::Sent => {
            out.note("sent; the method is oneway, so there is no reply");
            ExitStatus::Done
        }
    }
}

/// A result as JSON; null for `void`.
pub(super) fn result_json(found: &ResolvedMethod, value: &Value) -> serde_json::Value {
    match &found.method().result {
        Some(ty) => to_json(&found.schema, ty, value),
        None => serde_json::Value::Null,
    }
}

/// `Flights: LookupFailed (call.required_empty): a required part of the reply does not exist`
fn exception_line(found: &ResolvedMethod, of: StructId, value: &Value) -> String {
    let name = &found.schema.get(of).name;
    let name = name.rsplit('.').next().unwrap_or(name);
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    let mut line = format!("{}: {name}", found.service().name);
    let code = field("code").unwrap_or_default();
    if !code.is_empty() {
        line = format!("{line} ({code})");
    }
    if let Some(message) = field("message") {
        // The standard exceptions' messages begin with the code, for clients that show nothing else.
        let message = message
            .strip_prefix(code)
            .map_or(message, |rest| rest.strip_prefix(": ").unwrap_or(message));
        line = format!("{line}: {message}");
    }
    line
}

/// The timeline of the call, if the reply has a report.
pub(super) fn timeline(found: &ResolvedMethod, reply: &MethodReply) -> Option<Timeline> {
    let MethodReply::Returned(value) = reply else {
        return None;
    };
    Timeline::from_report(value.get(found.report_field()?)?)
}

/// The timeline of a report in a header, which is JSON.
pub(super) fn timeline_of_header(report: &str) -> Option<Timeline> {
    Timeline::from_report(&Value::from_json(report.as_bytes()).ok()?)
}

/// The title of a waterfall.
pub(super) fn title(method: &str, mode: Mode) -> String {
    match mode {
        Mode::Evented => format!("{method}, all at once"),
        Mode::Serial => format!("{method}, one lookup at a time"),
    }
}
