//! `PING`, `GET` and `MGET`.

use std::io::Write as _;

use bytes::{Buf as _, BytesMut};

use super::answer;

pub(super) fn speak(name: &str, received: &mut BytesMut, out: &mut Vec<u8>) -> usize {
    let mut questions = 0;
    while let Some((words, len)) = command(received) {
        received.advance(len);
        questions += 1;
        let Some((verb, keys)) = words.split_first() else {
            continue;
        };
        let value = |key: &String| bulk(&answer(name, key));
        let mut say = |text: String| {
            out.write_all(text.as_bytes())
                .expect("a Vec takes everything");
        };
        match verb.to_ascii_uppercase().as_str() {
            "PING" => say("+PONG\r\n".into()),
            "GET" => say(keys.iter().map(value).collect()),
            "MGET" => {
                let values: String = keys.iter().map(value).collect();
                say(format!("*{}\r\n{values}", keys.len()));
            }
            _ => say(format!("-ERR unknown command '{verb}'\r\n")),
        }
    }
    questions
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The words of the first command and its length, if it is whole.
fn command(received: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut at = 0;
    let count = number(received, &mut at)?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let len = number(received, &mut at)?;
        let word = received.get(at..at + len)?;
        words.push(String::from_utf8_lossy(word).into_owned());
        received.get(at + len..at + len + 2)?;
        at += len + 2;
    }
    Some((words, at))
}

/// The number on a line such as `*3` or `$4`.
fn number(received: &[u8], at: &mut usize) -> Option<usize> {
    let rest = received.get(*at..)?;
    let end = rest.windows(2).position(|window| window == b"\r\n")?;
    let digits = std::str::from_utf8(rest.get(1..end)?).ok()?;
    *at += end + 2;
    digits.parse().ok()
}
