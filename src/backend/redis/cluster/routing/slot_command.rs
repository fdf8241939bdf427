//! A packed command with the slot of its keys.

use std::rc::Rc;

use crate::backend::redis::resp::{put_argument, put_head};

/// A command and the slot of all its keys.
pub(in crate::backend::redis::cluster) struct SlotCommand {
    /// The bytes to send.
    pub(in crate::backend::redis::cluster) packed: Rc<[u8]>,
    pub(in crate::backend::redis::cluster) slot: u16,
}

/// `MGET` of these keys.
pub(super) fn mget(keys: &[&[u8]]) -> Rc<[u8]> {
    let mut packed = Vec::new();
    put_head(&mut packed, 1 + keys.len());
    put_argument(&mut packed, b"MGET");
    for key in keys {
        put_argument(&mut packed, key);
    }
    packed.into()
}

/// The keys of a packed command: its first argument, or all of them.
pub(super) fn keys(packed: &[u8], all: bool) -> impl Iterator<Item = &[u8]> {
    words(packed).skip(1).take(if all { usize::MAX } else { 1 })
}

/// The name and the arguments of a packed command.
pub(super) fn words(packed: &[u8]) -> impl Iterator<Item = &[u8]> {
    // The first line has their number, which is not needed: the bytes end after the last one.
    let mut rest = line(packed).map_or(&[][..], |(_, rest)| rest);
    std::iter::from_fn(move || {
        let (length, after) = line(rest)?;
        let length: usize = std::str::from_utf8(length.get(1..)?).ok()?.parse().ok()?;
        rest = after.get(length + 2..)?;
        after.get(..length)
    })
}

/// The first line and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\r')?;
    Some((&bytes[..end], bytes.get(end + 2..)?))
}
