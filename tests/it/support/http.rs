//! An HTTP server that reports each request.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::Sender;

/// Answers each request immediately with an airport named after its path, and reports the request.
pub(crate) fn answer_airports(http: &TcpListener, asked: &Sender<()>) {
    for stream in http.incoming() {
        let mut stream = stream.expect("a connection");
        let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
        let asked = asked.clone();
        std::thread::spawn(move || {
            let mut path = String::new();
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                if let Some(rest) = line.strip_prefix("GET /") {
                    rest.split(' ')
                        .next()
                        .unwrap_or_default()
                        .clone_into(&mut path);
                }
                if line == "\r\n" {
                    let body = format!(r#"{{"code": "{path}", "name": "of HTTP"}}"#);
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    // The receiver may be gone by now.
                    let _gone = asked.send(());
                    if stream.write_all((head + &body).as_bytes()).is_err() {
                        return;
                    }
                }
                line.clear();
            }
        });
    }
}
