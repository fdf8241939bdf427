//! `tributary health`: asks a server's admin port whether it takes calls, and tells by the exit code.
//!
//! It is for images that hold no other program, and for unit files. It reads of the configuration only how to reach the port, so
//! that it takes neither the time nor the memory of a check, and does not fail because of files that the server has read already.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::connect::{address, on_loop};
use super::dial::Dialer;
use super::error::CommandError;
use super::exit::ExitStatus;
use super::output::Output;
use super::tls::{OwnServer, TlsArgs, explained};
use crate::config::ProbeTls;
use crate::diagnostic::Problem;
use crate::program::{admin_probe, open};

/// A longer answer is not one of an admin port.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Ask whether a server takes calls
///
/// Asks `/readyz` of the admin port, and prints one line: what it answered, or why it did not.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Health {
    /// The configuration of the server, whose `[admin]` names the port
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        default_value = "tributary.toml"
    )]
    config: String,
    /// The admin port: host and port [default: that of the configuration]
    #[arg(long, value_name = "HOST:PORT", value_parser = address, conflicts_with = "config")]
    addr: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Ask `/livez` instead: whether every event loop is alive, even if the server drains
    #[arg(long)]
    live: bool,
    /// How long the whole answer may take: a number with a unit, ms, s or min
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

const EXAMPLES: &str = "\
Examples:
  tributary health
  tributary health -c /etc/tributary.toml --live
  tributary health --addr 127.0.0.1:9091 --timeout 500ms

Exit codes: 0 it takes calls (with `--live`: it is alive), 1 it does not, or could not be asked";

pub(super) fn run(options: &Health, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let (addr, tls) = match &options.addr {
        Some(addr) => (addr.clone(), None),
        None => configured(&options.config)?,
    };
    let own = tls.map(|tls| OwnServer {
        shows: None,
        identity: match tls {
            ProbeTls::Anonymous => None,
            ProbeTls::Certified(tls) => Some(tls.identity),
        },
    });
    let tls = options.tls.client_of(&addr, own)?;
    let server = Dialer::new(&addr, tls);
    let path = if options.live { "/livez" } else { "/readyz" };
    let answer = on_loop(async { timeout(options.timeout, ask(&server, path)).await })?;
    let answered = match answer {
        Ok(answered) => answered,
        Err(_elapsed) => {
            let after = humantime::format_duration(options.timeout);
            Err(anyhow::anyhow!("no answer within {after}"))
        }
    };
    let (status, body) = answered.map_err(|err| failed(&format!("{addr}{path}"), &err))?;
    let line = one_line(&body);
    match status {
        StatusCode::OK => {
            out.data(&format!("{addr}{path}: {line}"));
            Ok(ExitStatus::Done)
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            Err(CommandError::failed(format_args!("{addr}{path}: {line}")))
        }
        // It speaks TLS, and says so in a line.
        StatusCode::BAD_REQUEST if line.contains("TLS") => {
            let refused = CommandError::failed(format_args!("{addr}{path}: {line}"));
            Err(refused
                .help("name its configuration with `-c FILE`, or add `--tls` or `--ca FILE`"))
        }
        other => Err(CommandError::failed(format_args!(
            "{addr}{path}: status {}: is this the admin port?",
            other.as_u16()
        ))),
    }
}

/// There is no answer.
fn failed(asked: &str, err: &anyhow::Error) -> CommandError {
    // With TLS 1.3 the server refuses a certificate only when it should answer.
    let io = err.chain().find_map(|err| {
        let err = err.downcast_ref::<io::Error>()?;
        let cause = err.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(explained(io::Error::new(err.kind(), cause.clone())))
    });
    match io {
        Some(why) => CommandError::failed(format_args!("{asked}: {why}")),
        // The whole chain of causes, once.
        None => CommandError::failed(format_args!("{asked}: {err:#}")),
    }
}

/// Where the configuration at `path` says that probes connect. A mistake in it is a failure, not misuse: container engines
/// reserve exit code 2 of a health check.
fn configured(path: &str) -> Result<(String, Option<ProbeTls>), CommandError> {
    let admin = open(path, &[])
        .map_err(|problem| vec![*problem])
        .and_then(admin_probe)
        .map_err(|problems| CommandError::failed(first(path, &problems)))?;
    let Some(admin) = admin else {
        return Err(CommandError::failed(format_args!(
            "`{path}` has no admin port: add `[admin]` with `listen = \"127.0.0.1:9091\"`"
        )));
    };
    let listen = &admin.listen;
    let addr = reachable(listen).ok_or_else(|| {
        CommandError::failed(format_args!(
            "`{path}` takes any free port (`admin.listen` is `{listen}`): name it with `--addr`"
        ))
    })?;
    Ok((addr, admin.tls))
}

/// The first of several problems, in one line.
fn first(path: &str, problems: &[Problem]) -> String {
    match problems.first() {
        Some(problem) if !problem.key.is_empty() => {
            format!(
                "`{path}`: `{}`: {}",
                problem.key,
                one_line(&problem.message)
            )
        }
        Some(problem) => one_line(&problem.message),
        None => format!("`{path}` has problems"),
    }
}

/// The address at which this machine reaches a port that listens on `listen`. `None` for port 0.
pub(super) fn reachable(listen: &str) -> Option<String> {
    let Ok(mut addr) = listen.parse::<SocketAddr>() else {
        return (!listen.ends_with(":0")).then(|| listen.to_owned());
    };
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    (addr.port() != 0).then(|| addr.to_string())
}

/// Status and body of the answer.
async fn ask(server: &Dialer, path: &str) -> anyhow::Result<(StatusCode, String)> {
    let stream = server.connect().await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(HOST, &server.addr)
        .body(Empty::<Bytes>::new())?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX);
        let body = body.collect().await.map_err(anyhow::Error::from_boxed)?;
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        anyhow::Ok((status, body))
    };
    let (answer, _ended) = tokio::join!(answer, connection);
    answer
}

fn one_line(body: &str) -> String {
    let lines: Vec<&str> = body.lines().collect();
    let text = lines.join("; ");
    text.replace(|c: char| c.is_control(), "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_on_every_interface_is_reached_on_this_machine() {
        for (listen, expected) in [
            ("0.0.0.0:9091", Some("127.0.0.1:9091")),
            ("[::]:9091", Some("[::1]:9091")),
            ("10.0.0.1:9091", Some("10.0.0.1:9091")),
            ("localhost:9091", Some("localhost:9091")),
            ("127.0.0.1:0", None),
            ("localhost:0", None),
        ] {
            assert_eq!(reachable(listen).as_deref(), expected, "{listen}");
        }
    }

    #[test]
    fn an_answer_is_one_line() {
        assert_eq!(
            one_line("loop 0: ok\nloop 1: stuck\n"),
            "loop 0: ok; loop 1: stuck"
        );
        assert_eq!(one_line("\u{1b}[31mred"), "?[31mred");
    }
}
