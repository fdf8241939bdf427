//! Reads the metadata of a call from its frame's headers.
//!
//! In: a [`Header`] of the wire. Out: a [`RequestMetadata`], which lives as long as the call. A malformed value is ignored: no call
//! fails because of a header.

use std::sync::Arc;
use std::time::Duration;

use super::text::{is_plain, short};
use crate::context::{Mode, Parent};
use crate::thrift::Header;

/// The header, and the key of the baggage, with the faults that a caller asks for.
pub(in crate::service) const INJECT: &str = "tributary-inject";

/// The part of a call's context that its frame carries.
#[derive(Debug, Default, PartialEq)]
pub(in crate::service) struct RequestMetadata {
    pub(in crate::service) request_id: Option<Arc<str>>,
    pub(in crate::service) traceparent: Option<Arc<str>>,
    /// The caller is in a trace and leaves to others whether it is recorded.
    pub(in crate::service) defers: bool,
    /// Only together with a traceparent, to which it belongs.
    pub(in crate::service) tracestate: Option<Arc<str>>,
    /// How long the caller still waits.
    pub(in crate::service) budget: Option<Duration>,
    pub(in crate::service) mode: Option<Mode>,
    pub(in crate::service) want_report: bool,
    /// The faults that the caller asks for.
    pub(in crate::service) inject: Option<Arc<str>>,
}

impl RequestMetadata {
    /// Reads `header`.
    pub(in crate::service) fn read(header: &Header) -> Self {
        let text = |name| header.text(name).filter(|text| is_plain(text));
        let w3c = text("traceparent").filter(|text| Parent::of_w3c(text).is_some());
        let b3 = match w3c {
            Some(_) => None,
            None => b3(header),
        };
        RequestMetadata {
            request_id: text("request-id").map(|id| Arc::from(short(id))),
            tracestate: w3c.and(text("tracestate")).map(Arc::from),
            traceparent: w3c.map(Arc::from).or_else(|| Some(b3?.to_w3c().into())),
            defers: b3.is_some_and(|b3| b3.sampled.is_none()),
            budget: text("deadline-budget").and_then(milliseconds),
            mode: text("tributary-mode").and_then(mode),
            want_report: text("tributary-report").is_some_and(|text| matches!(text, "1" | "true")),
            inject: text(INJECT).map(Arc::from),
        }
    }
}

/// What the caller says in B3, in one header or in several.
fn b3(header: &Header) -> Option<Parent> {
    if let Some(single) = header.text("b3") {
        return Parent::of_b3(single);
    }
    let ids = (header.text("x-b3-traceid")?, header.text("x-b3-spanid")?);
    let decision = [header.text("x-b3-sampled"), header.text("x-b3-flags")];
    Parent::of_b3_multi(ids, decision[0], decision[1])
}

fn milliseconds(text: &str) -> Option<Duration> {
    // `parse` would accept a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok().map(Duration::from_millis))?
}

fn mode(text: &str) -> Option<Mode> {
    [Mode::Evented, Mode::Serial]
        .into_iter()
        .find(|mode| mode.as_str().eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};

    use super::super::text::VALUE_BYTES_MAX;
    use super::*;
    use crate::thrift::{Framer, Limits};

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// The metadata of a frame with these headers.
    fn given(pairs: &[(&str, &str)]) -> RequestMetadata {
        let length = |out: &mut Vec<u8>, length: usize| {
            out.put_u8(length.to_le_bytes()[0] | 0x80);
            out.put_u8(u8::try_from(length >> 7).expect("below 16 KiB") | 0x80);
            out.put_u8(0);
        };
        let mut header = vec![0, 0, 1];
        length(&mut header, pairs.len());
        for (key, value) in pairs {
            length(&mut header, key.len());
            header.put_slice(key.as_bytes());
            length(&mut header, value.len());
            header.put_slice(value.as_bytes());
        }
        header.resize(header.len().next_multiple_of(4), 0);
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(header.len() + 11).expect("short"));
        frame.put_slice(&[0x0f, 0xff, 0, 0, 0, 0, 0, 1]);
        frame.put_u16(u16::try_from(header.len() / 4).expect("short"));
        frame.put_slice(&header);
        frame.put_u8(0x80);
        let mut framer = Framer::new(Limits::default());
        framer.next(&mut frame).expect("readable").expect("whole");
        RequestMetadata::read(framer.header().expect("a frame with one"))
    }

    #[test]
    fn all_headers_are_read() {
        let given = given(&[
            ("Request-Id", "r-1"),
            ("TraceParent", TRACE),
            ("tracestate", "a=1,b=2"),
            ("Deadline-Budget", "1500"),
            ("tributary-mode", "serial"),
            ("tributary-report", "1"),
            ("tributary-inject", "a=hang"),
            ("something", "else"),
        ]);
        let expected = RequestMetadata {
            request_id: Some("r-1".into()),
            traceparent: Some(TRACE.into()),
            tracestate: Some("a=1,b=2".into()),
            defers: false,
            budget: Some(Duration::from_millis(1500)),
            mode: Some(Mode::Serial),
            want_report: true,
            inject: Some("a=hang".into()),
        };
        assert_eq!(given, expected);
    }

    #[test]
    fn b3_counts_if_there_is_no_traceparent() {
        let (trace, span) = (&TRACE[3..35], &TRACE[36..52]);
        let single = format!("{trace}-{span}-1");
        let read = given(&[("b3", &single), ("tracestate", "a=1")]);
        assert_eq!(read.traceparent.as_deref(), Some(TRACE));
        assert_eq!((read.tracestate, read.defers), (None, false));
        let multi = [("X-B3-TraceId", trace), ("X-B3-SpanId", span)];
        let read = given(&multi);
        let unsampled = TRACE.replace("-01", "-00");
        assert_eq!(read.traceparent.as_deref(), Some(&*unsampled));
        assert!(read.defers, "the caller does not say whether");
        let decided = [multi[0], multi[1], ("x-b3-sampled", "1")];
        assert_eq!(given(&decided).traceparent.as_deref(), Some(TRACE));
        let other = TRACE.replace('b', "c");
        let both = given(&[("traceparent", &other), ("b3", &single)]);
        assert_eq!(both.traceparent.as_deref(), Some(&*other));
        assert_eq!(given(&[("b3", "0")]), RequestMetadata::default());
    }

    #[test]
    fn malformed_values_are_ignored() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        let pairs = [
            ("request-id", "two\nlines"),
            ("request-id", ""),
            ("request-id", &long),
            ("deadline-budget", "-1"),
            ("deadline-budget", "+1"),
            ("deadline-budget", "1.5"),
            ("deadline-budget", "soon"),
            ("deadline-budget", "18446744073709551616"),
            ("tributary-mode", "fast"),
            ("tributary-report", "yes please"),
            ("tracestate", "a=1"),
        ];
        for pair in pairs {
            assert_eq!(given(&[pair]), RequestMetadata::default(), "{pair:?}");
        }
        assert_eq!(
            given(&[("deadline-budget", "0")]).budget,
            Some(Duration::ZERO)
        );
        let cut = given(&[("request-id", &"é".repeat(200))]).request_id;
        assert_eq!(cut.as_deref(), Some(&*"é".repeat(128)));
    }
}
