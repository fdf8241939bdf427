//! Keeps track of the nodes of a cluster and of the map of its slots.
//!
//! The map is read from the nodes at start, every [`MAP_AGE_MAX`], and soon after any hint of a change: `MOVED`, or a
//! node that can't be reached. Hints that arrive together lead to one refresh; refreshes that find nothing new become
//! rarer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::config::Seeds;
use super::node::Node;
use super::slot_map::SlotMap;
use super::slots_reply::Range;
use super::tracking::Tracking;
use crate::backend::redis::server::Address;
use crate::backend::{LookupError, OnLoop, StoreMemory};
use crate::backoff::Backoff;
use crate::error::Code;
use crate::random::Random;

/// How old the map may be before it is refreshed.
const MAP_AGE_MAX: Duration = Duration::from_secs(10);

/// The same while it is heard which keys change: so long a master that has joined may not be heard.
const MAP_AGE_MAX_TRACKED: Duration = Duration::from_secs(1);

/// The known nodes, and the slots that they serve.
pub(super) struct Nodes {
    seeds: Seeds,
    /// Hears which keys have changed, if answers are kept until then.
    tracking: Option<Tracking>,
    map: RefCell<SlotMap>,
    state: watch::Sender<MapState>,
    /// A refresh is wanted.
    wanted: Notify,
    /// The node to ask first: the one to which a slot was moved, if that is known.
    hint: RefCell<Option<Address>>,
    /// The node to ask next.
    turn: Cell<usize>,
    /// Seeds the delays of each node's connection.
    random: RefCell<Random>,
    memory: StoreMemory,
}

#[derive(Clone)]
enum MapState {
    /// The first refresh is under way.
    Loading,
    Loaded,
    /// No node could list the slots; the reason is that of the last one.
    Failed(LookupError),
}

impl MapState {
    fn settled(&self) -> Option<Result<(), LookupError>> {
        match self {
            MapState::Loading => None,
            MapState::Loaded => Some(Ok(())),
            MapState::Failed(err) => Some(Err(err.clone())),
        }
    }
}

impl Nodes {
    /// Nothing is known yet.
    pub(super) fn new(
        (seeds, tracking): (Seeds, Option<Tracking>),
        random: Random,
        memory: &StoreMemory,
    ) -> Self {
        Nodes {
            seeds,
            tracking,
            map: RefCell::new(SlotMap::new()),
            state: watch::Sender::new(MapState::Loading),
            wanted: Notify::new(),
            hint: RefCell::default(),
            turn: Cell::new(0),
            random: RefCell::new(random),
            memory: memory.clone(),
        }
    }

    pub(super) fn tracking(&self) -> Option<&Tracking> {
        self.tracking.as_ref()
    }

    /// Waits until it is known whether there is a map.
    pub(super) async fn loaded(&self) -> Result<(), LookupError> {
        if let Some(settled) = self.state.borrow().settled() {
            if settled.is_err() {
                self.look_again();
            }
            return settled;
        }
        let mut changes = self.state.subscribe();
        let settled = changes.wait_for(|state| state.settled().is_some());
        let settled = match timeout(self.seeds.common.connect_timeout, settled).await {
            Ok(Ok(state)) => state.settled(),
            _ => None,
        };
        settled.unwrap_or_else(|| {
            let why = "no node of the cluster has answered yet";
            Err(LookupError::new(Code::LookupUnavailable, why))
        })
    }

    /// The node that serves `slot`, by the current map.
    pub(super) fn owner(&self, slot: u16) -> Option<Rc<Node>> {
        self.map.borrow().owner(slot).cloned()
    }

    /// A replica of that node that is up and in sync: the same for a whole batch, and a different one for the next batch.
    pub(super) fn replica(&self, slot: u16, batch: usize) -> Option<Rc<Node>> {
        let map = self.map.borrow();
        let mut up = map.replicas(slot).filter(|node| node.is_up());
        let count = up.clone().count();
        up.nth(batch.checked_rem(count)?).cloned()
    }

    /// Requests a refresh soon.
    pub(super) fn look_again(&self) {
        self.wanted.notify_one();
    }

    /// Records that `to` now serves `slot`, and requests a refresh of the whole map.
    pub(super) fn moved(&self, slot: u16, to: Address) -> Option<Rc<Node>> {
        let node = self.node(&to)?;
        self.map.borrow_mut().moved(slot, &to);
        if let Some(tracking) = &self.tracking {
            tracking.map_changed();
        }
        *self.hint.borrow_mut() = Some(to);
        self.look_again();
        Some(node)
    }

    /// The node at `address`, old or new.
    pub(super) fn node(&self, address: &Address) -> Option<Rc<Node>> {
        let mut map = self.map.borrow_mut();
        map.node(address, || self.open(address)).cloned()
    }

    fn open(&self, address: &Address) -> Rc<Node> {
        let on = OnLoop {
            seed: self.random.borrow_mut().draw(),
            memory: self.memory.clone(),
            ..OnLoop::default()
        };
        Rc::new(Node::open(address.clone(), &self.seeds.common, &on))
    }

    /// Asks the nodes in turn, and then the seeds, until one lists the slots.
    async fn look(&self) -> Result<Vec<Range>, LookupError> {
        let mut failure = unserved(0);
        for node in self.candidates() {
            match timeout(self.seeds.common.connect_timeout, node.ranges()).await {
                Ok(Ok(mut ranges)) if !ranges.is_empty() => {
                    if !self.seeds.common.server.reads_replica {
                        // No connections are to be made to them.
                        for range in &mut ranges {
                            range.replicas.clear();
                        }
                    }
                    return Ok(ranges);
                }
                Ok(Ok(_none)) => {}
                Ok(Err(err)) => failure = err,
                Err(_elapsed) => {
                    let why = "a node does not answer `CLUSTER SLOTS`";
                    failure = LookupError::new(Code::LookupUnavailable, why);
                }
            }
        }
        Err(failure)
    }

    /// The nodes to ask, one after the other. Seeds are connected to only when they are needed.
    fn candidates(&self) -> impl Iterator<Item = Rc<Node>> {
        let hint = self.hint.take().and_then(|address| self.node(&address));
        let mut nodes = self.map.borrow().nodes().to_vec();
        let first = self.turn.get() % nodes.len().max(1);
        nodes.rotate_left(first);
        self.turn.set(self.turn.get().wrapping_add(1));
        let seeds = self.seeds.addresses.iter();
        let seeds = seeds.map(|address| self.open(address));
        hint.into_iter().chain(nodes).chain(seeds)
    }
}

/// The error of a slot without a node.
pub(super) fn unserved(slot: u16) -> LookupError {
    let why = format!("no node is known to serve slot {slot}");
    LookupError::new(Code::LookupUnavailable, why)
}

/// Refreshes the map for as long as the backend lives.
pub(super) async fn watch(nodes: Rc<Nodes>, mut backoff: Backoff) {
    loop {
        let found = nodes.look().await;
        let changed = match found {
            Ok(ranges) => {
                let changed = nodes
                    .map
                    .borrow_mut()
                    .install(&ranges, |address| nodes.open(address));
                if let Some(tracking) = &nodes.tracking {
                    follow(tracking, &ranges, changed);
                }
                nodes.state.send_replace(MapState::Loaded);
                changed
            }
            Err(err) => {
                // An old map is better than none: its nodes report which slots they no longer serve.
                if !matches!(*nodes.state.borrow(), MapState::Loaded) {
                    nodes.state.send_replace(MapState::Failed(err));
                }
                // A lookup that comes after some of the pause has the cluster looked at.
                let pause = backoff.delay();
                let soon = backoff.wanted_after(pause);
                sleep(soon).await;
                let wanted = nodes.wanted.notified();
                drop(timeout(pause.saturating_sub(soon), wanted).await);
                continue;
            }
        };
        if changed {
            backoff.reset();
        }
        sleep(backoff.delay()).await;
        let age_max = match nodes.tracking {
            Some(_) => MAP_AGE_MAX_TRACKED,
            None => MAP_AGE_MAX,
        };
        let wanted = timeout(age_max, nodes.wanted.notified()).await;
        if wanted.is_err() {
            backoff.reset();
        }
    }
}

/// Has the masters of a map heard that was read just now.
fn follow(tracking: &Tracking, ranges: &[Range], changed: bool) {
    let mut masters: Vec<&Address> = Vec::new();
    for range in ranges {
        if !masters.contains(&&range.master) {
            masters.push(&range.master);
        }
    }
    if changed {
        tracking.map_changed();
    }
    tracking.follow(&masters);
}
