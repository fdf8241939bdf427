//! Reaches an HTTP server without asking it anything: what a request would do there is not known here.

use hyper::http::uri::Scheme;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::{Base, Config};
use crate::backend::{Examination, LookupError};
use crate::error::Code;

pub(super) async fn examine(config: &Config, lookups: usize) -> Examination {
    let why = match timeout(config.connect_timeout, connect(&config.base)).await {
        Ok(Ok(_)) => return Examination::nothing("connected, no request was made", lookups),
        Ok(Err(err)) => err.to_string(),
        Err(_elapsed) => "no connection within `connect_timeout`".to_owned(),
    };
    Examination::failed(LookupError::new(Code::LookupUnavailable, why), lookups)
}

async fn connect(base: &Base) -> std::io::Result<TcpStream> {
    let authority = &base.authority;
    // An IPv6 address stands in brackets there.
    let host = authority.host().trim_matches(['[', ']']);
    let standard = if base.scheme == Scheme::HTTPS {
        443
    } else {
        80
    };
    TcpStream::connect((host, authority.port_u16().unwrap_or(standard))).await
}
