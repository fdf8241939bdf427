//! The map from slots to nodes.

use std::collections::HashMap;
use std::rc::Rc;

use super::node::Node;
use super::slot::SLOTS;
use super::slots_reply::Range;
use crate::backend::redis::server::Address;

/// The maximum number of nodes that are connected at a time; a cluster has at most a thousand.
const NODES_MAX: usize = 1000;
/// Stands for a slot that no node serves.
const UNSERVED: u16 = u16::MAX;

/// Each slot's node.
pub(super) struct SlotMap {
    nodes: Vec<Rc<Node>>,
    /// For each slot, the index of its node in `nodes`.
    owners: Vec<u16>,
    /// For the index of a node, the indices of its replicas.
    replicas: HashMap<u16, Vec<u16>>,
}

impl SlotMap {
    /// A map in which no slot is served.
    pub(super) fn new() -> Self {
        SlotMap {
            nodes: Vec::new(),
            owners: vec![UNSERVED; SLOTS],
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

    /// The node at `address`; `open` makes it if it is not known yet. `None` if there are too many.
    pub(super) fn node(
        &mut self,
        address: &Address,
        open: impl FnOnce() -> Rc<Node>,
    ) -> Option<&Rc<Node>> {
        let at = self.place(address, open)?;
        self.nodes.get(usize::from(at))
    }

    /// Assigns `slot` to the node at `address`, until the map is read again.
    pub(super) fn moved(&mut self, slot: u16, address: &Address) {
        let known = self.nodes.iter().position(|node| node.is_at(address));
        if let (Some(owner), Some(at)) = (
            self.owners.get_mut(usize::from(slot)),
            known.and_then(|at| u16::try_from(at).ok()),
        ) {
            *owner = at;
        }
    }

    /// Replaces the map. Nodes that stay keep their connections; the others are dropped once no lookup waits for
    /// them. Returns whether anything changed.
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
            let master = place(&range.master).unwrap_or(UNSERVED);
            let replicas: Vec<u16> = range.replicas.iter().filter_map(place).collect();
            if !replicas.is_empty() {
                // A master's replicas are the same for each of its ranges.
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
