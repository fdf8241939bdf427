//! An HTTP server that hands each request to the test, and answers as the test wants.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::PATIENCE;

/// One request.
pub(crate) struct Posted {
    /// Its first line and its headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// What is sent back: all bytes of an answer, or none for silence.
pub(crate) type Answer = Vec<u8>;

/// A running server. Its threads end with the test.
pub(crate) struct Stub {
    pub(crate) addr: SocketAddr,
    requests: Receiver<Posted>,
}

/// An answer with this status, further lines of the head, and body.
pub(crate) fn answer(status: &str, more: &str, body: &str) -> Answer {
    let len = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {len}\r\n{more}\r\n");
    (head + body).into_bytes()
}

impl Stub {
    /// Answers the request with number `n` with `answer(n)`, counted from 0 over all connections.
    pub(crate) fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let (sender, requests) = channel();
        let answer = Arc::new(answer);
        let number = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let (sender, answer) = (sender.clone(), Arc::clone(&answer));
                let number = Arc::clone(&number);
                let next = move || number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                std::thread::spawn(move || serve(stream, &sender, || answer(next())));
            }
        });
        Stub { addr, requests }
    }

    /// The next request.
    #[track_caller]
    pub(crate) fn next(&self) -> Posted {
        let posted = self.requests.recv_timeout(PATIENCE);
        posted.expect("a request comes")
    }

    /// The requests that came and were not looked at.
    pub(crate) fn rest(&self) -> Vec<Posted> {
        self.requests.try_iter().collect()
    }
}

fn serve(mut stream: TcpStream, requests: &Sender<Posted>, answer: impl Fn() -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !reader.read_line(&mut head).is_ok_and(|read| read > 0) {
                return;
            }
        }
        head.make_ascii_lowercase();
        let len = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let len = len.map_or(0, |len| len.parse().expect("a number"));
        let mut body = vec![0; len];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        // The test may be over.
        let _over = requests.send(Posted { head, body });
        let answer = answer();
        if answer.is_empty() {
            // Silent until the other end has had enough.
            drop(reader.read_line(&mut String::new()));
        } else if stream.write_all(&answer).is_err() {
            return;
        }
    }
}
