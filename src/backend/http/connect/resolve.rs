//! Resolves names, on tokio's blocking pool, and drops the addresses to which no name may lead.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use crate::backend::net::is_refused;

/// The system's resolver. Literal addresses are not resolved.
#[derive(Clone)]
pub(super) struct Resolver(GaiResolver);

impl Resolver {
    pub(super) fn new() -> Self {
        Resolver(GaiResolver::new())
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.0.call(name);
        Box::pin(async { allowed(resolving.await?).map(Vec::into_iter) })
    }
}

/// The addresses to which a name may lead, of those to which it does.
pub(super) fn allowed(resolved: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let (refused, allowed): (Vec<_>, Vec<_>) = resolved.partition(|addr| is_refused(addr.ip()));
    if allowed.is_empty() && !refused.is_empty() {
        let message = "the name resolves to a link-local address, which is refused";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn link_local_addresses_are_dropped() {
        let of = |addrs: &[&str]| {
            let parsed = addrs
                .iter()
                .map(|addr| addr.parse::<IpAddr>().expect("an address"));
            let resolved: Vec<_> = parsed.map(|addr| SocketAddr::new(addr, 80)).collect();
            allowed(resolved.into_iter()).map(|addrs| addrs.len())
        };
        for refused in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "febf::1",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
        ] {
            let err = of(&[refused]).expect_err(refused);
            assert_eq!(err.kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(of(&[refused, "10.0.0.1"]).expect("one is left"), 1);
        }
        for fine in ["127.0.0.1", "::1", "169.253.1.1", "fec0::1", "fd00::1"] {
            assert_eq!(of(&[fine]).expect(fine), 1);
        }
        assert_eq!(of(&[]).expect("nothing resolved"), 0);
    }
}
