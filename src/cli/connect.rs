//! Options for connecting to a server, and the event loop on which a command's calls run.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::runtime::{Builder, LocalOptions};

use super::client::{Client, ClientError};
use super::error::CommandError;
use crate::thrift::{Limits, Protocol, Transport, WireFormat};

/// The server's address and its wire formats.
#[derive(Clone, Debug, Args)]
pub(super) struct ConnectArgs {
    /// The server: host and port of a listener without TLS
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9090", value_parser = address)]
    pub(super) addr: String,
    /// How long to wait for the connection, and then for each reply: a number with a unit, ms, s or min
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(super) timeout: Duration,
    /// How values are encoded
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    protocol: ProtocolArg,
    /// How messages are delimited [default: framed; for `call --report` header, if the server accepts it]
    #[arg(long, value_enum, value_name = "NAME", hide_possible_values = false)]
    transport: Option<TransportArg>,
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
            addr: addr.to_string(),
            timeout,
            protocol: ProtocolArg::default(),
            transport: None,
        }
    }

    /// Whether no transport was named.
    pub(super) fn may_choose_transport(&self) -> bool {
        self.transport.is_none()
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

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Client, ClientError> {
        Client::connect(
            &self.addr,
            self.wire_format(),
            Limits::default(),
            self.timeout,
        )
        .await
    }

    /// The transport and protocol.
    pub(super) fn wire_format(&self) -> WireFormat {
        WireFormat {
            transport: match self.transport.unwrap_or_default() {
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
            ClientError::Tls => {
                Some("this command supports only plain TCP: use a listener without `tls`")
            }
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

/// A host and a port. They are resolved when the command connects.
fn address(text: &str) -> Result<String, String> {
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
