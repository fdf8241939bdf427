//! Replies that arrive in pieces equal those that arrive whole, and each becomes a value or an error.

use std::rc::Rc;

use bytes::BytesMut;

use super::cluster::slots_reply;
use super::command::Command;
use super::resp::{BadReply, Parser, Reply};
use super::server::Address;
use crate::config::{document, whole};
use crate::fuzzing::{FuzzInput, agree, hold};

/// Lookups that read replies in every way.
const LOOKUPS: [&str; 12] = [
    r#"get = "k""#,
    "get = \"k\"\nformat = \"json\"",
    "mget = \"k{ids}\"\nformat = \"i64\"",
    "hmget = \"k\"\nfields = [\"a\", \"b\"]",
    "hgetall = \"k\"\nformat = \"double\"",
    "zrange = \"k\"\nwith_scores = true",
    r#"smembers = "k""#,
    "zscore = \"k\"\nmember = \"{m}\"",
    r#"exists = "k""#,
    r#"strlen = "k""#,
    r#"ttl = "k""#,
    "lrange = \"k\"\nformat = \"bytes\"",
];

thread_local! {
    static COMMANDS: Rc<[Command]> = LOOKUPS.map(command).into();
}

fn command(toml: &str) -> Command {
    let document = document(toml);
    let compiled = Command::read(&mut whole(&document));
    compiled.expect("a lookup without problems").lookup
}

/// The first byte says where to cut the rest, which is replies.
pub(crate) fn redis(bytes: &[u8]) {
    let pieces = FuzzInput(bytes).pieces();
    let stream = pieces.concat();
    let in_one = replies(&[&stream]);
    let in_pieces = replies(&pieces);
    if in_one != in_pieces {
        // NaN does not equal itself.
        let (one, other) = (format!("{in_one:?}"), format!("{in_pieces:?}"));
        agree("replies in pieces are the same as in one", &other, &one);
    }
    let from = Address::Tcp("10.0.0.9".into(), 6379);
    for reply in &in_one.0 {
        if let Some(ranges) = slots_reply::ranges(reply, &from) {
            hold(
                ranges.iter().all(|range| range.first <= range.last),
                "slots go up",
                ranges,
            );
        }
        if let Reply::Error(words) = reply {
            let moved = words.rsplit(' ').next();
            moved.and_then(|place| slots_reply::named(place, &from));
        }
        COMMANDS.with(|commands| {
            for command in commands.iter() {
                // Only checks that this returns.
                drop(command.reply.value(reply.clone()));
            }
        });
    }
}

type Parsed = (Vec<Reply>, Option<BadReply>, usize);

/// All replies, the error that ended them, and how many bytes were left unread.
fn replies(pieces: &[&[u8]]) -> Parsed {
    let mut parser = Parser::default();
    let mut buffer = BytesMut::new();
    let mut replies = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let said = parser.each(&mut buffer, |reply| {
            replies.push(reply);
            Ok(())
        });
        if let Err(err) = said {
            return (replies, Some(err), 0);
        }
    }
    (replies, None, buffer.len())
}
