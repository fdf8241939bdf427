//! A Redis server's address and our credentials there: `redis://user:password@host:6379/0`.
//!
//! In: a URL as other Redis clients write it. Out: a [`Server`] to connect to. Problems never show the URL: it may carry
//! a password. `rediss:` and `valkeys:` ask for TLS; the configuration, not the URL, says what is verified.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

pub(super) use super::address::Address;
use super::address_map::AddressMap;
use super::resp::put_command;
use crate::backend::net;
use crate::backend::net::{Secure, percent_decoded};

/// The port of a URL without one.
pub(super) const PORT: u16 = 6379;
/// How long a connection may be silent before the kernel probes the other end.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// A server, and how to log in.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: Address,
    /// The URL asks for TLS.
    pub(super) is_tls: bool,
    /// Set from the configuration if the URL asks for it.
    pub(super) secure: Option<Secure>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
    /// Use RESP3.
    pub(super) resp3: bool,
    /// A node of a cluster that may be read from if it is a replica.
    pub(super) reads_replica: bool,
    /// How old a connection to it may become.
    pub(super) age_max: Duration,
    /// Where addresses that other servers name really lead.
    pub(super) map: Arc<AddressMap>,
}

/// Without credentials.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// The server of a URL, or what is wrong with it.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut server = match scheme {
            "redis" | "valkey" => Server::tcp(rest)?,
            "rediss" | "valkeys" => Server {
                is_tls: true,
                ..Server::tcp(rest)?
            },
            "unix" | "redis+unix" | "valkey+unix" => {
                Server::new(Address::Unix(percent_decoded(rest)?))
            }
            _ => return Err("its scheme is not `redis`, `rediss` or `unix`"),
        };
        if matches!(&server.address, Address::Unix(path) if !path.starts_with('/')) {
            return Err("its path does not begin with `/`");
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (key, value) {
                ("protocol", "resp3") => server.resp3 = true,
                ("protocol", "resp2") => server.resp3 = false,
                ("protocol", _) => return Err("its protocol is neither `resp2` nor `resp3`"),
                ("db", number) => server.database = database(number)?,
                ("user", user) => server.user = Some(percent_decoded(user)?),
                ("pass", password) => server.password = Some(percent_decoded(password)?),
                _ => return Err("it has an unknown parameter"),
            }
        }
        Ok(server)
    }

    /// The same server settings with another address.
    pub(super) fn at(&self, address: Address) -> Self {
        Server {
            address,
            ..self.clone()
        }
    }

    /// Whether both have the same settings, apart from the address.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let way = |server: &Self| (server.is_tls, server.database, server.resp3);
        let who = |server: &Self| (server.user.clone(), server.password.clone());
        way(self) == way(other) && who(self) == who(other)
    }

    fn new(address: Address) -> Self {
        Server {
            address,
            is_tls: false,
            secure: None,
            user: None,
            password: None,
            database: 0,
            resp3: false,
            reads_replica: false,
            age_max: net::AGE_MAX,
            map: Arc::default(),
        }
    }

    /// `user:password@host:port/database`
    fn tcp(rest: &str) -> Result<Self, &'static str> {
        // A password may contain an `@`.
        let (who, place) = match rest.rsplit_once('@') {
            Some((who, place)) => (Some(who), place),
            None => (None, rest),
        };
        let (place, path) = place.split_once('/').unwrap_or((place, ""));
        let mut server = Server::new(host_and_port(place)?);
        if !path.is_empty() {
            server.database = database(path)?;
        }
        if let Some(who) = who {
            let (user, password) = who.split_once(':').unwrap_or((who, ""));
            server.user = Some(percent_decoded(user)?).filter(|user| !user.is_empty());
            server.password =
                Some(percent_decoded(password)?).filter(|password| !password.is_empty());
        }
        Ok(server)
    }

    /// The first commands on each connection, and how many replies they get.
    pub(super) fn greeting(&self) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let mut count = 0;
        let mut say = |words: &[&[u8]]| {
            put_command(&mut out, words);
            count += 1;
        };
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => say(&[b"AUTH", user.as_bytes(), password.as_bytes()]),
            (None, Some(password)) => say(&[b"AUTH", password.as_bytes()]),
            (_, None) => {}
        }
        if self.resp3 {
            say(&[b"HELLO", b"3"]);
        }
        if self.database != 0 {
            say(&[b"SELECT", self.database.to_string().as_bytes()]);
        }
        if self.reads_replica {
            say(&[b"READONLY"]);
        }
        // Shows whether the server accepts us: a server that is loading its data, or requires a password, says so now.
        say(&[b"PING"]);
        (out, count)
    }
}

/// A socket to `host` with keepalive probes.
pub(super) async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = net::connect_tcp(host, port).await?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

/// `host`, `host:port` or `[address]:port`.
fn host_and_port(place: &str) -> Result<Address, &'static str> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("its address is never closed")?;
            match port {
                "" => (host, None),
                port => (
                    host,
                    Some(
                        port.strip_prefix(':')
                            .ok_or("its port is not a number up to 65535")?,
                    ),
                ),
            }
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    if !host.bytes().all(is_plain) {
        return Err("its host has an invalid character");
    }
    let port = port.map_or(Ok(PORT), str::parse);
    let port = port.map_err(|_| "its port is not a number up to 65535")?;
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    Ok(Address::Tcp(host.to_owned(), port))
}

fn database(number: &str) -> Result<u32, &'static str> {
    number.parse().map_err(|_| "its database is not a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_an_address_and_credentials() {
        let server = Server::parse("redis://ann:p%40ss@cache-1:7000/3?protocol=resp3");
        let server = server.expect("a URL");
        assert_eq!(server.address, Address::Tcp("cache-1".into(), 7000));
        assert_eq!(
            (server.user.as_deref(), server.password.as_deref()),
            (Some("ann"), Some("p@ss"))
        );
        assert_eq!((server.database, server.resp3), (3, true));
        let (greeting, count) = server.greeting();
        let greeting = String::from_utf8(greeting).expect("text");
        assert_eq!(count, 4);
        assert!(
            greeting
                .starts_with("*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$4\r\np@ss\r\n*2\r\n$5\r\nHELLO"),
            "{greeting}"
        );
        assert!(!format!("{server:?}").contains("p@ss"));
        let address = |url| Server::parse(url).map(|server| server.address);
        assert_eq!(address("redis://h"), Ok(Address::Tcp("h".into(), 6379)));
        assert_eq!(
            address("redis://[::1]:7"),
            Ok(Address::Tcp("::1".into(), 7))
        );
        assert_eq!(address("redis://:a@b@h:7"), Ok(Address::Tcp("h".into(), 7)));
        assert_eq!(
            address("unix:///run/a%20b.sock"),
            Ok(Address::Unix("/run/a b.sock".into()))
        );
        for (url, is_tls) in [
            ("redis://h", false),
            ("rediss://h", true),
            ("valkeys://h", true),
        ] {
            assert_eq!(Server::parse(url).expect("a URL").is_tls, is_tls, "{url}");
        }
        let socket = Server::parse("unix:///run/x?db=2&user=u&pass=p").expect("a URL");
        assert_eq!(
            (socket.database, socket.password.as_deref()),
            (2, Some("p"))
        );
    }

    #[test]
    fn invalid_urls_are_refused() {
        for bad in [
            "",
            "h:1",
            "http://h",
            "redis://h:x",
            "redis://h/x",
            "redis://h:99999",
            "redis://[::1",
            "redis://[::1]7",
            "redis://h?protocol=4",
            "redis://h?what=1",
            "redis://h h",
            "unix://run",
            "redisss://h",
        ] {
            assert!(Server::parse(bad).is_err(), "{bad}");
        }
    }
}
