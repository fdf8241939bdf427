//! Asks the admin port of a server, for commands that show what it does.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::{ClientConnection, StreamOwned};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::check::ConfigArg;
use super::error::CommandError;
use super::tls::{ClientTls, OwnServer, TlsArgs, explained, is_plain};
use crate::config::ListenerTls;
use crate::program::Program;

/// How long to wait for the connection, and for each part of the answer: events come once a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read: a server keeps a bounded number of calls.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Where the admin port is.
#[derive(Clone, Debug, Args)]
pub(super) struct AdminArgs {
    /// The server's admin port [default: `admin.listen` of the configuration]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
}

/// An admin port.
#[derive(Debug)]
pub(super) struct AdminPort {
    addr: String,
    /// The token that it takes.
    token: Option<String>,
    tls: Option<ClientTls>,
}

/// A connection, with TLS or without.
enum Channel {
    Plain(TcpStream),
    Encrypted(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl AdminArgs {
    /// The port that the options or else the configuration name.
    pub(super) fn port(&self, config: &ConfigArg) -> Result<AdminPort, CommandError> {
        if let Some(addr) = &self.admin {
            // The configuration may be elsewhere; if it is here, its token and its certificate fit.
            let program = config.check().ok();
            return self.at(addr.clone(), program.as_ref());
        }
        self.of(&config.check()?)
    }

    /// The port that the options or else `program` name.
    pub(super) fn of(&self, program: &Program) -> Result<AdminPort, CommandError> {
        let listen = program.admin.as_ref().map(|admin| admin.listen.clone());
        let Some(addr) = self.admin.clone().or(listen) else {
            let help = "`--admin HOST:PORT` names it, or `[admin]` in the configuration";
            return Err(CommandError::misuse("no admin port is known").help(help));
        };
        self.at(addr, Some(program))
    }

    fn at(&self, addr: String, program: Option<&Program>) -> Result<AdminPort, CommandError> {
        let own = program.and_then(tls).map(|tls| OwnServer {
            shows: Some(tls.certificate.clone()),
            identity: tls.knows_clients.then(|| Arc::clone(&tls.identity)),
        });
        Ok(AdminPort {
            tls: self.tls.client_of(&addr, own)?,
            token: program.and_then(token),
            addr,
        })
    }
}

fn tls(program: &Program) -> Option<&ListenerTls> {
    program.admin.as_ref()?.tls.as_ref()
}

fn token(program: &Program) -> Option<String> {
    let token = program.admin.as_ref()?.token.as_ref()?;
    Some(token.text())
}

impl AdminPort {
    /// Its address.
    pub(super) fn addr(&self) -> &str {
        &self.addr
    }

    /// The JSON at `path`.
    pub(super) fn json(&self, path: &str) -> Result<Json, CommandError> {
        self.read(path)
    }

    /// The JSON at `path`, as a type.
    pub(super) fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, CommandError> {
        let mut body = String::new();
        let mut answer = self.get(path)?.take(ANSWER_BYTES_MAX);
        let read = answer.read_to_string(&mut body);
        read.map_err(|err| self.failed(&err))?;
        serde_json::from_str(&body).map_err(|err| self.failed(&err))
    }

    /// Hands each event to `hear`, until that says that it is enough.
    pub(super) fn events(&self, mut hear: impl FnMut(&Json) -> bool) -> Result<(), CommandError> {
        for line in self.get("/events")?.lines() {
            let line = line.map_err(|err| self.failed(&err))?;
            let Some(event) = line.strip_prefix("data: ") else {
                continue;
            };
            let event = serde_json::from_str(event).map_err(|err| self.failed(&err))?;
            if !hear(&event) {
                return Ok(());
            }
        }
        Err(self.failed(&"it closed the connection"))
    }

    /// The body of the answer to a GET.
    fn get(&self, path: &str) -> Result<BufReader<Channel>, CommandError> {
        let failed = |err: io::Error| self.failed(&err);
        let stream = TcpStream::connect(&self.addr).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let host = self.host(&stream);
        // A certificate of ours is refused only when the answer is read.
        let refused = |err: io::Error| match self.tls {
            Some(_) if is_plain(&err) => self.is_plain(),
            Some(_) => self.failed(&explained(err)),
            None => self.failed(&err),
        };
        let mut stream = self.encrypted(stream).map_err(refused)?;
        let token = self.token.as_ref();
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        // Version 1.0: the body ends with the connection.
        let request = format!(
            "GET {path} HTTP/1.0\r\nhost: {}\r\n{}\r\n",
            host,
            token.unwrap_or_default()
        );
        stream.write_all(request.as_bytes()).map_err(refused)?;
        stream.flush().map_err(refused)?;
        let mut answer = BufReader::new(stream);
        let mut status = String::new();
        answer.read_line(&mut status).map_err(refused)?;
        let code = status.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut line = String::new();
        while answer.read_line(&mut line).map_err(failed)? > 2 {
            line.clear();
        }
        if code == "200" {
            return Ok(answer);
        }
        let mut why = String::new();
        let mut body = answer.take(1000);
        body.read_to_string(&mut why).map_err(failed)?;
        if !status.starts_with("HTTP/") {
            "it does not speak HTTP".clone_into(&mut why);
        }
        let why = why.trim();
        // Its own refusals are lines of text; a page is another server's.
        let is_refused = ["400", "401", "403", "404"].contains(&&*code) && !why.starts_with('<');
        if !is_refused {
            return Err(self.failed(&why));
        }
        let refused = CommandError::failed(format_args!("the admin port {}: {why}", self.addr));
        Err(match &*code {
            "401" => refused.help("name the configuration that has its token with `-c FILE`"),
            "400" if why.contains("TLS") => {
                refused.help("name its configuration with `-c FILE`, or add `--tls` or `--ca FILE`")
            }
            _ => refused,
        })
    }

    /// The connection once it is encrypted, if it is to be.
    fn encrypted(&self, mut stream: TcpStream) -> io::Result<Channel> {
        let Some(tls) = &self.tls else {
            return Ok(Channel::Plain(stream));
        };
        let client = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
        let mut client = client.map_err(io::Error::other)?;
        while client.is_handshaking() {
            client.complete_io(&mut stream)?;
        }
        let stream = StreamOwned::new(client, stream);
        Ok(Channel::Encrypted(Box::new(stream)))
    }

    /// What the request calls the server: a port of this machine need not know its names.
    fn host(&self, stream: &TcpStream) -> String {
        match stream.peer_addr() {
            Ok(peer) if peer.ip().is_loopback() => peer.to_string(),
            _ => self.addr.clone(),
        }
    }

    /// It was asked with TLS, and has none. It is not asked without: that would send the token unencrypted.
    fn is_plain(&self) -> CommandError {
        let message = format_args!("the admin port {} does not speak TLS", self.addr).to_string();
        CommandError::failed(message).help(
            "`[admin] tls` of the configuration says that it does, or an option: name that server's configuration with `-c FILE`",
        )
    }

    fn failed(&self, err: &dyn std::fmt::Display) -> CommandError {
        CommandError::failed(format_args!("the admin port {}: {err}", self.addr))
            .help("is the server running, and is this its admin port?")
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(stream) => stream.read(buffer),
            Channel::Encrypted(stream) => stream.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Channel::Plain(stream) => stream.write(bytes),
            Channel::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Channel::Plain(stream) => stream.flush(),
            Channel::Encrypted(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Asked {
        #[command(flatten)]
        tls: TlsArgs,
    }

    /// The error of a request that is answered so.
    fn refused(answer: &'static str) -> String {
        refused_with(None, answer)
    }

    fn refused_with(tls: Option<ClientTls>, answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = AdminPort {
            addr: listener.local_addr().expect("it is bound").to_string(),
            token: None,
            tls,
        };
        let has_tls = port.tls.is_some();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            if has_tls {
                let hello = stream.read(&mut [0; 4096]).expect("it begins");
                assert!(hello > 0);
            } else {
                let lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
                let lines = lines.map_while(Result::ok);
                lines.take_while(|line| !line.is_empty()).for_each(drop);
            }
            stream.write_all(answer.as_bytes()).expect("it reads");
        });
        let err = port.json("/gains").expect_err("it is refused");
        answering.join().expect("it answers");
        format!("{err:?}")
    }

    #[test]
    fn a_port_that_refuses_is_running() {
        let doubt = "is the server running";
        let refusal = refused("HTTP/1.1 404 Not Found\r\n\r\nthere is no method `a`\n");
        assert!(
            refusal.contains("no method `a`") && !refusal.contains(doubt),
            "{refusal}"
        );
        let token = refused("HTTP/1.1 401 Unauthorized\r\n\r\nthe token is needed\n");
        assert!(
            token.contains("`-c FILE`") && !token.contains(doubt),
            "{token}"
        );
        assert!(refused("HTTP/1.1 404 Not Found\r\n\r\n<html>\n").contains(doubt));
        assert!(refused("hello\r\n\r\n").contains(doubt));
    }

    #[test]
    fn a_port_without_tls_that_is_asked_with_it_is_running() {
        let asked = Asked::parse_from(["tributary", "--tls"]).tls;
        let tls = asked.client("localhost:1").expect("it can be asked for");
        let told = refused_with(tls, "HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(told.contains("does not speak TLS"), "{told}");
        assert!(
            told.contains("`-c FILE`") && !told.contains("is the server running"),
            "{told}"
        );
    }
}
