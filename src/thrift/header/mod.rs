//! THeader: a frame that says beside its message which protocol it holds and any pairs of text.
//!
//! In: a whole frame, without its length. Out: the message in it, and a [`Header`] that keeps what the frames of one
//! connection say: the last one's sequence id and pairs, and the pairs that hold for the rest of the connection.
//! The other way, [`HeaderOut`] is what a frame to send says. Layout: Apache's doc/specs/HeaderFormat.md; what
//! may be left unread (unknown info ids, flags, padding) is stepped over. A frame that is transformed, or whose
//! protocol is unknown, ends where it says: its stream goes on.

mod inflate;
mod read;
mod write;

use bytes::Bytes;

use super::error::{too_long_headers, too_many_headers};
use super::{Protocol, WireError};

pub use write::HeaderOut;
pub(crate) use write::write_head;

/// Stands where a message without THeader has its version.
pub(crate) const MAGIC: [u8; 2] = [0x0f, 0xff];
/// Magic, flags and sequence id.
const START_BYTES: usize = 8;
/// The same and the size of what follows up to the message.
const FIXED_BYTES: usize = START_BYTES + 2;

/// How protocols are numbered.
const BINARY: u32 = 0;
const COMPACT: u32 = 2;
/// The transform that may be enabled.
const ZLIB: u32 = 1;
/// Pairs of this frame.
const INFO_PAIRS: u32 = 1;
/// Pairs of this frame and all that follow.
const INFO_PERSISTENT: u32 = 2;

/// The most pairs in one frame, and the most that are kept for a connection.
const PAIRS_MAX: usize = 128;
/// The largest header of one frame.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// What the pairs that are kept for a connection may hold, names included.
const PERSISTENT_BYTES_MAX: usize = 8 * 1024;

/// Pairs of names and values, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Bytes, Bytes)>);

impl Headers {
    /// The value of `name`, in whatever case it is written; the last one if there are several.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let mut pairs = self.0.iter().rev();
        let found = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(&found.1)
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (&key[..], &value[..]))
    }

    /// Whether there are none.
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

    /// Puts a copy in the place of a pair with this very name, or at the end: a slice would keep a whole frame's
    /// bytes alive for as long as the connection.
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

/// What the frames of one connection said beside their messages.
#[derive(Debug)]
pub struct Header {
    /// The last frame's.
    sequence: i32,
    /// The last frame's.
    protocol: Protocol,
    /// The last frame's.
    info: Headers,
    /// Those that hold for the rest of the connection.
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
    /// The last frame's sequence id, which its reply's frame repeats.
    pub fn sequence(&self) -> i32 {
        self.sequence
    }

    /// The protocol of the last frame's message; of one that can't be read, what its reply is written in.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The pairs of the last frame alone.
    pub fn headers(&self) -> &Headers {
        &self.info
    }

    /// What the last frame says of `name`, or else one before it for the rest of the connection.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.info.get(name).or_else(|| self.persistent.get(name))
    }

    /// Lets go of the last frame's pairs.
    pub(crate) fn forget(&mut self) {
        self.info.0.clear();
    }

    /// The most pairs of one kind, and how many bytes those hold that are kept for the connection.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn kept(&self) -> (usize, usize) {
        let kept = self.persistent.iter();
        let bytes = kept.map(|(key, value)| key.len() + value.len()).sum();
        (self.info.0.len().max(self.persistent.0.len()), bytes)
    }

    /// As [`Header::get`], if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }
}
