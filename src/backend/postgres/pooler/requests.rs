//! Rewrites what the client sends: a named statement becomes the unnamed one, parsed again wherever it is used.
//!
//! `Bind` to a name becomes the preamble (once in a transaction), `Parse`, `Describe` and `Bind` without a name. The
//! replies to what was added are listed as [`Expected::Ours`] or [`Expected::Compare`].

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::expected::{Expected, ExpectedReplies, Known};

/// The client's messages, which may come in any pieces.
pub(super) struct Requests {
    preamble: Bytes,
    /// A message that is not whole yet.
    partial: BytesMut,
    /// Whether the first message, which has no type, was sent.
    is_started: bool,
    /// Whether the preamble of this transaction was sent.
    is_begun: bool,
    statements: HashMap<Bytes, Arc<Known>>,
}

/// The messages that run `sql`, which has no parameters.
pub(super) fn preamble(sql: &str) -> Bytes {
    let mut out = BytesMut::new();
    message(&mut out, b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"]);
    message(&mut out, b'B', &[&[0; 8]]);
    message(&mut out, b'E', &[&[0; 5]]);
    out.freeze()
}

/// How many replies the preamble has: to `Parse`, `Bind` and `Execute`.
const PREAMBLE_REPLIES: usize = 3;

impl Requests {
    pub(super) fn new(preamble: Bytes) -> Self {
        Requests {
            preamble,
            partial: BytesMut::new(),
            is_started: false,
            is_begun: false,
            statements: HashMap::new(),
        }
    }

    /// Takes more bytes of the client; what is to be sent is appended to `out`.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        out: &mut BytesMut,
        steps: &mut ExpectedReplies,
    ) -> io::Result<()> {
        self.partial.extend_from_slice(bytes);
        loop {
            let tag_bytes = usize::from(self.is_started);
            let Some(length) = whole(&self.partial, tag_bytes)? else {
                return Ok(());
            };
            let mut whole = self.partial.split_to(length).freeze();
            if !self.is_started {
                self.is_started = true;
                out.extend_from_slice(&whole);
                continue;
            }
            let tag = whole[0];
            let original = whole.clone();
            whole.advance(5);
            if self.rewrite(tag, whole, out, steps).is_none() {
                out.extend_from_slice(&original);
            }
        }
    }

    /// `None` if the message is to be sent as it is.
    fn rewrite(
        &mut self,
        tag: u8,
        mut body: Bytes,
        out: &mut BytesMut,
        steps: &mut ExpectedReplies,
    ) -> Option<()> {
        match tag {
            b'P' => {
                let name = text(&mut body)?;
                if name.is_empty() {
                    self.begin(out, steps);
                    steps.push_back(Expected::Theirs);
                    return None;
                }
                message(out, b'P', &[b"\0", &body]);
                steps.push_back(Expected::Theirs);
                let known = Known {
                    parse: body,
                    described: OnceLock::new(),
                };
                // Those that the server refused to prepare are never closed.
                self.statements.retain(|_, known| {
                    known.described.get().is_some() || Arc::strong_count(known) > 1
                });
                self.statements.insert(name, Arc::new(known));
            }
            b'B' => {
                let portal = text(&mut body)?;
                let name = text(&mut body)?;
                if let Some(known) = self.statements.get(&name).cloned() {
                    self.begin(out, steps);
                    message(out, b'P', &[b"\0", &known.parse]);
                    message(out, b'D', &[b"S\0"]);
                    steps.extend([Expected::Ours, Expected::Compare(known)]);
                    message(out, b'B', &[&portal, b"\0\0", &body]);
                    steps.push_back(Expected::Theirs);
                    return Some(());
                }
                steps.push_back(Expected::Theirs);
                return None;
            }
            b'D' => {
                let name = body.strip_prefix(b"S").map(|name| body.slice_ref(name));
                let known = name.and_then(|mut name| self.statements.get(&text(&mut name)?));
                let Some(known) = known else {
                    steps.push_back(Expected::Theirs);
                    return None;
                };
                message(out, b'D', &[b"S\0"]);
                steps.push_back(Expected::Learn(Arc::clone(known)));
            }
            b'C' => {
                steps.push_back(Expected::Theirs);
                let mut name = body.slice_ref(body.strip_prefix(b"S")?);
                self.statements.remove(&text(&mut name)?)?;
                message(out, b'C', &[b"S\0"]);
            }
            b'E' => {
                steps.push_back(Expected::Theirs);
                return None;
            }
            b'S' | b'Q' => {
                self.is_begun = false;
                steps.push_back(Expected::Sync);
                return None;
            }
            _ => return None,
        }
        Some(())
    }

    fn begin(&mut self, out: &mut BytesMut, steps: &mut ExpectedReplies) {
        if !self.is_begun {
            self.is_begun = true;
            out.extend_from_slice(&self.preamble);
            steps.extend((0..PREAMBLE_REPLIES).map(|_| Expected::Ours));
        }
    }
}

/// The longest message of either side: PostgreSQL's own limit for what a client sends.
const BYTES_MAX: usize = 0x3fff_ffff;

/// How long the first message of `bytes` is, once it is whole. Its length stands after `before` bytes.
pub(super) fn whole(bytes: &[u8], before: usize) -> io::Result<Option<usize>> {
    let length = bytes.get(before..before + 4);
    let Some(length) = length.and_then(|length| <[u8; 4]>::try_from(length).ok()) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(length) as usize;
    if !(4..=BYTES_MAX).contains(&length) {
        let why = "a message of PostgreSQL with an impossible length";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(Some(before + length).filter(|length| *length <= bytes.len()))
}

/// Appends a message.
pub(super) fn message(out: &mut BytesMut, tag: u8, parts: &[&[u8]]) {
    let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.put_u8(tag);
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Takes text that ends in a zero byte.
fn text(body: &mut Bytes) -> Option<Bytes> {
    let end = body.iter().position(|byte| *byte == 0)?;
    let text = body.split_to(end);
    body.advance(1);
    Some(text)
}
