//! One span: plain data with the numbers of OTLP. Times are nanoseconds of Unix time.

use std::borrow::Cow;

/// The part of a span's work in the whole: the numbers of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AttributeValue<'c> {
    Text(Cow<'c, str>),
    Int(i64),
    Bool(bool),
}

pub(super) type Attribute<'c> = (&'static str, AttributeValue<'c>);

/// One span. Times are nanoseconds of Unix time. The next one is written over it, in the same memory.
#[derive(Debug)]
pub(super) struct Span<'c> {
    pub(super) trace: u128,
    pub(super) id: u64,
    pub(super) parent: Option<u64>,
    /// The parent is a span of another process.
    pub(super) is_remote: bool,
    pub(super) name: Cow<'c, str>,
    pub(super) kind: SpanKind,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: Vec<Attribute<'c>>,
    /// When something happened in it, and what.
    pub(super) event: Option<(u64, &'static str)>,
    /// Other spans of the trace on which it depends.
    pub(super) links: Vec<u64>,
    pub(super) failed: bool,
}

/// The flags of an exported span: it is recorded, and whether its parent is remote is known.
const RECORDED: u32 = 0x101;
/// Its parent is remote.
const REMOTE: u32 = 0x200;

impl<'c> Span<'c> {
    /// One that is written over before it is read.
    pub(super) fn blank() -> Self {
        Span {
            trace: 0,
            id: 0,
            parent: None,
            is_remote: false,
            name: Cow::Borrowed(""),
            kind: SpanKind::Internal,
            start: 0,
            end: 0,
            attributes: Vec::new(),
            event: None,
            links: Vec::new(),
            failed: false,
        }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, name: &'static str, value: impl Into<Cow<'c, str>>) {
        self.attributes
            .push((name, AttributeValue::Text(value.into())));
    }

    /// Adds a number.
    pub(super) fn int(&mut self, name: &'static str, value: impl TryInto<i64>) {
        let value = value.try_into().unwrap_or(i64::MAX);
        self.attributes.push((name, AttributeValue::Int(value)));
    }

    /// Adds a yes or no.
    pub(super) fn bit(&mut self, name: &'static str, value: bool) {
        self.attributes.push((name, AttributeValue::Bool(value)));
    }

    /// The number in the field `flags`.
    pub(super) fn flags(&self) -> u32 {
        if self.is_remote {
            RECORDED | REMOTE
        } else {
            RECORDED
        }
    }
}
