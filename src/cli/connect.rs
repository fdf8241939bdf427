//! Options for connecting to a server and for the headers of calls, and the event loop on which a command's calls run.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::runtime::{Builder, LocalOptions};

use super::client::{Client, ClientError};
use super::dial::{Dialer, UNIX};
use super::error::CommandError;
use super::tls::TlsArgs;
use crate::thrift::{Limits, Protocol, Transport, WireFormat};

/// Where a server is unless its address is named.
const DEFAULT_ADDR: &str = "127.0.0.1:9090";

/// The server's address and its wire formats.
#[derive(Clone, Debug, Args)]
pub(super) struct ConnectArgs {
    /// The server: host and port of a listener, or `unix://PATH` [default: `server.listen` of the configuration, if one is
    /// named, or 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR", value_parser = listener)]
    pub(super) addr: Option<String>,
    /// The server has answered: it need not be asked what it is.
    #[arg(skip)]
    pub(super) is_thrift: bool,
    /// How long to wait for the connection, and then for each reply: a number with a unit, ms, s or min
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(super) timeout: Duration,
    /// How values are encoded
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    protocol: ProtocolArg,
    /// How messages are delimited [default: framed; for `call --report` header, if the server accepts it]
    #[arg(long, value_enum, value_name = "NAME", hide_possible_values = false)]
    transport: Option<TransportArg>,
    #[command(flatten)]
    tls: TlsArgs,
    /// The token of the caller: `env:NAME` or `file:PATH`. Uses `THeader` frames
    #[arg(long, value_name = "REF")]
    token: Option<String>,
    /// A header of each call, for example `tributary-mode=serial`; may be repeated. Uses `THeader` frames
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Faults that the call is to suffer, where the server allows that: `weather=hang; *=delay:200ms`. Uses `THeader` frames
    #[arg(long, value_name = "FAULTS")]
    inject: Option<String>,
}

/// A server, and what is sent with each call.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) dialer: Dialer,
    pub(super) wire_format: WireFormat,
    /// How long to wait for the connection.
    timeout: Duration,
    /// The headers of each call.
    pub(super) headers: Vec<(String, String)>,
}

impl Target {
    /// Connects.
    pub(super) async fn connect(&self) -> Result<Client, ClientError> {
        let (dialer, timeout) = (&self.dialer, self.timeout);
        let mut client = Client::dial(dialer, self.wire_format, Limits::default(), timeout).await?;
        for (name, value) in &self.headers {
            client.send_header(name, value);
        }
        Ok(client)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ProtocolArg {
    #[default]
    Binary,
    Compact,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TransportArg {
    /// Each message is preceded by its length
    #[default]
    Framed,
    /// Messages follow each other directly
    Unframed,
    /// `THeader` frames, whose headers explain calls that fail
    Header,
}

impl ConnectArgs {
    /// Framed binary to a server at `addr`.
    pub(super) fn to(addr: SocketAddr, timeout: Duration) -> Self {
        ConnectArgs {
            addr: Some(addr.to_string()),
            is_thrift: false,
            timeout,
            protocol: ProtocolArg::default(),
            transport: None,
            tls: TlsArgs::default(),
            token: None,
            headers: Vec::new(),
            inject: None,
        }
    }

    /// Where the server is.
    pub(super) fn addr(&self) -> &str {
        self.addr.as_deref().unwrap_or(DEFAULT_ADDR)
    }

    /// Whether no transport was named.
    pub(super) fn may_choose_transport(&self) -> bool {
        self.transport.is_none() && !self.needs_headers()
    }

    fn needs_headers(&self) -> bool {
        self.token.is_some() || !self.headers.is_empty() || self.inject.is_some()
    }

    /// The same server by `THeader` frames.
    pub(super) fn with_headers(&self) -> Self {
        ConnectArgs {
            transport: Some(TransportArg::Header),
            ..self.clone()
        }
    }

    /// Whether calls and replies have headers.
    pub(super) fn has_headers(&self) -> bool {
        self.wire_format().transport == Transport::Header
    }

    /// The server for questions about itself: without faults.
    pub(super) fn asking(&self) -> Result<Target, CommandError> {
        let mut headers = self.headers.clone();
        if let Some(reference) = &self.token {
            headers.push((
                "authorization".into(),
                format!("Bearer {}", token(reference)?),
            ));
        }
        let wire_format = self.wire_format();
        if self.needs_headers() && wire_format.transport != Transport::Header {
            let message = "only `--transport header` has headers, tokens and faults";
            return Err(CommandError::misuse(message).help("leave `--transport` out"));
        }
        Ok(Target {
            dialer: self.dialer()?.known(self.is_thrift),
            wire_format,
            timeout: self.timeout,
            headers,
        })
    }

    /// The server for the calls of the command.
    pub(super) fn calling(&self) -> Result<Target, CommandError> {
        let mut target = self.asking()?;
        if let Some(faults) = &self.inject {
            target
                .headers
                .push(("tributary-inject".into(), faults.clone()));
        }
        Ok(target)
    }

    fn dialer(&self) -> Result<Dialer, CommandError> {
        Ok(Dialer::new(self.addr(), self.tls.client(self.addr())?))
    }

    /// The transport and protocol.
    pub(super) fn wire_format(&self) -> WireFormat {
        WireFormat {
            transport: match self.transport.unwrap_or_default() {
                TransportArg::Framed if self.transport.is_none() && self.needs_headers() => {
                    Transport::Header
                }
                TransportArg::Framed => Transport::Framed,
                TransportArg::Unframed => Transport::Unframed,
                TransportArg::Header => Transport::Header,
            },
            protocol: match self.protocol {
                ProtocolArg::Binary => Protocol::Binary,
                ProtocolArg::Compact => Protocol::Compact,
            },
        }
    }
}

impl From<ClientError> for CommandError {
    fn from(err: ClientError) -> Self {
        let help = match &err {
            ClientError::Connect { source, .. } => match source.kind() {
                ErrorKind::ConnectionRefused => {
                    Some("is `tributary serve` running? use `--addr HOST:PORT` for another server")
                }
                ErrorKind::InvalidInput => {
                    Some("an address is a host and a port: `127.0.0.1:9090`")
                }
                _ => None,
            },
            ClientError::Timeout(_) => Some("use `--timeout` to wait longer"),
            ClientError::Foreign { .. } => {
                Some("is the port right? `--addr HOST:PORT` names a listener of `tributary serve`")
            }
            ClientError::Tls => Some(
                "add `--tls`, or `--ca FILE` if the server's certificate is from an authority of your own",
            ),
            ClientError::Closed => Some(
                "does the server accept this `--protocol` and `--transport`, and messages of this size?",
            ),
            _ => None,
        };
        let failure = CommandError::failed(&err);
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

/// `NAME=VALUE`
fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a header is a name and a value: `request-id=42`".into()),
    }
}

/// The token to which `reference` refers. As in a configuration, it is never written out: others see a command line.
fn token(reference: &str) -> Result<String, CommandError> {
    let misuse = |message: String| CommandError::misuse(message);
    let token = if let Some(name) = reference.strip_prefix("env:") {
        let unset = |_| misuse(format!("`--token`: the variable `{name}` is not set"));
        std::env::var(name).map_err(unset)?
    } else if let Some(path) = reference.strip_prefix("file:") {
        let unreadable = |err| misuse(format!("`--token`: {path}: {err}"));
        std::fs::read_to_string(path).map_err(unreadable)?
    } else {
        let message = "`--token` says where the token is, not the token itself";
        return Err(CommandError::misuse(message).help("`--token env:NAME` or `--token file:PATH`"));
    };
    Ok(token.trim_end_matches(['\r', '\n']).to_owned())
}

/// Where a server listens: a host and a port, or the path of a socket.
fn listener(text: &str) -> Result<String, String> {
    if text.strip_prefix(UNIX).is_some_and(|path| !path.is_empty()) {
        return Ok(text.to_owned());
    }
    if text.starts_with("unix:") || text.starts_with('/') {
        return Err("a Unix socket is written `unix:///run/tributary.sock`".into());
    }
    address(text)
}

/// A host and a port. They are resolved when the command connects.
pub(super) fn address(text: &str) -> Result<String, String> {
    if text.starts_with("unix:") || text.starts_with('/') {
        return Err(
            "this command supports only TCP, not Unix sockets: use a listener with a host and a port".into(),
        );
    }
    if text.contains("://") {
        return Err("an address is a host and a port, without a scheme: `127.0.0.1:9090`".into());
    }
    Ok(text.to_owned())
}

/// Runs `work` to its end on its own event loop.
pub(super) fn on_loop<F: Future>(work: F) -> Result<F::Output, CommandError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|err| CommandError::failed(format_args!("can't start the event loop: {err}")))?;
    Ok(runtime.block_on(work))
}
