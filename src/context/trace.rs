//! The place of a call in a distributed trace, and how it travels: W3C Trace Context and B3.
//!
//! In: what the caller's headers or its `tributary.Context` say. Out: a [`Trace`], which names the span of the call and
//! that of each lookup, and the headers that stores get. Malformed text counts as missing. Pure.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::random::Random;

/// A traceparent has 55 bytes today; later versions may append to it.
const TRACEPARENT_BYTES: usize = 55;
/// A longer traceparent is ignored.
const TRACEPARENT_MAX: usize = 256;
/// Spans of one call are this far apart, so that those of different calls do not follow each other.
const SPAN_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The caller's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: u128,
    /// The caller's span.
    pub span: u64,
    /// Whether the caller's span is recorded; `None` if the caller leaves the decision to others.
    pub sampled: Option<bool>,
}

/// How a trace is passed on to stores that can carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// `traceparent` and `tracestate`.
    pub w3c: bool,
    /// `b3`, in one header.
    pub b3: bool,
    /// `x-b3-traceid` and its companions.
    pub b3_multi: bool,
}

impl Default for Propagation {
    fn default() -> Self {
        Propagation {
            w3c: true,
            b3: false,
            b3_multi: false,
        }
    }
}

/// The place of a call in a trace, if traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub id: u128,
    /// The caller's span, if the caller has one.
    pub parent: Option<u64>,
    /// The span of the call itself.
    pub span: u64,
    /// Whether its spans are recorded whatever becomes of the call.
    pub sampled: bool,
    /// How it is passed on.
    pub propagation: Propagation,
}

impl Parent {
    /// Reads a `traceparent` of W3C Trace Context: `00-<32 hex digits>-<16>-<2>`, neither id all zeros. Later versions may
    /// append more after a dash.
    pub fn of_w3c(text: &str) -> Option<Self> {
        let (known, rest) = text.split_at_checked(TRACEPARENT_BYTES)?;
        let mut parts = known.split('-');
        let mut part = |len| {
            let part = parts.next().filter(|part| part.len() == len)?;
            hex(part)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let may_go_on = version != 0 && rest.starts_with('-');
        let fits = version != 0xff
            && parts.next().is_none()
            && (rest.is_empty() || may_go_on)
            && text.len() <= TRACEPARENT_MAX;
        Parent::new(trace, span, Some(flags & 1 == 1)).filter(|_| fits)
    }

    /// Reads a single `b3` header: `TRACE-SPAN`, `TRACE-SPAN-SAMPLED` or `TRACE-SPAN-SAMPLED-PARENT`.
    pub fn of_b3(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (trace, span) = (parts.next()?, parts.next()?);
        let sampled = match parts.next() {
            None => None,
            Some(word) => Some(sampled(word)?),
        };
        if let Some(parent) = parts.next() {
            hex(parent).filter(|_| parent.len() == 16)?;
        }
        let ids = Parent::of_b3_ids(trace, span, sampled);
        ids.filter(|_| parts.next().is_none())
    }

    /// Reads the values of `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled` and `x-b3-flags`.
    pub fn of_b3_multi(
        (trace, span): (&str, &str),
        sampled_word: Option<&str>,
        flags: Option<&str>,
    ) -> Option<Self> {
        let sampled = match flags {
            // Debug: the caller wants to see it in any case.
            Some("1") => Some(true),
            _ => sampled_word.and_then(sampled),
        };
        Parent::of_b3_ids(trace, span, sampled)
    }

    fn of_b3_ids(trace: &str, span: &str, sampled: Option<bool>) -> Option<Self> {
        let lengths = matches!(trace.len(), 16 | 32) && span.len() == 16;
        let ids = lengths.then_some((hex(trace)?, hex(span)?));
        let (trace, span) = ids?;
        Parent::new(trace, span, sampled)
    }

    fn new(trace: u128, span: u128, sampled: Option<bool>) -> Option<Self> {
        let span = u64::try_from(span).ok()?;
        (trace != 0 && span != 0).then_some(Parent {
            trace,
            span,
            sampled,
        })
    }

    /// As a `traceparent`. A decision that is left to others is not one to record.
    pub fn to_w3c(self) -> String {
        traceparent(self.trace, self.span, self.sampled == Some(true))
    }
}

/// The number of lower-case hexadecimal digits, of which there are at most 32.
fn hex(text: &str) -> Option<u128> {
    let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = text.as_bytes().iter().all(digit);
    digits.then(|| u128::from_str_radix(text, 16).ok())?
}

fn sampled(word: &str) -> Option<bool> {
    match word {
        "1" | "true" | "d" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn traceparent(trace: u128, span: u64, sampled: bool) -> String {
    let mut text = String::with_capacity(TRACEPARENT_BYTES);
    let _infallible = write!(
        text,
        "00-{trace:032x}-{span:016x}-{:02x}",
        u8::from(sampled)
    );
    text
}

impl Trace {
    /// The place of a call whose caller is at `parent`. Without a decision of the caller, one in `1 / share` is recorded.
    pub fn begin(
        parent: Option<Parent>,
        share: f64,
        propagation: Propagation,
        random: &mut Random,
    ) -> Self {
        let decided = parent.and_then(|parent| parent.sampled);
        let sampled = decided.unwrap_or_else(|| random.chance(share));
        let mut drawn = || random.draw().max(1);
        let id = parent.map(|parent| parent.trace);
        Trace {
            id: id.unwrap_or_else(|| u128::from(drawn()) << 64 | u128::from(drawn())),
            parent: parent.map(|parent| parent.span),
            span: drawn(),
            sampled,
            propagation,
        }
    }

    /// The span of the lookup at this index of the view.
    pub fn lookup_span(&self, at: usize) -> u64 {
        self.nth_span(at as u64 + 1)
    }

    /// The span of a phase of the call itself.
    pub fn phase_span(&self, at: usize) -> u64 {
        self.nth_span(u64::MAX - at as u64)
    }

    fn nth_span(&self, nth: u64) -> u64 {
        self.span.wrapping_add(nth.wrapping_mul(SPAN_STEP)).max(1)
    }

    /// The `traceparent` of what belongs to `span`.
    pub fn traceparent(&self, span: u64) -> String {
        traceparent(self.id, span, self.sampled)
    }

    /// The headers for a store that is asked by the lookup at this index.
    pub fn headers(
        &self,
        at: usize,
        tracestate: Option<&Arc<str>>,
    ) -> Vec<(&'static str, Arc<str>)> {
        let span = self.lookup_span(at);
        let digit = if self.sampled { "1" } else { "0" };
        let mut headers = Vec::with_capacity(2);
        if self.propagation.w3c {
            headers.push(("traceparent", self.traceparent(span).into()));
            headers.extend(tracestate.map(|state| ("tracestate", Arc::clone(state))));
        }
        if self.propagation.b3 {
            let text = format!("{:032x}-{span:016x}-{digit}-{:016x}", self.id, self.span);
            headers.push(("b3", text.into()));
        }
        if self.propagation.b3_multi {
            headers.push(("x-b3-traceid", format!("{:032x}", self.id).into()));
            headers.push(("x-b3-spanid", format!("{span:016x}").into()));
            headers.push(("x-b3-parentspanid", format!("{:016x}", self.span).into()));
            headers.push(("x-b3-sampled", digit.into()));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const ID: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    const SPAN: u64 = 0xb7ad_6b71_6920_3331;

    #[test]
    fn traceparents_are_strict() {
        let read = Parent::of_w3c(TRACE).expect("valid");
        assert_eq!(
            (read.trace, read.span, read.sampled),
            (ID, SPAN, Some(true))
        );
        assert_eq!(read.to_w3c(), TRACE);
        let later = format!("01{}-more", &TRACE[2..]);
        assert_eq!(Parent::of_w3c(&later), Some(read));
        let unsampled = TRACE.replace("-01", "-02");
        assert_eq!(
            Parent::of_w3c(&unsampled).and_then(|of| of.sampled),
            Some(false)
        );
        let bad = [
            "",
            &TRACE[1..],
            &format!("{TRACE}-more"),
            &format!("01{}more", &TRACE[2..]),
            &format!("01{}-{}", &TRACE[2..], "x".repeat(TRACEPARENT_MAX)),
            &format!("ff{}", &TRACE[2..]),
            &TRACE.to_uppercase(),
            &TRACE.replace('-', "_"),
            &TRACE.replacen("-0af", "0-af", 1),
            &TRACE.replacen('0', "+", 1),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ];
        for bad in bad {
            assert_eq!(Parent::of_w3c(bad), None, "{bad}");
        }
    }

    #[test]
    fn b3_is_read_in_one_header_and_in_several() {
        let (trace, span) = (&TRACE[3..35], &TRACE[36..52]);
        let read = |text: &str| Parent::of_b3(text).map(|of| (of.trace, of.span, of.sampled));
        let ids = format!("{trace}-{span}");
        assert_eq!(read(&ids), Some((ID, SPAN, None)));
        assert_eq!(read(&format!("{ids}-1")), Some((ID, SPAN, Some(true))));
        assert_eq!(read(&format!("{ids}-d")), Some((ID, SPAN, Some(true))));
        let whole = format!("{ids}-0-{span}");
        assert_eq!(read(&whole), Some((ID, SPAN, Some(false))));
        let short = format!("{}-{span}", &trace[16..]);
        assert_eq!(read(&short).map(|of| of.0), Some(ID & u128::from(u64::MAX)));
        let bad = [
            "",
            "0",
            "1-2",
            &format!("{ids}-2"),
            &format!("{ids}-1-2"),
            &format!("{whole}-1"),
            &format!("{trace}a-{span}"),
            &format!("{span}-{trace}"),
            &ids.to_uppercase(),
        ];
        for bad in bad {
            assert_eq!(read(bad), None, "{bad}");
        }
        let multi = |sampled, flags| {
            Parent::of_b3_multi((trace, span), sampled, flags).and_then(|of| of.sampled)
        };
        assert_eq!(multi(None, None), None);
        assert_eq!(multi(Some("0"), None), Some(false));
        assert_eq!(multi(Some("true"), None), Some(true));
        assert_eq!(multi(Some("0"), Some("1")), Some(true));
        assert_eq!(Parent::of_b3_multi((trace, "zz"), None, None), None);
    }

    #[test]
    fn the_callers_decision_holds_and_without_one_a_share_is_recorded() {
        let mut random = Random::seeded(3);
        let mut begin =
            |parent, share| Trace::begin(parent, share, Propagation::default(), &mut random);
        let parent = |sampled| Parent {
            trace: ID,
            span: SPAN,
            sampled,
        };
        let of_caller = begin(Some(parent(Some(true))), 0.0);
        assert!(of_caller.sampled);
        assert_eq!((of_caller.id, of_caller.parent), (ID, Some(SPAN)));
        assert_ne!(of_caller.span, SPAN);
        assert!(!begin(Some(parent(Some(false))), 1.0).sampled);
        let count = |sampled: Vec<bool>| sampled.into_iter().filter(|it| *it).count();
        let deferred = (0..1000).map(|_| begin(Some(parent(None)), 0.1).sampled);
        assert!((70..130).contains(&count(deferred.collect())));
        let own = begin(None, 1.0);
        assert!(own.sampled && own.parent.is_none() && own.id != 0);
        assert!(!begin(None, 0.0).sampled);
    }

    #[test]
    fn stores_get_the_span_of_their_lookup() {
        let trace = Trace {
            id: ID,
            parent: None,
            span: SPAN,
            sampled: true,
            propagation: Propagation {
                w3c: true,
                b3: true,
                b3_multi: true,
            },
        };
        let state: Arc<str> = "a=1".into();
        let headers = trace.headers(1, Some(&state));
        let of = |name: &str| {
            headers
                .iter()
                .find(|(of, _)| *of == name)
                .map(|(_, value)| &**value)
        };
        let span = format!("{:016x}", trace.lookup_span(1));
        let (id, own) = (&TRACE[3..35], &TRACE[36..52]);
        assert_eq!(of("traceparent"), Some(&*format!("00-{id}-{span}-01")));
        assert_eq!(of("tracestate"), Some("a=1"));
        assert_eq!(of("b3"), Some(&*format!("{id}-{span}-1-{own}")));
        assert_eq!(of("x-b3-traceid"), Some(id));
        assert_eq!(of("x-b3-spanid"), Some(&*span));
        assert_eq!(of("x-b3-parentspanid"), Some(own));
        assert_eq!(of("x-b3-sampled"), Some("1"));
        let spans = [
            trace.span,
            trace.lookup_span(0),
            trace.lookup_span(1),
            trace.phase_span(0),
        ];
        for (at, span) in spans.iter().enumerate() {
            assert!(!spans[at + 1..].contains(span), "{spans:x?}");
        }
        let silent = Trace {
            propagation: Propagation {
                w3c: false,
                b3: false,
                b3_multi: false,
            },
            ..trace
        };
        assert_eq!(silent.headers(0, Some(&state)), []);
    }
}
