//! Reads the answer to one multi-get as it arrives.
//!
//! The text protocol: `VALUE key flags bytes`, a line end, as many bytes and a line end for each key that exists, then
//! `END`; or one line with an error. No byte is parsed twice. A length is only trusted as far as bytes arrive, and a value
//! has to be that of a key that was asked for, once. A value for which there is no memory is skipped. Source: memcached's `doc/protocol.txt`.

use bytes::{Buf as _, Bytes, BytesMut};

use super::value_sizes::Values;
use crate::backend::LookupError;
use crate::backend::format::bad_answer;
use crate::backend::memory::Reading;
use crate::error::Code;

/// The longest line: a key of 250 bytes and numbers, or an error with its words.
const LINE_BYTES_MAX: usize = 2048;
/// The longest value, which is the limit of memcached itself.
const VALUE_BYTES_MAX: usize = 1 << 30;
/// Longer values keep the buffer that they were read into. Shorter ones are copied, so that a small value never keeps a
/// large buffer alive.
const COPIED_MAX: usize = 4 * 1024;

/// An answer that is not complete yet.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    keys: &'a [Bytes],
    found: Values,
    /// Where the search for the next value's key begins: servers answer in the order of the keys.
    next: usize,
    /// The value whose bytes come next: the place of its key, and its length.
    value: Option<(usize, usize)>,
    /// That value is skipped: its length is what is left of it.
    skips: bool,
    /// How many bytes the values before it have.
    taken: usize,
    memory: Reading,
    /// How much of the line at the front has been searched for its end.
    searched: usize,
}

impl<'a> Incoming<'a> {
    /// Nothing has come yet. What comes is counted in `memory`.
    pub(super) fn new(keys: &'a [Bytes], memory: Reading) -> Self {
        let found = vec![None; keys.len()];
        Incoming {
            keys,
            found: Values {
                found,
                ..Values::default()
            },
            next: 0,
            value: None,
            skips: false,
            taken: 0,
            memory,
            searched: 0,
        }
    }

    /// Takes what has come. `None` as long as more has to come; the values in the order of the keys once the answer is
    /// complete. After an error, nothing that follows can be understood.
    pub(super) fn take(&mut self, input: &mut BytesMut) -> Result<Option<Values>, LookupError> {
        loop {
            if let Some((at, length)) = self.value
                && !self.take_value(at, length, input)?
            {
                return Ok(None);
            }
            let Some(length) = self.line(input)? else {
                return Ok(None);
            };
            let is_end = self.understand(&input[..length])?;
            input.advance(length + 2);
            if is_end {
                let mut found = std::mem::take(&mut self.found);
                found.held = self.memory.take().held();
                return Ok(Some(found));
            }
        }
    }

    /// Takes the value at the front, if all of it has come, for the key at `at`.
    fn take_value(
        &mut self,
        at: usize,
        mut length: usize,
        input: &mut BytesMut,
    ) -> Result<bool, LookupError> {
        let here = self.taken + length.min(input.len());
        if !self.skips && self.memory.now(here).is_err() {
            self.skips = true;
            self.found.refused.push(at);
        }
        if self.skips {
            let some = length.min(input.len());
            input.advance(some);
            length -= some;
            self.value = Some((at, length));
        }
        let Some(end) = input.get(length..length + 2) else {
            return Ok(false);
        };
        if end != b"\r\n" {
            return Err(garbage("memcached sent a value that does not end"));
        }
        self.taken += length;
        let bytes = if length <= COPIED_MAX {
            let bytes = Bytes::copy_from_slice(&input[..length]);
            input.advance(length);
            bytes
        } else {
            input.split_to(length).freeze()
        };
        input.advance(2);
        self.found.found[at] = Some(bytes);
        (self.value, self.skips) = (None, false);
        Ok(true)
    }

    /// The length of the line at the front, once it has come.
    fn line(&mut self, input: &[u8]) -> Result<Option<usize>, LookupError> {
        let rest = &input[self.searched..];
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                let end = self.searched + at;
                self.searched = 0;
                match input[..end].strip_suffix(b"\r") {
                    Some(line) if line.len() <= LINE_BYTES_MAX => Ok(Some(line.len())),
                    _ => Err(garbage("memcached sent a line that does not end")),
                }
            }
            None if input.len() > LINE_BYTES_MAX => {
                Err(garbage("memcached sent a line that is too long"))
            }
            None => {
                self.searched = input.len();
                Ok(None)
            }
        }
    }

    /// Whether a line is the end of the answer. Otherwise it announces a value.
    fn understand(&mut self, line: &[u8]) -> Result<bool, LookupError> {
        if line == b"END" {
            return Ok(true);
        }
        let Some(value) = line.strip_prefix(b"VALUE ") else {
            return Err(refused(line));
        };
        let mut words = value.split(|byte| *byte == b' ');
        let (key, flags, length) = (words.next(), words.next(), words.next());
        let (Some(key), Some(_), Some(length)) =
            (key, flags.and_then(number), length.and_then(number))
        else {
            return Err(garbage("memcached announced a value in an unknown form"));
        };
        if length > VALUE_BYTES_MAX {
            return Err(garbage("memcached announced a value that is too long"));
        }
        let mut from_next = (self.next..self.keys.len()).chain(0..self.next);
        let Some(at) = from_next.find(|at| self.keys[*at] == key) else {
            return Err(garbage("memcached sent a key that was not asked for"));
        };
        if self.found.found[at].is_some() {
            return Err(garbage("memcached sent two values of one key"));
        }
        self.next = at + 1;
        self.value = Some((at, length));
        Ok(false)
    }
}

/// Whether the answer to a login has come, which is one line. One that does not let us in is an error.
pub(super) fn logged_in(input: &mut BytesMut) -> Result<bool, LookupError> {
    let Some(length) = Incoming::new(&[], Reading::default()).line(input)? else {
        return Ok(false);
    };
    let line = input.split_to(length + 2);
    match &line[..length] {
        b"STORED" => Ok(true),
        line => Err(refused(line)),
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    let is_plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_plain)?;
    text.parse().ok()
}

/// The error of a line that is neither a value nor the end.
fn refused(line: &[u8]) -> LookupError {
    let text = String::from_utf8_lossy(line);
    let code = match text.split(' ').next() {
        // Said to a connection that is one too many, which is closed then. A plain `ERROR` is about the command.
        Some("ERROR") if text.len() > "ERROR".len() => Code::LookupUnavailable,
        Some("ERROR" | "CLIENT_ERROR") => Code::LookupRefused,
        Some("SERVER_ERROR") => Code::LookupFailed,
        _ => {
            return garbage("memcached answered something that is neither a value nor an error");
        }
    };
    LookupError::new(code, format!("memcached: {text}")).answered()
}

/// The error of bytes that are no answer.
fn garbage(why: &str) -> LookupError {
    bad_answer(why).garbage()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::backend::StoreMemory;
    use crate::config::LimitsConfig;

    fn keys(keys: &[&'static str]) -> Vec<Bytes> {
        keys.iter().copied().map(Bytes::from).collect()
    }

    /// The outcome for bytes that come in pieces of this length, and what is left of them.
    fn taken(
        keys: &[Bytes],
        bytes: &[u8],
        piece: usize,
    ) -> (Result<Option<Values>, Code>, BytesMut) {
        counted(&StoreMemory::default(), keys, bytes, piece)
    }

    fn counted(
        memory: &StoreMemory,
        keys: &[Bytes],
        bytes: &[u8],
        piece: usize,
    ) -> (Result<Option<Values>, Code>, BytesMut) {
        let mut incoming = Incoming::new(keys, memory.read_shared());
        let mut input = BytesMut::new();
        let mut outcome = Ok(None);
        for piece in bytes.chunks(piece) {
            input.extend_from_slice(piece);
            if matches!(outcome, Ok(None)) {
                outcome = incoming.take(&mut input).map_err(|err| err.code);
            }
        }
        (outcome, input)
    }

    #[test]
    fn values_find_their_keys_in_any_order_and_however_they_arrive() {
        let long = "x".repeat(COPIED_MAX + 1);
        let bytes = format!(
            "VALUE c 0 3\r\na\r\n\r\nVALUE a 7 0 99\r\n\r\nVALUE d 0 {}\r\n{long}\r\nEND\r\nmore",
            long.len()
        );
        let keys = keys(&["a", "b", "c", "d"]);
        let found = [Some(""), None, Some("a\r\n"), Some(&*long)];
        let found = found.map(|value| value.map(|value| Bytes::copy_from_slice(value.as_bytes())));
        for piece in [1, 2, 7, bytes.len()] {
            let (outcome, left) = taken(&keys, bytes.as_bytes(), piece);
            let outcome = outcome.map(|values| values.expect("whole").found);
            assert_eq!(outcome, Ok(found.to_vec()), "{piece}");
            assert_eq!(left, "more");
        }
    }

    #[test]
    fn everything_else_has_its_code() {
        use Code::{LookupBadAnswer, LookupFailed, LookupRefused, LookupUnavailable};
        for (bytes, code) in [
            ("ERROR\r\n", LookupRefused),
            ("CLIENT_ERROR bad command line format\r\n", LookupRefused),
            ("SERVER_ERROR out of memory\r\n", LookupFailed),
            ("ERROR Too many open connections\r\n", LookupUnavailable),
            ("STORED\r\n", LookupBadAnswer),
            ("\r\n", LookupBadAnswer),
            ("END\n", LookupBadAnswer),
            ("END \r\n", LookupBadAnswer),
            ("VALUE b 0 1\r\n", LookupBadAnswer),
            ("VALUE a 0 x\r\n", LookupBadAnswer),
            ("VALUE a 0 -1\r\n", LookupBadAnswer),
            ("VALUE a 0\r\n", LookupBadAnswer),
            ("VALUE a 0 1073741825\r\n", LookupBadAnswer),
            ("VALUE a 0 18446744073709551616\r\n", LookupBadAnswer),
            ("VALUE a 0 1\r\nlonger\r\n", LookupBadAnswer),
            ("VALUE a 0 1\r\n1\r\nVALUE a 0 1\r\n", LookupBadAnswer),
        ] {
            for piece in [1, bytes.len()] {
                let (outcome, _) = taken(&keys(&["a"]), bytes.as_bytes(), piece);
                assert_eq!(outcome, Err(code), "{bytes:?}");
            }
        }
        let endless = "x".repeat(LINE_BYTES_MAX + 1);
        let (outcome, _) = taken(&keys(&["a"]), endless.as_bytes(), 100);
        assert_eq!(outcome, Err(LookupBadAnswer));
    }

    #[test]
    fn a_value_without_memory_is_skipped_and_those_beside_it_are_not() {
        let long = "x".repeat(2_000_000);
        let bytes = format!(
            "VALUE a 0 1\r\n1\r\nVALUE b 0 {0}\r\n{long}\r\nVALUE c 0 {1}\r\n{2}\r\nEND\r\n",
            long.len(),
            long.len() / 4,
            &long[..long.len() / 4],
        );
        for piece in [1000, 65_536, bytes.len()] {
            let memory = StoreMemory::new(&LimitsConfig {
                store_bytes_max: 1024 * 1024,
                ..LimitsConfig::default()
            });
            let held = || memory.counts()[0][0].load(Ordering::Relaxed);
            let keys = keys(&["a", "b", "c"]);
            let (outcome, left) = counted(&memory, &keys, bytes.as_bytes(), piece);
            let values = outcome.expect("values").expect("whole");
            assert_eq!(values.refused, [1], "{piece}");
            assert_eq!(values.found[0].as_deref(), Some(&b"1"[..]));
            assert_eq!(
                values.found[2].as_deref(),
                Some(&long.as_bytes()[..500_000])
            );
            assert!(left.is_empty() && held() >= 500_000, "{}", held());
            drop(values);
            assert_eq!(held(), 0);
            let bad = bytes.replace("x\r\nVALUE c", "xx\r\nVALUE c");
            let (outcome, _) = counted(&memory, &keys, bad.as_bytes(), piece);
            assert_eq!(outcome, Err(Code::LookupBadAnswer));
        }
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let (outcome, left) = taken(&keys(&["a"]), b"VALUE a 0 1073741824\r\nx", 99);
        assert_eq!(outcome, Ok(None));
        assert!(left.capacity() < 1024, "{}", left.capacity());
    }
}
