//! Who serves which slots of a cluster: the reply to `CLUSTER SLOTS`, and the map made of it.
//!
//! Addresses come from the cluster itself. One without a host, or with `?` for it, is on the host that said so.

use std::collections::HashMap;
use std::rc::Rc;

use super::node::Node;
use super::slot::SLOTS;
use crate::backend::{redis::resp::Reply, redis::server::Address};

/// Nodes that are reached at a time; a cluster has no more than a thousand.
const NODES_MAX: usize = 1000;
/// Stands for a slot that nobody serves.
const NOBODY: u16 = u16::MAX;

/// `host:port` as the node at `from` names another: an IPv6 address stands there without brackets.
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

/// Slots in a row, the master that serves them, and its replicas.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend::redis) struct Range {
    pub(in crate::backend::redis) first: u16,
    pub(in crate::backend::redis) last: u16,
    pub(super) master: Address,
    pub(super) replicas: Vec<Address>,
}

/// The ranges that a node at `from` names; `None` if the reply is of another shape.
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

/// The address of a node, before its name and whatever else is said of it.
fn node(told: &Reply, from: &Address) -> Option<Address> {
    let Reply::Array(told) = told else {
        return None;
    };
    let [host, Reply::Int(port), ..] = &told[..] else {
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

/// Each slot's node.
pub(super) struct SlotMap {
    nodes: Vec<Rc<Node>>,
    /// Per slot the place of its node in `nodes`.
    owners: Vec<u16>,
    /// The places of a node's replicas, by its own.
    replicas: HashMap<u16, Vec<u16>>,
}

impl SlotMap {
    /// Nobody serves anything.
    pub(super) fn new() -> Self {
        SlotMap {
            nodes: Vec::new(),
            owners: vec![NOBODY; SLOTS],
            replicas: HashMap::new(),
        }
    }

    /// The node that serves `slot`.
    pub(super) fn owner(&self, slot: u16) -> Option<&Rc<Node>> {
        let owner = self.owners.get(usize::from(slot))?;
        self.nodes.get(usize::from(*owner))
    }

    /// The replicas of the node that serves `slot`.
    pub(super) fn replicas(&self, slot: u16) -> impl Iterator<Item = &Rc<Node>> + Clone {
        let owner = self.owners.get(usize::from(slot));
        let replicas = owner.and_then(|owner| self.replicas.get(owner));
        let places = replicas.into_iter().flatten();
        places.filter_map(|at| self.nodes.get(usize::from(*at)))
    }

    /// Every node.
    pub(super) fn nodes(&self) -> &[Rc<Node>] {
        &self.nodes
    }

    /// The node at `address`; `open` makes it when it is not known yet, and `None` means there are too many.
    pub(super) fn node(
        &mut self,
        address: &Address,
        open: impl FnOnce() -> Rc<Node>,
    ) -> Option<&Rc<Node>> {
        let at = self.place(address, open)?;
        self.nodes.get(usize::from(at))
    }

    /// Has `slot` served by the node at `address`, until the map is read again.
    pub(super) fn moved(&mut self, slot: u16, address: &Address) {
        let known = self.nodes.iter().position(|node| node.is_at(address));
        if let (Some(owner), Some(at)) = (
            self.owners.get_mut(usize::from(slot)),
            known.and_then(|at| u16::try_from(at).ok()),
        ) {
            *owner = at;
        }
    }

    /// Takes a new map over. Nodes that stay keep their connections; those not in it go, once nobody waits for
    /// them. Whether anything is different now.
    pub(super) fn install(
        &mut self,
        ranges: &[Range],
        open: impl Fn(&Address) -> Rc<Node>,
    ) -> bool {
        let mut next = SlotMap::new();
        for range in ranges {
            let mut place = |address| {
                let known = self.nodes.iter().find(|node| node.is_at(address));
                next.place(address, || known.cloned().unwrap_or_else(|| open(address)))
            };
            let master = place(&range.master).unwrap_or(NOBODY);
            let replicas: Vec<u16> = range.replicas.iter().filter_map(place).collect();
            if !replicas.is_empty() {
                // The same for each of its ranges.
                next.replicas.insert(master, replicas);
            }
            let slots = usize::from(range.first)..=usize::from(range.last);
            next.owners[slots].fill(master);
        }
        let owner = |map: &SlotMap, slot: usize| {
            let node = map.nodes.get(usize::from(map.owners[slot]));
            node.map(Rc::as_ptr)
        };
        let changed = (0..SLOTS).any(|slot| owner(self, slot) != owner(&next, slot));
        *self = next;
        changed
    }

    fn place(&mut self, address: &Address, open: impl FnOnce() -> Rc<Node>) -> Option<u16> {
        let known = self.nodes.iter().position(|node| node.is_at(address));
        if known.is_none() && self.nodes.len() == NODES_MAX {
            return None;
        }
        let at = match known {
            Some(at) => at,
            None => {
                self.nodes.push(open());
                self.nodes.len() - 1
            }
        };
        u16::try_from(at).ok()
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
    fn addresses_that_nodes_name() {
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
