//! Asks the admin port of a server, for commands that show what it does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::check::ConfigArg;
use super::error::CommandError;
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
}

/// An admin port.
#[derive(Debug)]
pub(super) struct AdminPort {
    addr: String,
    /// The token that it takes.
    token: Option<String>,
}

impl AdminArgs {
    /// The port that the options or else the configuration name.
    pub(super) fn port(&self, config: &ConfigArg) -> Result<AdminPort, CommandError> {
        if let Some(addr) = &self.admin {
            // The configuration may be elsewhere; if it is here, its token fits.
            let program = config.check().ok();
            return Ok(AdminPort {
                addr: addr.clone(),
                token: program.as_ref().and_then(token),
            });
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
        Ok(AdminPort {
            addr,
            token: token(program),
        })
    }
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
    fn get(&self, path: &str) -> Result<BufReader<TcpStream>, CommandError> {
        let failed = |err: std::io::Error| self.failed(&err);
        let mut stream = TcpStream::connect(&self.addr).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let token = self.token.as_ref();
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        // Version 1.0: the body ends with the connection.
        let request = format!(
            "GET {path} HTTP/1.0\r\nhost: {}\r\n{}\r\n",
            self.host(&stream),
            token.unwrap_or_default()
        );
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = BufReader::new(stream);
        let mut status = String::new();
        answer.read_line(&mut status).map_err(failed)?;
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
            _ => refused,
        })
    }

    /// What the request calls the server: a port of this machine need not know its names.
    fn host(&self, stream: &TcpStream) -> String {
        match stream.peer_addr() {
            Ok(peer) if peer.ip().is_loopback() => peer.to_string(),
            _ => self.addr.clone(),
        }
    }

    fn failed(&self, err: &dyn std::fmt::Display) -> CommandError {
        CommandError::failed(format_args!("the admin port {}: {err}", self.addr))
            .help("is the server running, and is this its admin port?")
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// The error of a request that is answered so.
    fn refused(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = AdminPort {
            addr: listener.local_addr().expect("it is bound").to_string(),
            token: None,
        };
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
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
}
