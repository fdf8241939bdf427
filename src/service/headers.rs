//! What the headers of a call's frame say for its context.
//!
//! In: a [`Header`] of the wire. Out: a [`Given`], which lives as long as the call. A value that is malformed counts
//! as not there: no call fails for what a header says.

use std::sync::Arc;
use std::time::Duration;

use super::context::short;
use crate::context::Mode;
use crate::thrift::Header;

/// No longer value is looked at.
const VALUE_BYTES_MAX: usize = 8 * 1024;
/// A traceparent of today has 55 bytes; later versions may add to it.
const TRACEPARENT_MAX: usize = 256;

/// What a call's frame says for its context.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Given {
    pub(super) request_id: Option<Arc<str>>,
    pub(super) traceparent: Option<Arc<str>>,
    /// Only where there is a traceparent, which it belongs to.
    pub(super) tracestate: Option<Arc<str>>,
    /// How long the caller will still wait.
    pub(super) budget: Option<Duration>,
    pub(super) mode: Option<Mode>,
    pub(super) want_report: bool,
}

impl Given {
    /// What `header` says.
    pub(super) fn read(header: &Header) -> Self {
        let text = |name| header.text(name).filter(|text| is_plain(text));
        let traceparent = text("traceparent").filter(|text| is_traceparent(text));
        Given {
            request_id: text("request-id").map(|id| Arc::from(short(id))),
            tracestate: traceparent.and(text("tracestate")).map(Arc::from),
            traceparent: traceparent.map(Arc::from),
            budget: text("deadline-budget").and_then(milliseconds),
            mode: text("tributary-mode").and_then(mode),
            want_report: text("tributary-report").is_some_and(|text| matches!(text, "1" | "true")),
        }
    }
}

/// Fit for logs and for the headers of other protocols.
pub(super) fn is_plain(text: &str) -> bool {
    (1..=VALUE_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// As W3C's Trace Context has it: `00-<32 hex digits>-<16>-<2>`, neither id all zeros. Later versions may go on
/// after a dash.
pub(super) fn is_traceparent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((known, rest)) = bytes.split_at_checked(55) else {
        return false;
    };
    let parts: Vec<&[u8]> = known.split(|byte| *byte == b'-').collect();
    let hex = |part: &[u8]| {
        part.iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let [version, trace, parent, flags] = parts[..] else {
        return false;
    };
    let lengths = [version.len(), trace.len(), parent.len(), flags.len()];
    lengths == [2, 32, 16, 2]
        && parts.iter().all(|part| hex(part))
        && version != b"ff"
        && !zero(trace)
        && !zero(parent)
        && (rest.is_empty() || (version != b"00" && rest[0] == b'-'))
        && bytes.len() <= TRACEPARENT_MAX
}

fn milliseconds(text: &str) -> Option<Duration> {
    // A sign is no digit, though numbers may be parsed with one.
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

    use super::*;
    use crate::thrift::{Framer, Limits};

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// What a frame with these pairs gives.
    fn given(pairs: &[(&str, &str)]) -> Given {
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
        Given::read(framer.header().expect("a frame with one"))
    }

    #[test]
    fn all_of_it() {
        let given = given(&[
            ("Request-Id", "r-1"),
            ("TraceParent", TRACE),
            ("tracestate", "a=1,b=2"),
            ("Deadline-Budget", "1500"),
            ("tributary-mode", "serial"),
            ("tributary-report", "1"),
            ("something", "else"),
        ]);
        let expected = Given {
            request_id: Some("r-1".into()),
            traceparent: Some(TRACE.into()),
            tracestate: Some("a=1,b=2".into()),
            budget: Some(Duration::from_millis(1500)),
            mode: Some(Mode::Serial),
            want_report: true,
        };
        assert_eq!(given, expected);
    }

    #[test]
    fn what_is_malformed_is_not_there() {
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
            assert_eq!(given(&[pair]), Given::default(), "{pair:?}");
        }
        assert_eq!(
            given(&[("deadline-budget", "0")]).budget,
            Some(Duration::ZERO)
        );
        let cut = given(&[("request-id", &"é".repeat(200))]).request_id;
        assert_eq!(cut.as_deref(), Some(&*"é".repeat(128)));
    }

    #[test]
    fn traceparents_are_strict() {
        let later = format!("01{}-more", &TRACE[2..]);
        for good in [TRACE, &later] {
            assert!(is_traceparent(good), "{good}");
        }
        let bad = [
            "",
            &TRACE[1..],
            &format!("{TRACE}-more"),
            &format!("01{}more", &TRACE[2..]),
            &format!("ff{}", &TRACE[2..]),
            &TRACE.to_uppercase(),
            &TRACE.replace('-', "_"),
            &TRACE.replacen("-0af", "0-af", 1),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ];
        for bad in bad {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
