//! Finds out what a server is that does not answer a call.
//!
//! Servers of text protocols wait for the end of a line, which may not be in a Thrift message. A line on a connection of its
//! own makes them answer. Only a server that has been silent for a while is asked: a Thrift server refuses the line.

use std::future::pending;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::thrift::Foreign;

/// A silence after which a server may not be a Thrift server.
const SILENCE: Duration = Duration::from_secs(1);

/// Redis and memcached answer the first line, HTTP servers the second, at which memcached closes the connection.
const LINES: [&[u8]; 2] = [b"version\r\n", b"GET / HTTP/1.0\r\n\r\n"];

/// Ends after a while, if the server at `addr` turns out to speak another protocol. It is asked only while it `is_silent`.
pub(in crate::cli) async fn foreign(addr: &str, is_silent: impl Fn() -> bool) -> Foreign {
    sleep(SILENCE).await;
    for line in LINES {
        if !is_silent() {
            break;
        }
        if let Ok(Some(foreign)) = timeout(SILENCE, ask(addr, line)).await {
            return foreign;
        }
    }
    pending().await
}

async fn ask(addr: &str, line: &[u8]) -> Option<Foreign> {
    let mut stream = TcpStream::connect(addr).await.ok()?;
    stream.write_all(line).await.ok()?;
    let mut received = [0; 64];
    let mut length = 0;
    loop {
        let read = stream.read(&mut received[length..]).await.ok()?;
        length += read;
        let foreign = Foreign::of(&received[..length]);
        if foreign.is_some() || read == 0 {
            return foreign;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_server_that_has_answered_in_the_meantime_is_not_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound").to_string();
        let asking = foreign(&addr, || false);
        assert!(timeout(10 * SILENCE, asking).await.is_err());
        assert!(listener.accept().now_or_never().is_none());
    }
}
