//! `get`.

use std::io::Write as _;

use bytes::BytesMut;

use super::answer;
use super::cut::until;

pub(super) fn speak(name: &str, received: &mut BytesMut, out: &mut Vec<u8>) -> usize {
    let mut questions = 0;
    while let Some(line) = until(received, b"\r\n") {
        questions += 1;
        let line = String::from_utf8_lossy(&line);
        let said = match line.strip_prefix("get ") {
            Some(keys) => {
                let value = |key| {
                    let value = answer(name, key);
                    format!("VALUE {key} 0 {}\r\n{value}\r\n", value.len())
                };
                keys.split(' ').map(value).collect::<String>() + "END\r\n"
            }
            None => "ERROR\r\n".into(),
        };
        out.write_all(said.as_bytes())
            .expect("a Vec takes everything");
    }
    questions
}
