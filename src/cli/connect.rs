//! How to reach a server, as options; and the loop that a command's calls run on.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::runtime::{Builder, LocalOptions};

use super::client::{Client, ClientError};
use super::error::CommandError;
use crate::thrift::{Limits, Protocol, Transport, WireFormat};

/// Where the server is and what it speaks.
#[derive(Clone, Debug, Args)]
pub(super) struct ConnectArgs {
    /// The server: a listener without TLS, by host and port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9090", value_parser = address)]
    pub(super) addr: String,
    /// How long to wait for the connection, and then for each reply: a number with a unit, ms, s or min
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(super) timeout: Duration,
    /// How values become bytes
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    protocol: ProtocolArg,
    /// How messages are told apart
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    transport: TransportArg,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ProtocolArg {
    #[default]
    Binary,
    Compact,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TransportArg {
    /// Each message after its length
    #[default]
    Framed,
    /// Messages one after the other
    Unframed,
}

impl ConnectArgs {
    /// Framed binary to a server at `addr`.
    pub(super) fn to(addr: SocketAddr, timeout: Duration) -> Self {
        ConnectArgs {
            addr: addr.to_string(),
            timeout,
            protocol: ProtocolArg::default(),
            transport: TransportArg::default(),
        }
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

    /// What is spoken.
    pub(super) fn wire_format(&self) -> WireFormat {
        WireFormat {
            transport: match self.transport {
                TransportArg::Framed => Transport::Framed,
                TransportArg::Unframed => Transport::Unframed,
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
                    Some("is `tributary serve` running? `--addr HOST:PORT` names another server")
                }
                ErrorKind::InvalidInput => {
                    Some("an address is a host and a port: `127.0.0.1:9090`")
                }
                _ => None,
            },
            ClientError::Timeout(_) => Some("`--timeout` waits longer"),
            ClientError::Tls => {
                Some("this command speaks plain TCP only: name a listener without `tls`")
            }
            ClientError::Closed => Some(
                "does it speak this `--protocol` and `--transport`, and does it take messages of this size?",
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

/// A host and a port, which are looked at when they are connected to.
fn address(text: &str) -> Result<String, String> {
    if text.starts_with("unix:") || text.starts_with('/') {
        return Err(
            "this command speaks plain TCP only, no Unix sockets: name a listener with a host and a port".into(),
        );
    }
    Ok(text.to_owned())
}

/// Runs `work` to its end on a loop of its own.
pub(super) fn on_loop<F: Future>(work: F) -> Result<F::Output, CommandError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|err| CommandError::failed(format_args!("can't start the event loop: {err}")))?;
    Ok(runtime.block_on(work))
}
