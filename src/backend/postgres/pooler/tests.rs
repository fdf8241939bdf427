//! The rewritten messages, byte by byte; what a pooler makes of them is tested in `tests/it/postgres`.

use bytes::{Bytes, BytesMut};

use super::expected::ExpectedReplies;
use super::replies::Replies;
use super::requests::{Requests, message};

/// A message, with its parts after its length.
fn m(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = BytesMut::new();
    message(&mut out, tag, parts);
    out.to_vec()
}

/// Both directions of a connection that has begun.
struct Both {
    requests: Requests,
    replies: Replies,
    steps: ExpectedReplies,
}

const START: &[u8] = &[0, 0, 0, 8, 0, 3, 0, 0];

impl Both {
    fn new() -> Self {
        let mut both = Both {
            requests: Requests::new(Bytes::from_static(b"<preamble>")),
            replies: Replies::default(),
            steps: ExpectedReplies::new(),
        };
        assert_eq!(both.send(START), START);
        both
    }

    /// In pieces of every length.
    fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for piece in bytes.chunks(3) {
            let taken = self.requests.take(piece, &mut out, &mut self.steps);
            taken.expect("good messages");
        }
        out.to_vec()
    }

    fn receive(&mut self, messages: &[Vec<u8>]) -> Vec<u8> {
        let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
        for piece in messages.concat().chunks(3) {
            input.extend_from_slice(piece);
            let taken = self.replies.take(&mut input, &mut out, &mut self.steps);
            taken.expect("good messages");
        }
        out.to_vec()
    }

    /// The client prepares `s7`.
    fn prepare(&mut self, columns: &[u8]) {
        let sent = self.send(
            &[
                m(b'P', &[b"s7\0select\0\0\0"]),
                m(b'D', &[b"Ss7\0"]),
                m(b'S', &[]),
            ]
            .concat(),
        );
        let expected = [
            m(b'P', &[b"\0select\0\0\0"]),
            m(b'D', &[b"S\0"]),
            m(b'S', &[]),
        ];
        assert_eq!(sent, expected.concat());
        let replies = [
            m(b'1', &[]),
            m(b't', &[b"p"]),
            m(b'T', &[columns]),
            m(b'Z', &[b"I"]),
        ];
        assert_eq!(self.receive(&replies), replies.concat());
    }

    /// The client asks with `s7`.
    fn ask(&mut self) {
        let sent = self.send(
            &[
                m(b'B', &[b"\0s7\0values"]),
                m(b'E', &[b"\0\0\0\0\0"]),
                m(b'S', &[]),
            ]
            .concat(),
        );
        let expected = [
            b"<preamble>".to_vec(),
            m(b'P', &[b"\0select\0\0\0"]),
            m(b'D', &[b"S\0"]),
            m(b'B', &[b"\0\0values"]),
            m(b'E', &[b"\0\0\0\0\0"]),
            m(b'S', &[]),
        ];
        assert_eq!(sent, expected.concat());
    }
}

/// The replies to the preamble and to what is parsed again.
fn begun(columns: &[u8]) -> Vec<Vec<u8>> {
    vec![
        m(b'1', &[]),
        m(b'2', &[]),
        m(b'D', &[b"preamble"]),
        m(b'C', &[b"SELECT 1\0"]),
        m(b'1', &[]),
        m(b't', &[b"p"]),
        m(b'T', &[columns]),
    ]
}

fn rows() -> Vec<Vec<u8>> {
    vec![
        m(b'2', &[]),
        m(b'D', &[b"row"]),
        m(b'C', &[b"SELECT 1\0"]),
        m(b'Z', &[b"I"]),
    ]
}

#[test]
fn a_statement_is_parsed_where_it_is_asked() {
    let mut both = Both::new();
    both.prepare(b"int8");
    both.ask();
    both.ask();
    for _ in 0..2 {
        let replies = [begun(b"int8"), rows()].concat();
        assert_eq!(both.receive(&replies), rows().concat());
    }
    assert!(both.steps.is_empty());
}

#[test]
fn rows_of_other_types_are_the_error_of_a_stale_statement() {
    let mut both = Both::new();
    both.prepare(b"int8");
    both.ask();
    both.ask();
    let seen = both.receive(&[begun(b"float8"), rows()].concat());
    assert_eq!(seen[0], b'E');
    assert!(seen.ends_with(&m(b'Z', &[b"I"])));
    assert!(!seen.windows(3).any(|bytes| bytes == b"row"));
    let replies = [begun(b"int8"), rows()].concat();
    assert_eq!(
        both.receive(&replies),
        rows().concat(),
        "the next is its own"
    );
}

#[test]
fn an_error_ends_its_own_transaction_only() {
    let mut both = Both::new();
    both.prepare(b"int8");
    both.ask();
    both.ask();
    let failed = [m(b'E', &[b"SERROR\0\0"]), m(b'Z', &[b"I"])];
    let replies = [vec![m(b'1', &[])], failed.to_vec()].concat();
    assert_eq!(both.receive(&replies), failed.concat());
    let replies = [begun(b"int8"), rows()].concat();
    assert_eq!(both.receive(&replies), rows().concat());
}

#[test]
fn closing_and_simple_queries_begin_nothing() {
    let mut both = Both::new();
    both.prepare(b"int8");
    let close = [m(b'C', &[b"Ss7\0"]), m(b'S', &[])].concat();
    assert_eq!(
        both.send(&close),
        [m(b'C', &[b"S\0"]), m(b'S', &[])].concat()
    );
    let query = m(b'Q', &[b"select\0"]);
    assert_eq!(both.send(&query), query);
    let replies = [
        m(b'3', &[]),
        m(b'Z', &[b"I"]),
        m(b'T', &[b"x"]),
        m(b'D', &[b"row"]),
        m(b'C', &[b"SELECT 1\0"]),
        m(b'Z', &[b"I"]),
    ];
    assert_eq!(both.receive(&replies), replies.concat());
}

#[test]
fn impossible_lengths_are_refused() {
    for length in [[0, 0, 0, 3], [0xff; 4], [0x40, 0, 0, 0]] {
        let mut both = Both::new();
        let mut input = BytesMut::from(&[&b"D"[..], &length].concat()[..]);
        let taken = both
            .replies
            .take(&mut input, &mut BytesMut::new(), &mut both.steps);
        assert!(taken.is_err(), "{length:?}");
    }
}
