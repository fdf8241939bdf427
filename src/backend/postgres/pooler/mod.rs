//! Speaks to PostgreSQL through a pooler that gives every transaction another session (pgbouncer, `pool_mode = transaction`).
//!
//! What stays in a session would be seen by other clients, and is not there for our next question. So nothing stays: the
//! stream under the client rewrites its messages. Every question parses its statement again, without a name, in the
//! transaction that runs it, and that transaction alone is read-only and has a timeout. The client and everything
//! above it use prepared statements as on a direct connection.

mod expected; // the replies to expect
mod requests; // messages to the server
mod replies; // messages from the server
mod stream; // both, over a socket

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::net::UnixStream;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Socket};

use self::stream::Rewritten;
use super::config::Settings;
use super::driver::Driver;
use super::hosts::{self, Connected};
use super::tls::Secure;
use crate::backend::net;

/// The messages with which every transaction begins.
fn preamble(settings: &Settings) -> Bytes {
    let millis = settings.timeout_millis();
    requests::preamble(&format!(
        "select set_config('transaction_read_only', 'on', true), \
         set_config('statement_timeout', '{millis}', true)"
    ))
}

/// Connects to a pooler.
pub(super) async fn connect(
    settings: &Settings,
) -> Result<(Client, Driver), tokio_postgres::Error> {
    let preamble = preamble(settings);
    let mut client = settings.client.clone();
    if client
        .get_hosts()
        .iter()
        .any(|host| matches!(host, Host::Unix(_)))
    {
        return connect_unix(&client, preamble).await;
    }
    if client.get_hosts().is_empty() {
        for addr in client.get_hostaddrs().to_vec() {
            client.host(addr.to_string());
        }
    }
    if let Some(tls) = &settings.tls {
        let required = client.get_ssl_mode() == SslMode::Require;
        let (tls, preamble) = (Some(tls.clone()), preamble.clone());
        client.ssl_mode(SslMode::Require);
        match hosts::connect(&client, &ThroughPooler { tls, preamble }, None).await {
            Ok(Connected { client, driver, .. }) => return Ok((client, driver)),
            Err(err) if required || err.as_db_error().is_some() => return Err(err),
            // `sslmode=prefer`: the server may have no TLS.
            Err(_) => {}
        }
    }
    // There is no handshake: the "TLS" is our own stream.
    client
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    let tls = None;
    let connected = hosts::connect(&client, &ThroughPooler { tls, preamble }, None).await?;
    Ok((connected.client, connected.driver))
}

/// Connects to the first socket that answers.
async fn connect_unix(
    config: &Config,
    preamble: Bytes,
) -> Result<(Client, Driver), tokio_postgres::Error> {
    let mut config = config.clone();
    config.ssl_mode(SslMode::Disable);
    let hosts = config.get_hosts().iter().enumerate();
    let paths = hosts.filter_map(|(at, host)| match host {
        Host::Unix(folder) => {
            let ports = config.get_ports();
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            Some(folder.join(format!(".s.PGSQL.{port}")))
        }
        Host::Tcp(_) => None,
    });
    let paths: Vec<_> = paths.collect();
    let mut paths = paths.into_iter().peekable();
    loop {
        let path = paths.next().unwrap_or_default();
        let socket = UnixStream::connect(path).await;
        let failed = socket.is_err();
        // A stream without a socket fails with the reason, as an error of the client.
        let stream = Rewritten::new(stream::Perhaps(socket), preamble.clone());
        match config.connect_raw(stream, tokio_postgres::NoTls).await {
            Ok((client, connection)) => return Ok((client, connection.boxed_local())),
            Err(_) if failed && paths.peek().is_some() => {}
            Err(err) => return Err(err),
        }
    }
}

/// Makes connections to a pooler, with TLS or without.
#[derive(Clone)]
struct ThroughPooler {
    tls: Option<Secure>,
    preamble: Bytes,
}

/// Makes a connection to one host.
struct ToHost {
    tls: Option<<Secure as MakeTlsConnect<Socket>>::TlsConnect>,
    preamble: Bytes,
}

type Failed = Box<dyn Error + Send + Sync>;
type Connecting = Pin<Box<dyn Future<Output = io::Result<Rewritten<net::Stream<Socket>>>> + Send>>;

impl MakeTlsConnect<Socket> for ThroughPooler {
    type Stream = Rewritten<net::Stream<Socket>>;
    type TlsConnect = ToHost;
    type Error = Failed;

    fn make_tls_connect(&mut self, host: &str) -> Result<ToHost, Failed> {
        let tls = self.tls.as_mut();
        Ok(ToHost {
            tls: tls.map(|tls| tls.make_tls_connect(host)).transpose()?,
            preamble: self.preamble.clone(),
        })
    }
}

impl TlsConnect<Socket> for ToHost {
    type Stream = Rewritten<net::Stream<Socket>>;
    type Error = io::Error;
    type Future = Connecting;

    fn connect(self, socket: Socket) -> Connecting {
        Box::pin(async {
            let stream = match self.tls {
                Some(tls) => tls.connect(socket).await?,
                None => net::Stream::Plain(socket),
            };
            Ok(Rewritten::new(stream, self.preamble))
        })
    }
}

#[cfg(test)]
mod tests;
