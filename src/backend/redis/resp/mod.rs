//! RESP, the protocol of Redis: writes commands as bytes, and parses replies from bytes as they arrive.
//!
//! Both versions are read; commands are the same in both. A [`Parser`] keeps the parsed part of an incomplete reply,
//! so that no byte is parsed twice, however large the reply and however small the reads. Counts and lengths are only
//! trusted as far as bytes arrive: nothing is allocated from them. Source of the format:
//! redis.io, "RESP protocol description".

mod pack; // commands as bytes
mod reply; // replies, and errors among them
mod room; // for large replies

use std::ops::Range;

use bytes::{Buf as _, Bytes, BytesMut};

pub(super) use self::pack::{
    end_argument, put_argument, put_command, put_head, put_open_argument, put_written,
};
pub(super) use self::reply::{BadReply, Reply, one, refused};
use self::room::Room;
use crate::backend::StoreMemory;
use crate::offload::{LARGE_VALUES, drop_items};

/// Longer strings keep the buffer that they were read into. Shorter ones are copied out of it, adjacent ones together up
/// to this many bytes, so that the buffer can be reused and a small value never keeps a large buffer alive.
const COPIED_MAX: usize = 4 * 1024;
/// How many digits their lengths have.
const DIGITS_SHORT: usize = 4;
/// The longest string, which is the limit of Redis itself.
const STRING_BYTES_MAX: usize = 512 * 1024 * 1024;
/// The longest line: a number, an error or a status.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// How deep arrays may be nested. The replies to our commands have two levels.
const DEPTH_MAX: usize = 8;
/// How many items of an array are allocated before they arrive.
const ITEMS_FIRST: usize = 64;
/// For how many times as many items as have come there is room, at most, if more are announced.
const GROWS_BY: usize = 15;

/// Reads replies.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The incomplete arrays, from the outside in.
    open: Vec<Incomplete>,
    /// How much of the line at the front has been searched for its end.
    searched: usize,
    /// The positions of short strings that are copied together; kept to reuse its memory.
    strings: Vec<Range<usize>>,
    /// Complete pushes, if anybody wants them.
    pushes: Option<Vec<Vec<Reply>>>,
    room: Room,
}

/// An array or map that waits for items.
#[derive(Debug)]
struct Incomplete {
    missing: usize,
    items: Vec<Reply>,
    container: Container,
}

/// What the items of an array become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Array,
    Map,
    /// An attribute, which is not the reply to a command.
    Nothing,
    /// What the server says of its own accord.
    Push,
}

impl Parser {
    /// A parser that counts large replies, and keeps pushes if they are wanted.
    pub(super) fn new(memory: &StoreMemory, keeps_pushes: bool) -> Self {
        Parser {
            room: Room::new(memory),
            pushes: keeps_pushes.then(Vec::new),
            ..Parser::default()
        }
    }

    /// Takes the pushes that have come.
    pub(super) fn pushes(&mut self) -> impl Iterator<Item = Vec<Reply>> {
        self.pushes.iter_mut().flat_map(std::mem::take)
    }

    /// The reply that consists of the items of `open`; `None` for an attribute or a push.
    fn close(&mut self, mut open: Incomplete) -> Option<Reply> {
        if open.container == Container::Push
            && let Some(pushes) = &mut self.pushes
        {
            pushes.push(std::mem::take(&mut open.items));
            return None;
        }
        open.close()
    }

    /// Counts the memory of the incomplete reply, of which the rest of `input` is the end. If there is no room, nothing of the
    /// reply is kept: it becomes [`Reply::Refused`] when it is complete.
    pub(super) fn count(&mut self, input: &BytesMut) {
        if !self.room.takes(input.len()) {
            for open in &mut self.open {
                drop_items(std::mem::take(&mut open.items));
            }
        }
    }

    /// Takes every complete reply out of `input` and hands it to `deal`.
    pub(super) fn each(
        &mut self,
        input: &mut BytesMut,
        mut deal: impl FnMut(Reply) -> Result<(), BadReply>,
    ) -> Result<(), BadReply> {
        loop {
            if self.open.is_empty() && !self.room.skips() {
                let mut taken = 0;
                while let Some(length) = self.find_strings(&input[taken..], usize::MAX) {
                    let copy = Bytes::copy_from_slice(&input[taken..taken + length]);
                    taken += length;
                    for string in &self.strings {
                        deal(Reply::String(copy.slice(string.clone())))?;
                    }
                }
                if taken > 0 {
                    input.advance(taken);
                    self.searched = 0;
                }
            }
            let Some(reply) = self.next(input)? else {
                return Ok(());
            };
            deal(reply)?;
        }
    }

    /// Takes the short strings at the front of `input` for the array that waits for items, except its last item.
    fn take_strings(&mut self, input: &mut BytesMut) {
        while let Some(open) = self.open.last()
            && open.missing > 1
            && !self.room.is_refused()
        {
            let Some(length) = self.find_strings(input, open.missing - 1) else {
                return;
            };
            let copy = Bytes::copy_from_slice(&input[..length]);
            input.advance(length);
            self.searched = 0;
            let count = self.strings.len();
            if let Some(open) = self.open.last_mut() {
                open.missing -= count;
                let strings = self.strings.drain(..).map(|string| copy.slice(string));
                open.items.extend(strings.map(Reply::String));
            }
            self.room.took(length, count);
        }
    }

    /// Finds the short strings at the front of `input`, at most `count`, that may be copied together, and how many bytes
    /// they take.
    fn find_strings(&mut self, input: &[u8], count: usize) -> Option<usize> {
        self.strings.clear();
        let mut taken = 0;
        while self.strings.len() < count
            && let Some(string) = short_string(&input[taken..])
        {
            let end = taken + string.end + 2;
            if end > COPIED_MAX && taken > 0 {
                break;
            }
            self.strings.push(taken + string.start..taken + string.end);
            taken = end;
        }
        (taken > 0).then_some(taken)
    }

    /// Whether a large reply is incomplete.
    pub(super) fn is_in_large_reply(&self) -> bool {
        self.room.is_of_large_reply()
    }

    /// Whether the rest of `input`, of which all complete replies were taken out, begins a reply. A push may come at any time.
    pub(super) fn holds_part_of_reply(&self, input: &[u8]) -> bool {
        match self.open.first() {
            Some(open) => !matches!(open.container, Container::Nothing | Container::Push),
            None => !matches!(input.first(), None | Some(b'>' | b'|')),
        }
    }

    /// Takes the next reply out of `input`; `None` if it is incomplete.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, BadReply> {
        loop {
            self.take_strings(input);
            let before = input.len();
            let Some(token) = self.token(input)? else {
                return Ok(None);
            };
            let mut whole = match token {
                Token::Value(reply) => Some(reply),
                Token::Incomplete(open) if open.missing == 0 => self.close(open),
                Token::Incomplete(_) if self.open.len() == DEPTH_MAX => {
                    return Err(BadReply("arrays are nested too deep"));
                }
                Token::Incomplete(open) => {
                    self.room.took(before - input.len(), 1);
                    self.open.push(open);
                    continue;
                }
            };
            while let Some(reply) = whole.take() {
                let Some(outer) = self.open.last_mut() else {
                    return Ok(Some(self.room.complete(reply)));
                };
                if !self.room.is_refused() {
                    outer.push(reply);
                }
                outer.missing -= 1;
                if outer.missing == 0 {
                    let open = self.open.pop();
                    whole = open.and_then(|open| self.close(open));
                }
            }
            if self.open.is_empty() {
                self.room.clear();
            } else {
                self.room.took(before - input.len(), 1);
            }
        }
    }

    fn token(&mut self, input: &mut BytesMut) -> Result<Option<Token>, BadReply> {
        if self.room.skips() {
            return self.skip(input);
        }
        let Some(end) = self.line(input)? else {
            return Ok(None);
        };
        let line = &input[1..end];
        let value = match input[0] {
            b'$' | b'=' | b'!' if self.room.is_refused() && line.first() != Some(&b'-') => {
                self.room.skip(length(line)?);
                input.advance(end + 2);
                return self.skip(input);
            }
            b'$' | b'=' | b'!' => return string(input, end, &mut self.searched),
            b'*' | b'~' => {
                return Ok(open(input, end, Container::Array, 1)?.map(|token| self.took(token)));
            }
            b'%' => return Ok(open(input, end, Container::Map, 2)?.map(|token| self.took(token))),
            b'>' => {
                return Ok(open(input, end, Container::Push, 1)?.map(|token| self.took(token)));
            }
            b'|' => {
                return Ok(open(input, end, Container::Nothing, 2)?.map(|token| self.took(token)));
            }
            b':' => Reply::Int(number(line).ok_or(BadReply("an invalid integer"))?),
            b'+' | b'(' => Reply::String(Bytes::copy_from_slice(line)),
            b'-' => Reply::Error(String::from_utf8_lossy(line).into_owned()),
            b'_' => Reply::Nil,
            b'#' => match line {
                b"t" => Reply::Bool(true),
                b"f" => Reply::Bool(false),
                _ => return Err(BadReply("an invalid boolean")),
            },
            b',' => {
                let text = std::str::from_utf8(line).unwrap_or_default();
                Reply::Double(text.parse().map_err(|_| BadReply("an invalid double"))?)
            }
            _ => return Err(BadReply("an unknown type")),
        };
        input.advance(end + 2);
        Ok(Some(self.took(Token::Value(value))))
    }

    /// Skips a string of a reply of which nothing is kept.
    fn skip(&mut self, input: &mut BytesMut) -> Result<Option<Token>, BadReply> {
        self.searched = 0;
        let is_over = self.room.skip_some(input)?;
        Ok(is_over.then_some(Token::Value(Reply::Nil)))
    }

    /// The end of the line at the front, if it has come.
    fn line(&mut self, input: &BytesMut) -> Result<Option<usize>, BadReply> {
        let from = self.searched.max(1);
        let Some(rest) = input.get(from..) else {
            return Ok(None);
        };
        let end = rest.iter().position(|&byte| byte == b'\r');
        match end.map(|end| from + end) {
            // The result is the same whether it came in one read or in many.
            Some(end) if end > LINE_BYTES_MAX => Err(BadReply("a line that is too long")),
            Some(end) if input.len() > end + 1 => match input[end + 1] {
                b'\n' => Ok(Some(end)),
                _ => Err(BadReply("a line that does not end")),
            },
            end => {
                self.searched = end.unwrap_or(input.len());
                if self.searched > LINE_BYTES_MAX {
                    return Err(BadReply("a line that is too long"));
                }
                Ok(None)
            }
        }
    }

    fn took(&mut self, token: Token) -> Token {
        self.searched = 0;
        token
    }
}

enum Token {
    Value(Reply),
    Incomplete(Incomplete),
}

impl Incomplete {
    fn push(&mut self, item: Reply) {
        let have = self.items.len();
        if have == self.items.capacity() && have >= LARGE_VALUES {
            // Each time that the list grows, it is copied. Room that is not needed takes no memory of the machine.
            self.items.reserve_exact(self.missing.min(have * GROWS_BY));
        }
        self.items.push(item);
    }

    /// The reply that consists of its items; `None` for an attribute or a push.
    fn close(mut self) -> Option<Reply> {
        let items = std::mem::take(&mut self.items);
        match self.container {
            Container::Array => Some(Reply::Array(items)),
            Container::Nothing | Container::Push => {
                drop_items(items);
                None
            }
            // As if it had come in the older protocol: what makes pairs of it is done elsewhere.
            Container::Map if items.len() > LARGE_VALUES => Some(Reply::Array(items)),
            Container::Map => {
                let mut items = items.into_iter();
                let pairs = std::iter::from_fn(|| Some((items.next()?, items.next()?)));
                Some(Reply::Map(pairs.collect()))
            }
        }
    }
}

impl Drop for Incomplete {
    fn drop(&mut self) {
        drop_items(std::mem::take(&mut self.items));
    }
}

/// An array whose count is in the line that ends at `end`, or a nil.
fn open(
    input: &mut BytesMut,
    end: usize,
    container: Container,
    per_item: usize,
) -> Result<Option<Token>, BadReply> {
    let count = number(&input[1..end]).ok_or(BadReply("an invalid count"))?;
    input.advance(end + 2);
    if count == -1 {
        return Ok(Some(Token::Value(Reply::Nil)));
    }
    let count = i32::try_from(count)
        .ok()
        .and_then(|count| usize::try_from(count).ok());
    let missing = count.ok_or(BadReply("an invalid count"))? * per_item;
    Ok(Some(Token::Incomplete(Incomplete {
        missing,
        items: Vec::with_capacity(missing.min(ITEMS_FIRST)),
        container,
    })))
}

/// The place of a complete short string, the most common of all replies, found in one pass. `None` for everything else.
/// A line end follows it.
#[inline]
fn short_string(input: &[u8]) -> Option<Range<usize>> {
    let mut length = 0;
    for at in 1..=DIGITS_SHORT + 1 {
        match *input.get(at)? {
            digit @ b'0'..=b'9' => length = 10 * length + usize::from(digit - b'0'),
            b'\r' if at > 1 && input[0] == b'$' && length <= COPIED_MAX => {
                let (start, end) = (at + 2, at + 2 + length);
                if input.get(end..end + 2)? != b"\r\n" || input[at + 1] != b'\n' {
                    return None;
                }
                return Some(start..end);
            }
            _ => return None,
        }
    }
    None
}

/// A string whose length is in the line that ends at `end`. The line is kept until the string is complete.
fn string(
    input: &mut BytesMut,
    end: usize,
    searched: &mut usize,
) -> Result<Option<Token>, BadReply> {
    let length = number(&input[1..end]).ok_or(BadReply("an invalid length"))?;
    if length == -1 {
        input.advance(end + 2);
        *searched = 0;
        return Ok(Some(Token::Value(Reply::Nil)));
    }
    let length = self::length(&input[1..end])?;
    let start = end + 2;
    if input.len() < start + length + 2 {
        // Quick to find again when more bytes have arrived.
        *searched = end;
        return Ok(None);
    }
    if input[start + length..start + length + 2] != *b"\r\n" {
        return Err(BadReply("a string that does not end"));
    }
    let kind = input[0];
    let bytes = if length <= COPIED_MAX {
        let bytes = Bytes::copy_from_slice(&input[start..start + length]);
        input.advance(start + length + 2);
        bytes
    } else {
        input.advance(start);
        let bytes = input.split_to(length).freeze();
        input.advance(2);
        bytes
    };
    *searched = 0;
    Ok(Some(Token::Value(match kind {
        b'!' => Reply::Error(String::from_utf8_lossy(&bytes).into_owned()),
        // Three letters and a colon say what kind of text it is.
        b'=' if bytes.len() >= 4 => Reply::String(bytes.slice(4..)),
        b'=' => return Err(BadReply("a verbatim text without its kind")),
        _ => Reply::String(bytes),
    })))
}

/// The length of a string.
fn length(digits: &[u8]) -> Result<usize, BadReply> {
    let length = number(digits).and_then(|length| usize::try_from(length).ok());
    length
        .filter(|&length| length <= STRING_BYTES_MAX)
        .ok_or(BadReply("an invalid length"))
}

/// Parses a decimal number. Written by hand since every reply has one, and the standard parser needs text.
fn number(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() {
        return None;
    }
    let add = |sum: i64, digit: &u8| {
        let digit = i64::from(digit.checked_sub(b'0').filter(|digit| *digit <= 9)?);
        // Counts downwards, because the smallest number has no positive counterpart.
        sum.checked_mul(10)?.checked_sub(digit)
    };
    let sum = digits.iter().try_fold(0_i64, add)?;
    if negative {
        Some(sum)
    } else {
        sum.checked_neg()
    }
}

#[cfg(test)]
mod tests;
