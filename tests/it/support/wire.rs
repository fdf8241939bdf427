//! A raw socket: sends and reads bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::process::PATIENCE;

/// One connection.
pub(crate) struct Wire<S = TcpStream>(S);

impl Wire {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap_or_else(|err| panic!("{addr}: {err}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_nodelay(true).expect("a TCP socket");
        Wire(stream)
    }
}

impl Wire<UnixStream> {
    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path);
        let stream = stream.unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        Wire(stream)
    }
}

impl<S: Read + Write> Wire<S> {
    /// Wraps a connected stream.
    pub(crate) fn over(stream: S) -> Self {
        Wire(stream)
    }

    /// The stream.
    pub(crate) fn into_inner(self) -> S {
        self.0
    }

    /// Like [`Wire::send_frame`], if the server may refuse it.
    pub(crate) fn try_send_frame(&mut self, message: &[u8]) -> std::io::Result<()> {
        let len = u32::try_from(message.len()).expect("a small message");
        self.0.write_all(&[&len.to_be_bytes(), message].concat())?;
        self.0.flush()
    }

    /// Like [`Wire::read_frame`], if the server may not reply.
    pub(crate) fn try_read_frame(&mut self) -> std::io::Result<Vec<u8>> {
        let mut len = [0; 4];
        self.0.read_exact(&mut len)?;
        let mut message = vec![0; u32::from_be_bytes(len) as usize];
        self.0.read_exact(&mut message)?;
        Ok(message)
    }

    /// Sends bytes unchanged.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the server takes bytes");
    }

    /// Sends a message after its length.
    pub(crate) fn send_frame(&mut self, message: &[u8]) {
        let len = u32::try_from(message.len()).expect("a small message");
        self.send(&[&len.to_be_bytes(), message].concat());
    }

    /// The next `len` bytes.
    pub(crate) fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).expect("the server answers");
        bytes
    }

    /// The next message, without its length.
    pub(crate) fn read_frame(&mut self) -> Vec<u8> {
        let len: [u8; 4] = self.read(4).try_into().expect("four bytes");
        self.read(u32::from_be_bytes(len) as usize)
    }

    /// The next line, without its end.
    pub(crate) fn read_line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.read(1));
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Everything up to the end of the connection.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            // A server that closes with unread bytes resets the connection, which also counts as the end.
            Err(err) if err.kind() == ErrorKind::ConnectionReset => bytes,
            Err(err) => panic!("the server did not close: {err}"),
        }
    }
}

/// Bytes from text such as `80 01 00 01`; `'getAirport'` gives its letters.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, part) in text.split('\'').enumerate() {
        if at % 2 == 1 {
            bytes.extend(part.as_bytes());
            continue;
        }
        for pair in part.split_whitespace() {
            bytes.push(
                u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("`{pair}` is no byte")),
            );
        }
    }
    bytes
}
