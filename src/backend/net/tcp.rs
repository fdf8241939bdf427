//! Makes TCP sockets for connections that live long.
//!
//! A name may have several addresses, some of which lead nowhere. They are tried as RFC 8305 ("Happy Eyeballs") says: both
//! families in turn, the next address as soon as one fails or says nothing for a moment, and the first that answers wins.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use socket2::SockRef;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until};

/// How long sent bytes may stay unacknowledged before the kernel gives up the connection. Without this limit, lookups
/// would time out one by one for a quarter of an hour after the server's machine is gone.
pub(in crate::backend) const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
/// How long an address may be silent before the next one is tried as well: RFC 8305, section 5.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Connects to `host`, a name or an address. Small writes are sent immediately, because callers gather what belongs
/// together.
pub(in crate::backend) async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    race(resolve(host, port).await?, connect_addr).await
}

/// Connects to one address of a host. Small writes are sent immediately.
pub(in crate::backend) async fn connect_addr(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    Ok(stream)
}

/// The addresses of `host`, a name or an address, in the order in which to try them: at least one.
pub(in crate::backend) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let addrs = interleaved(lookup_host((host, port)).await?);
    if addrs.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(addrs)
}

/// Both families in turn, beginning with the resolver's favourite.
fn interleaved(addrs: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let all: Vec<SocketAddr> = addrs.collect();
    let prefers_v6 = all.first().is_some_and(SocketAddr::is_ipv6);
    let (liked, other): (Vec<_>, Vec<_>) =
        (all.into_iter()).partition(|a| a.is_ipv6() == prefers_v6);
    let (mut liked, mut other) = (liked.into_iter(), other.into_iter());
    let mut in_turn = Vec::new();
    loop {
        let pair = [liked.next(), other.next()];
        if pair == [None, None] {
            return in_turn;
        }
        in_turn.extend(pair.into_iter().flatten());
    }
}

/// Connects to whichever of `addrs`, of which there is at least one, answers first. If none does, the error is that of the
/// first one that failed.
pub(in crate::backend) async fn race<T, E>(
    addrs: Vec<SocketAddr>,
    connect: impl AsyncFn(SocketAddr) -> Result<T, E>,
) -> Result<T, E> {
    let mut connecting = FuturesUnordered::new();
    let mut addrs = addrs.into_iter();
    let mut first_failure = None;
    let mut next_at = Instant::now();
    loop {
        let has_next = addrs.len() > 0;
        tokio::select! {
            biased;
            Some(connected) = connecting.next(), if !connecting.is_empty() => match connected {
                Ok(connected) => return Ok(connected),
                Err(err) => {
                    first_failure.get_or_insert(err);
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if has_next => {
                connecting.extend(addrs.next().map(|addr| Box::pin(connect(addr))));
                next_at = Instant::now() + NEXT_ADDRESS_AFTER;
            }
            else => break,
        }
    }
    Err(first_failure.expect("there is at least one address"))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::sleep;

    use super::*;

    fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
        let addr = |text: &&str| text.parse().expect("an address");
        texts.iter().map(addr).collect()
    }

    #[test]
    fn families_take_turns() {
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"];
        let in_turn = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"];
        assert_eq!(interleaved(addrs(&all).into_iter()), addrs(&in_turn));
        assert_eq!(interleaved(std::iter::empty()), []);
    }

    /// What comes of a race between ports, each of which answers after as many milliseconds as its number; an odd one with
    /// an error. Also when each was tried, and when it was over.
    async fn raced(ports: &[u16]) -> (Result<u16, u16>, Vec<u128>, u128) {
        let begun = Instant::now();
        let tried = RefCell::new(Vec::new());
        let connect = async |addr: SocketAddr| {
            tried.borrow_mut().push(begun.elapsed().as_millis());
            let port = addr.port();
            sleep(Duration::from_millis(port.into())).await;
            if port.is_multiple_of(2) {
                Ok(port)
            } else {
                Err(port)
            }
        };
        let addrs = ports.iter().map(|port| ([127, 0, 0, 1], *port).into());
        let outcome = race(addrs.collect(), connect).await;
        (outcome, tried.take(), begun.elapsed().as_millis())
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_silent_address_costs_a_moment_and_a_dead_one_nothing() {
        assert_eq!(raced(&[20]).await, (Ok(20), vec![0], 20));
        assert_eq!(raced(&[60_000, 20]).await, (Ok(20), vec![0, 250], 270));
        assert_eq!(raced(&[3, 20]).await, (Ok(20), vec![0, 3], 23));
        assert_eq!(raced(&[300, 400]).await, (Ok(300), vec![0, 250], 300));
        let all = raced(&[60_001, 60_000, 5, 40]).await;
        assert_eq!(all, (Ok(40), vec![0, 250, 500, 505], 545));
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn if_all_fail_the_first_failure_says_why() {
        assert_eq!(raced(&[301, 3]).await, (Err(3), vec![0, 250], 301));
    }

    #[tokio::test(flavor = "local")]
    async fn a_name_is_resolved_and_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        // If it has an IPv6 address too, no server listens there.
        let stream = connect_tcp("localhost", port).await.expect("connects");
        assert_eq!(stream.peer_addr().expect("connected").port(), port);
    }
}
