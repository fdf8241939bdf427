//! Ports for servers that have to be told theirs.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that Linux takes for outgoing connections: otherwise one of these might take the port of a server while
/// it is away, or even connect to itself there.
const FIRST: u16 = 10_000;
const COUNT: u32 = 22_000;

/// A port that was free a moment ago. No other call in this process gets it for a long time.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test runs at the same time begin in different places.
    let begin = std::process::id().wrapping_mul(97);
    let mut ports = (0..COUNT).map(|_| {
        let at = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        FIRST + u16::try_from(at).expect("less than COUNT")
    });
    let free = ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.expect("some port is free")
}
