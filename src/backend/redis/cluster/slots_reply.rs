//! Reads which node serves which slots from the reply to `CLUSTER SLOTS`, and addresses from redirections.
//!
//! The cluster itself names the addresses. An address without a host, or with `?` as its host, is on the host of the node
//! that sent the reply.

use super::slot::SLOTS;
use crate::backend::redis::resp::Reply;
use crate::backend::redis::server::Address;

/// `host:port` as the node at `from` names another node: an IPv6 address has no brackets there.
pub(in crate::backend::redis) fn named(text: &str, from: &Address) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    Some(at(host, port.parse().ok()?, from))
}

fn at(host: &str, port: u16, from: &Address) -> Address {
    match (host, from) {
        ("" | "?", Address::Tcp(own, _)) => Address::Tcp(own.clone(), port),
        _ => Address::Tcp(host.to_owned(), port),
    }
}

/// A range of slots, the master that serves them, and its replicas.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend::redis) struct Range {
    pub(in crate::backend::redis) first: u16,
    pub(in crate::backend::redis) last: u16,
    pub(super) master: Address,
    pub(super) replicas: Vec<Address>,
}

/// The ranges that a node at `from` lists; `None` if the reply is something else.
pub(in crate::backend::redis) fn ranges(reply: &Reply, from: &Address) -> Option<Vec<Range>> {
    let Reply::Array(rows) = reply else {
        return None;
    };
    rows.iter().map(|row| range(row, from)).collect()
}

/// One range: its first and last slot, its master, its replicas.
fn range(row: &Reply, from: &Address) -> Option<Range> {
    let Reply::Array(row) = row else { return None };
    let [first, last, master, replicas @ ..] = &row[..] else {
        return None;
    };
    let (first, last) = (slot(first)?, slot(last)?);
    let replicas = replicas.iter().filter_map(|replica| node(replica, from));
    (first <= last).then_some(Range {
        first,
        last,
        master: node(master, from)?,
        replicas: replicas.collect(),
    })
}

/// The address of a node. Its name and other descriptions follow and are ignored.
fn node(described: &Reply, from: &Address) -> Option<Address> {
    let Reply::Array(words) = described else {
        return None;
    };
    let [host, Reply::Int(port), ..] = &words[..] else {
        return None;
    };
    let host = match host {
        Reply::String(host) => std::str::from_utf8(host).ok()?,
        Reply::Nil => "",
        _ => return None,
    };
    Some(at(host, u16::try_from(*port).ok()?, from))
}

fn slot(reply: &Reply) -> Option<u16> {
    match reply {
        Reply::Int(number) => u16::try_from(*number)
            .ok()
            .filter(|slot| usize::from(*slot) < SLOTS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::backend::redis::resp::Parser;

    fn address(host: &str, port: u16) -> Address {
        Address::Tcp(host.into(), port)
    }

    fn parse(text: &str) -> Option<Vec<Range>> {
        let mut bytes = BytesMut::from(text);
        let reply = Parser::default().next(&mut bytes).expect("a reply");
        ranges(&reply.expect("a whole one"), &address("10.0.0.9", 1))
    }

    #[test]
    fn addresses_of_nodes() {
        let named = |text| named(text, &address("10.0.0.9", 1));
        assert_eq!(named("10.0.0.1:6379"), Some(address("10.0.0.1", 6379)));
        assert_eq!(named("::1:6379"), Some(address("::1", 6379)));
        assert_eq!(named(":6379"), Some(address("10.0.0.9", 6379)));
        assert_eq!(named("?:6379"), Some(address("10.0.0.9", 6379)));
        for none in ["", "host", "host:", "host:65536"] {
            assert_eq!(named(none), None, "{none}");
        }
    }

    #[test]
    fn the_reply_to_cluster_slots() {
        let two = "*2\r\n*4\r\n:0\r\n:100\r\n*3\r\n$8\r\n10.0.0.1\r\n:6379\r\n$1\r\nx\r\n*3\r\n$8\r\n10.0.0.2\r\n:6379\r\n\
                   $1\r\ny\r\n*3\r\n:101\r\n:16383\r\n*4\r\n$-1\r\n:6380\r\n$1\r\nz\r\n*0\r\n";
        let want = [
            Range {
                first: 0,
                last: 100,
                master: address("10.0.0.1", 6379),
                replicas: vec![address("10.0.0.2", 6379)],
            },
            Range {
                first: 101,
                last: 16_383,
                master: address("10.0.0.9", 6380),
                replicas: vec![],
            },
        ];
        assert_eq!(parse(two).as_deref(), Some(&want[..]));
        assert_eq!(parse("*0\r\n"), Some(vec![]));
        for bad in [
            ":1\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n",
            "*1\r\n*3\r\n:5\r\n:4\r\n*2\r\n$1\r\na\r\n:1\r\n",
            "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:65536\r\n",
            "*1\r\n*2\r\n:0\r\n:1\r\n",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
