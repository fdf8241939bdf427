//! `THeader`: frames with a header that names the message's protocol and carries pairs of text.
//!
//! In: a whole frame, without its length. Out: its message, and a [`Header`] with the sequence id and pairs of the
//! last frame and the pairs that hold for the rest of the connection. [`HeaderOut`] is the header of a frame to send.
//! Layout: Apache's `doc/specs/HeaderFormat.md`. Unknown info ids, flags and padding are skipped. If a frame uses an
//! unsupported transform or protocol, the stream continues after it.

mod inflate;
mod read;
mod write;

use bytes::Bytes;

use super::error::{WireError, too_long_headers, too_many_headers};
use super::protocol::Protocol;

pub use write::HeaderOut;
pub(crate) use write::write_head;

/// The first bytes of a frame, where other transports have the first bytes of the message.
pub(crate) const MAGIC: [u8; 2] = [0x0f, 0xff];
/// Magic, flags and sequence id.
const START_BYTES: usize = 8;
/// The same, and the size of the rest of the header.
const FIXED_BYTES: usize = START_BYTES + 2;

/// The transform that can be enabled.
const ZLIB: u32 = 1;
/// Info id: pairs for this frame.
const INFO_PAIRS: u32 = 1;
/// Info id: pairs for this frame and all later ones.
const INFO_PERSISTENT: u32 = 2;

/// The most pairs in one frame, and the most kept for a connection.
const PAIRS_MAX: usize = 128;
/// The longest header of one frame.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// The most bytes kept for a connection, names and values together.
const PERSISTENT_BYTES_MAX: usize = 8 * 1024;

/// Pairs of names and values, in order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Bytes, Bytes)>);

impl Headers {
    /// The value of `name`, compared without regard to case; the last one if there are several.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let mut pairs = self.0.iter().rev();
        let found = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(&found.1)
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (&key[..], &value[..]))
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, key: Bytes, value: Bytes) -> Result<(), WireError> {
        if self.0.len() == PAIRS_MAX {
            return Err(too_many_headers(PAIRS_MAX));
        }
        self.0.push((key, value));
        Ok(())
    }

    /// Replaces the pair with exactly this name, or adds one. It stores copies: a slice would keep a whole frame in
    /// memory for as long as the connection lives.
    fn replace(&mut self, key: &[u8], value: &[u8]) -> Result<(), WireError> {
        self.0.retain(|(have, _)| have != key);
        let kept: usize = self
            .0
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if kept + key.len() + value.len() > PERSISTENT_BYTES_MAX {
            return Err(too_long_headers(PERSISTENT_BYTES_MAX));
        }
        self.push(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))
    }
}

/// The headers of one connection's frames.
#[derive(Debug)]
pub struct Header {
    /// The sequence id of the last frame.
    sequence: i32,
    /// The protocol of the last frame.
    protocol: Protocol,
    /// The pairs of the last frame.
    info: Headers,
    /// The pairs that hold for the rest of the connection.
    persistent: Headers,
}

impl Default for Header {
    fn default() -> Self {
        Header {
            sequence: 0,
            protocol: Protocol::Binary,
            info: Headers::default(),
            persistent: Headers::default(),
        }
    }
}

impl Header {
    /// The sequence id of the last frame; the frame of the reply repeats it.
    pub fn sequence(&self) -> i32 {
        self.sequence
    }

    /// The protocol of the last frame's message. If it could not be read, the protocol for the reply.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The pairs of the last frame alone.
    pub fn headers(&self) -> &Headers {
        &self.info
    }

    /// The value of `name` in the last frame, otherwise the one kept for the connection.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.info.get(name).or_else(|| self.persistent.get(name))
    }

    /// Drops the pairs of the last frame.
    pub(crate) fn forget(&mut self) {
        self.info.0.clear();
    }

    /// How many pairs are held of either sort, and how many bytes are kept for the connection.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn kept(&self) -> (usize, usize) {
        let kept = self.persistent.iter();
        let bytes = kept.map(|(key, value)| key.len() + value.len()).sum();
        (self.info.0.len().max(self.persistent.0.len()), bytes)
    }

    /// Like [`Header::get`], if the value is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }
}
