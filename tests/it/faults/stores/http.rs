//! `GET` over HTTP/1.1.

use std::io::Write as _;

use bytes::BytesMut;

use super::answer;
use super::cut::until;

pub(super) fn speak(name: &str, received: &mut BytesMut, out: &mut Vec<u8>) -> usize {
    let mut questions = 0;
    while let Some(head) = until(received, b"\r\n\r\n") {
        questions += 1;
        let head = String::from_utf8_lossy(&head);
        let path = head
            .strip_prefix("GET /")
            .and_then(|rest| rest.split(' ').next());
        let body = answer(name, path.unwrap_or_default());
        let len = body.len();
        let said = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {len}\r\n\r\n{body}"
        );
        out.write_all(said.as_bytes())
            .expect("a Vec takes everything");
    }
    questions
}
