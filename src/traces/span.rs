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

/// One span. Times are nanoseconds of Unix time.
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
    /// When something happened, and what.
    pub(super) events: Vec<(u64, &'static str)>,
    /// Other spans of the trace on which it depends.
    pub(super) links: Vec<u64>,
    pub(super) failed: bool,
}

/// The flags of an exported span: it is recorded, and whether its parent is remote is known.
const RECORDED: u32 = 0x101;
/// Its parent is remote.
const REMOTE: u32 = 0x200;

impl Span<'_> {
    /// The number in the field `flags`.
    pub(super) fn flags(&self) -> u32 {
        if self.is_remote {
            RECORDED | REMOTE
        } else {
            RECORDED
        }
    }
}
