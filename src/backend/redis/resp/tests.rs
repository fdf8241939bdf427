//! Replies of every type, however they arrive, and bytes that are not replies.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::pack::put_length;
use super::*;
use crate::config::LimitsConfig;

fn all(bytes: &[u8], step: usize) -> Result<Vec<Reply>, BadReply> {
    let mut parser = Parser::default();
    let mut input = BytesMut::new();
    let mut replies = Vec::new();
    for some in bytes.chunks(step) {
        input.extend_from_slice(some);
        parser.each(&mut input, |reply| {
            replies.push(reply);
            Ok(())
        })?;
    }
    assert!(
        input.is_empty() && parser.open.is_empty(),
        "nothing is left over"
    );
    Ok(replies)
}

fn text(text: &str) -> Reply {
    Reply::String(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn every_type_however_it_arrives() {
    let long = "x".repeat(COPIED_MAX + 1);
    let bytes = format!(
        "$5\r\nhe\r\nl\r\n$0\r\n\r\n$-1\r\n*-1\r\n:-42\r\n+OK\r\n-ERR no\r\n*3\r\n:1\r\n*1\r\n$1\r\na\r\n*0\r\n\
         %1\r\n+k\r\n:2\r\n~1\r\n#t\r\n#f\r\n_\r\n,2.5\r\n,inf\r\n(123\r\n=6\r\ntxt:ab\r\n!6\r\nBUSY x\r\n\
         >2\r\n+message\r\n+x\r\n|1\r\n+ttl\r\n:3\r\n:7\r\n*1\r\n|1\r\n+a\r\n+b\r\n:8\r\n${}\r\n{long}\r\n",
        long.len()
    );
    let want = vec![
        text("he\r\nl"),
        text(""),
        Reply::Nil,
        Reply::Nil,
        Reply::Int(-42),
        text("OK"),
        Reply::Error("ERR no".into()),
        Reply::Array(vec![
            Reply::Int(1),
            Reply::Array(vec![text("a")]),
            Reply::Array(vec![]),
        ]),
        Reply::Map(vec![(text("k"), Reply::Int(2))]),
        Reply::Array(vec![Reply::Bool(true)]),
        Reply::Bool(false),
        Reply::Nil,
        Reply::Double(2.5),
        Reply::Double(f64::INFINITY),
        text("123"),
        text("ab"),
        Reply::Error("BUSY x".into()),
        Reply::Int(7),
        Reply::Array(vec![Reply::Int(8)]),
        text(&long),
    ];
    for step in [1, 2, 3, 7, 64, bytes.len()] {
        assert_eq!(all(bytes.as_bytes(), step).as_ref(), Ok(&want), "{step}");
    }
}

#[test]
fn bytes_that_are_not_a_reply_are_refused_and_cost_no_memory() {
    for bad in [
        "hello\r\n",
        "$x\r\n",
        "$-2\r\n",
        "$536870913\r\n",
        "$1\r\nabc\r\n",
        "*-2\r\n",
        "*9223372036854775808\r\n",
        "%9223372036854775807\r\n",
        ":\r\n",
        ":1x\r\n",
        "#y\r\n",
        ",x\r\n",
        "=3\r\nabc\r\n",
        "+a\rb",
    ] {
        let mut input = BytesMut::from(bad);
        assert!(Parser::default().next(&mut input).is_err(), "{bad:?}");
    }
    let deep = "*1\r\n".repeat(DEPTH_MAX + 1);
    assert!(Parser::default().next(&mut BytesMut::from(&*deep)).is_err());
    let endless = format!("+{}", "x".repeat(LINE_BYTES_MAX));
    assert!(
        Parser::default()
            .next(&mut BytesMut::from(&*endless))
            .is_err()
    );
    let endless = format!("+{}\r\n", "x".repeat(LINE_BYTES_MAX));
    let in_one = Parser::default().next(&mut BytesMut::from(&*endless));
    assert_eq!(in_one, all(endless.as_bytes(), 1000).map(|_| None));
    assert!(in_one.is_err(), "too long however it comes");
    let mut parser = Parser::default();
    let promised = parser.next(&mut BytesMut::from("*2147483647\r\n"));
    assert_eq!(promised, Ok(None));
    assert!(parser.open[0].items.capacity() <= ITEMS_FIRST);
}

#[test]
fn commands_carry_lengths() {
    let mut out = Vec::new();
    put_command(&mut out, &[b"GET", b"a\r\nb", b""]);
    assert_eq!(out, b"*3\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
    let mut long = Vec::new();
    put_length(&mut long, b'$', usize::MAX);
    assert_eq!(long, format!("${}\r\n", usize::MAX).as_bytes());
}

#[test]
fn an_argument_written_in_place_equals_one_of_known_length() {
    for length in [0, 1, 9, 10, 42, 99, 100, 12_345] {
        let argument = vec![b'x'; length];
        let (mut known, mut written) = (b"before".to_vec(), b"before".to_vec());
        put_argument(&mut known, &argument);
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(&argument);
            Ok::<_, ()>(())
        };
        put_written(&mut written, write).expect("written");
        assert_eq!(written, known, "{length}");
    }
}

/// A budget of a mebibyte, and what is held of it.
fn memory() -> (StoreMemory, impl Fn() -> u64) {
    let memory = StoreMemory::new(&LimitsConfig {
        store_bytes_max: 1024 * 1024,
        ..LimitsConfig::default()
    });
    let bytes = Arc::clone(memory.counts()[0]);
    (memory, move || bytes[0].load(Ordering::Relaxed))
}

/// The replies in `bytes`, which arrive in pieces of `step`.
fn counted(memory: &StoreMemory, bytes: &[u8], step: usize) -> Result<Vec<Reply>, BadReply> {
    let mut parser = Parser::new(memory, false);
    let mut input = BytesMut::new();
    let mut replies = Vec::new();
    for some in bytes.chunks(step) {
        input.extend_from_slice(some);
        parser.each(&mut input, |reply| {
            replies.push(reply);
            Ok(())
        })?;
        parser.count(&input);
    }
    Ok(replies)
}

/// Large replies of every shape, with as many bytes as said, about.
fn large(bytes: usize) -> Vec<String> {
    let string = |length: usize| format!("${length}\r\n{}\r\n", "x".repeat(length));
    vec![
        string(bytes),
        format!("*{}\r\n{}", bytes / 50, string(10).repeat(bytes / 50)),
        format!("*3\r\n:1\r\n*2\r\n$-1\r\n{}+k\r\n", string(bytes)),
        format!("%2\r\n+a\r\n{0}+b\r\n{0}", string(bytes / 2)),
    ]
}

#[test]
fn a_large_reply_is_counted_until_it_is_gone() {
    for step in [1000, 65_536] {
        for bytes in large(500_000) {
            let (memory, held) = memory();
            let all = format!("{bytes}:7\r\n");
            let replies = counted(&memory, all.as_bytes(), step).expect("replies");
            assert!(held() > 200_000, "{}", held());
            let [Reply::Held(large), Reply::Int(7)] = &replies[..] else {
                panic!("a large one and a small one")
            };
            assert_eq!(vec![large.0.clone()], all_of(&bytes));
            drop(replies);
            assert_eq!(held(), 0);
        }
    }
}

fn all_of(bytes: &str) -> Vec<Reply> {
    all(bytes.as_bytes(), bytes.len()).expect("a reply")
}

#[test]
fn nothing_is_kept_of_a_reply_without_room_and_the_next_one_is_intact() {
    for step in [1000, 65_536] {
        for bytes in large(3_000_000) {
            let (memory, held) = memory();
            let all = format!(":6\r\n{bytes}$2\r\nab\r\n>2\r\n:1\r\n:2\r\n{bytes}*1\r\n:7\r\n");
            let replies = counted(&memory, all.as_bytes(), step).expect("replies");
            let seven = Reply::Array(vec![Reply::Int(7)]);
            let refused = [
                Reply::Int(6),
                Reply::Refused,
                text("ab"),
                Reply::Refused,
                seven,
            ];
            assert_eq!(replies, refused);
            assert_eq!(held(), 0);
            let bad = bytes.replace("x\r\n", "xx\r\n");
            assert!(counted(&memory, bad.as_bytes(), step).is_err());
        }
    }
}

#[test]
fn pushes_are_kept_for_those_who_want_them_and_are_no_replies() {
    let bytes = b">2\r\n+invalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n>2\r\n+invalidate\r\n_\r\n>0\r\n|1\r\n+a\r\n+b\r\n:2\r\n";
    for step in 1..bytes.len() {
        let mut parser = Parser::new(&StoreMemory::default(), true);
        let (mut input, mut replies, mut pushes) = (BytesMut::new(), Vec::new(), Vec::new());
        for some in bytes.chunks(step) {
            input.extend_from_slice(some);
            let parsed = parser.each(&mut input, |reply| {
                replies.push(reply);
                Ok(())
            });
            parsed.expect("proper bytes");
            pushes.extend(parser.pushes());
        }
        assert_eq!(replies, [1, 2].map(Reply::Int));
        let keys = Reply::Array(vec![text("a"), text("b")]);
        let both = [
            vec![text("invalidate"), keys],
            vec![text("invalidate"), Reply::Nil],
            vec![],
        ];
        assert_eq!(pushes, both, "in steps of {step}");
    }
}

/// To copy many items, or to make pairs of them, takes long.
#[test]
fn a_large_array_or_map_is_one_list_that_grows_a_few_times() {
    let count = 10 * LARGE_VALUES;
    for head in [format!("*{count}\r\n"), format!("%{}\r\n", count / 2)] {
        let bytes = head + &":7\r\n".repeat(count);
        let Reply::Array(items) = &all_of(&bytes)[0] else {
            panic!("not a list")
        };
        assert_eq!((items.len(), items.capacity()), (count, count));
    }
}
