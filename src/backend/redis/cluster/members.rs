//! The nodes of a cluster and the map of its slots, kept true.
//!
//! The map is read from the nodes at start, every [`MAP_AGE_MAX`], and soon after anything that hints at a
//! change: `MOVED`, a node that can't be reached. Of all that hint at the same time, one look is made; looks that
//! find nothing new become rarer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::config::Seeds;
use super::node::Node;
use super::topology::{Range, SlotMap};
use crate::backend::{LookupError, redis::server::Address};
use crate::error::Code;

/// The longest that a map is believed without a look at the cluster.
const MAP_AGE_MAX: Duration = Duration::from_secs(10);
/// The shortest pause between two looks; it doubles while they find nothing new.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause when a look is wanted.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What is known of a cluster.
pub(super) struct Members {
    seeds: Seeds,
    map: RefCell<SlotMap>,
    /// Whether there is a map.
    known: watch::Sender<Known>,
    /// A new look at the cluster is wanted.
    wanted: Notify,
    /// Who is to be asked first: where a slot moved to, that is known.
    hint: RefCell<Option<Address>>,
    /// Whose turn it is to be asked.
    turn: Cell<usize>,
}

#[derive(Clone)]
enum Known {
    /// The first look is under way.
    Searching,
    /// There is a map.
    Found,
    /// No node could say, and this is what the last one said.
    Nothing(LookupError),
}

impl Members {
    /// Nothing is known yet.
    pub(super) fn new(seeds: Seeds) -> Self {
        Members {
            seeds,
            map: RefCell::new(SlotMap::new()),
            known: watch::Sender::new(Known::Searching),
            wanted: Notify::new(),
            hint: RefCell::default(),
            turn: Cell::new(0),
        }
    }

    /// Waits until it is known whether there is a map.
    pub(super) async fn found(&self) -> Result<(), LookupError> {
        if let Some(known) = known(&self.known.borrow()) {
            return known;
        }
        let mut changes = self.known.subscribe();
        let settled = changes.wait_for(|state| known(state).is_some());
        let settled = match timeout(self.seeds.common.connect_timeout, settled).await {
            Ok(Ok(state)) => known(&state),
            _ => None,
        };
        settled.unwrap_or_else(|| {
            let why = "no node of the cluster has answered yet";
            Err(LookupError::new(Code::LookupUnavailable, why))
        })
    }

    /// The node that serves `slot`, as far as is known.
    pub(super) fn owner(&self, slot: u16) -> Option<Rc<Node>> {
        self.map.borrow().owner(slot).cloned()
    }

    /// A replica of that node that is up and in sync: one of them for a whole batch, the next one for the next.
    pub(super) fn replica(&self, slot: u16, batch: usize) -> Option<Rc<Node>> {
        let map = self.map.borrow();
        let mut up = map.replicas(slot).filter(|node| node.is_up());
        let count = up.clone().count();
        up.nth(batch.checked_rem(count)?).cloned()
    }

    /// Has the cluster looked at soon.
    pub(super) fn look_again(&self) {
        self.wanted.notify_one();
    }

    /// Takes note that `slot` is served at `to` now, and has the whole map looked at.
    pub(super) fn moved(&self, slot: u16, to: Address) -> Option<Rc<Node>> {
        let node = self.node(&to)?;
        self.map.borrow_mut().moved(slot, &to);
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
        Rc::new(Node::open(address.clone(), &self.seeds.common))
    }

    /// Asks the nodes in turn, and then the seeds, until one names who serves the slots.
    async fn look(&self) -> Result<Vec<Range>, LookupError> {
        let mut failure = unserved(0);
        for node in self.candidates() {
            match timeout(self.seeds.common.connect_timeout, node.ranges()).await {
                Ok(Ok(mut ranges)) if !ranges.is_empty() => {
                    if !self.seeds.common.server.reads_replica {
                        // Nothing is to be connected to them.
                        for range in &mut ranges {
                            range.replicas.clear();
                        }
                    }
                    return Ok(ranges);
                }
                Ok(Ok(_none)) => {}
                Ok(Err(err)) => failure = err,
                Err(_elapsed) => {
                    let why = "a node does not say who serves the slots";
                    failure = LookupError::new(Code::LookupUnavailable, why);
                }
            }
        }
        Err(failure)
    }

    /// Whom to ask, one after the other. Seeds are connected to when their turn comes.
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

fn known(known: &Known) -> Option<Result<(), LookupError>> {
    match known {
        Known::Searching => None,
        Known::Found => Some(Ok(())),
        Known::Nothing(err) => Some(Err(err.clone())),
    }
}

/// The error of a slot without a node.
pub(super) fn unserved(slot: u16) -> LookupError {
    let why = format!("no node is known to serve slot {slot}");
    LookupError::new(Code::LookupUnavailable, why)
}

/// Looks at the cluster for as long as the backend lives.
pub(super) async fn keep(members: Rc<Members>) {
    let mut pause = PAUSE_MIN;
    loop {
        let found = members.look().await;
        let (changed, idle) = match found {
            Ok(ranges) => {
                let changed = members
                    .map
                    .borrow_mut()
                    .install(&ranges, |address| members.open(address));
                members.known.send_replace(Known::Found);
                (changed, MAP_AGE_MAX)
            }
            Err(err) => {
                // An old map is better than none: its nodes say themselves what they no longer serve.
                if !matches!(*members.known.borrow(), Known::Found) {
                    members.known.send_replace(Known::Nothing(err));
                }
                (false, Duration::ZERO)
            }
        };
        pause = if changed { PAUSE_MIN } else { pause };
        sleep(pause).await;
        let wanted = timeout(idle, members.wanted.notified()).await.is_ok();
        pause = if wanted || idle.is_zero() {
            (pause * 2).min(PAUSE_MAX)
        } else {
            PAUSE_MIN
        };
    }
}
