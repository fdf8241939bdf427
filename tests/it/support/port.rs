//! Ports for servers that need to be given one.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports below those that Linux uses for outgoing connections. Otherwise an outgoing connection could take the port of
/// a server that is down, or even connect to itself.
const FIRST: u16 = 10_000;
const COUNT: u32 = 22_000;

/// A port that was free a moment ago. This process does not return it again for a long time.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Concurrent test runs start at different ports.
    let begin = std::process::id().wrapping_mul(97);
    let mut ports = (0..COUNT).map(|_| {
        let at = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        FIRST + u16::try_from(at).expect("less than COUNT")
    });
    let free = ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.expect("some port is free")
}
