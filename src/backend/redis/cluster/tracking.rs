//! Hears which keys of a cluster have changed, over a connection to each of its masters.
//!
//! Only the node that has a key says that it changes. So nothing is known about any key unless all masters are heard, and a
//! change of the map makes all answers void: a slot may have been written at a node that was not heard yet.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::node::Common;
use crate::backend::OnLoop;
use crate::backend::changes::{Changes, Hearing};
use crate::backend::redis::connection::Connection;
use crate::backend::redis::server::Address;
use crate::backend::redis::tracking::{Tracked, commands};
use crate::random::Random;

/// Hears the changes of a cluster on one loop.
pub(in crate::backend::redis) struct Tracking {
    common: Common,
    /// What each master is sent.
    commands: Rc<[u8]>,
    random: RefCell<Random>,
    masters: Rc<Masters>,
    /// In the order of `masters`.
    connections: RefCell<Vec<Connection>>,
}

/// The masters, and which of them are heard.
struct Masters {
    changes: Rc<Changes>,
    all: RefCell<Vec<Master>>,
    /// While all of them are heard.
    hearing: RefCell<Option<Hearing>>,
}

#[derive(Clone)]
struct Master {
    address: Address,
    is_heard: Rc<Cell<bool>>,
}

/// One master is heard, until this is dropped.
struct HeardMaster {
    is_heard: Rc<Cell<bool>>,
    masters: Rc<Masters>,
}

impl Tracking {
    /// Nothing is heard until the masters are known.
    pub(in crate::backend::redis) fn new(
        common: &Common,
        prefixes: Vec<&str>,
        (on, random): (&OnLoop, &mut Random),
    ) -> Self {
        Tracking {
            common: common.clone(),
            commands: commands(prefixes).into(),
            random: RefCell::new(Random::seeded(random.draw())),
            masters: Rc::new(Masters {
                changes: Changes::new(&on.name, random.draw()),
                all: RefCell::default(),
                hearing: RefCell::default(),
            }),
            connections: RefCell::default(),
        }
    }

    pub(in crate::backend::redis) fn changes(&self) -> &Rc<Changes> {
        &self.masters.changes
    }

    /// A slot is served by another node than was known.
    pub(super) fn map_changed(&self) {
        self.masters.changes.all_changed();
    }

    /// These are the masters from now on. Those that stay keep their connections.
    pub(super) fn follow(&self, addresses: &[&Address]) {
        let mut all = self.masters.all.borrow_mut();
        let is_same = |(master, address): (&Master, &&Address)| master.address == **address;
        if all.len() == addresses.len() && all.iter().zip(addresses).all(is_same) {
            return;
        }
        let mut connections = self.connections.borrow_mut();
        let mut before: Vec<_> = all.drain(..).zip(connections.drain(..)).collect();
        for &address in addresses {
            let known = before.iter().position(|(of, _)| of.address == *address);
            let (master, connection) = match known {
                Some(at) => before.swap_remove(at),
                None => self.start(address),
            };
            all.push(master);
            connections.push(connection);
        }
        drop(all);
        self.masters.update();
    }

    fn start(&self, address: &Address) -> (Master, Connection) {
        let master = Master {
            address: address.clone(),
            is_heard: Rc::default(),
        };
        let (masters, is_heard) = (Rc::clone(&self.masters), Rc::clone(&master.is_heard));
        let hear = move || {
            let heard = HeardMaster {
                is_heard: Rc::clone(&is_heard),
                masters: Rc::clone(&masters),
            };
            heard.set(true);
            Box::new(heard) as Box<dyn Any>
        };
        let server = self.common.server.at(address.clone());
        let commands = Rc::clone(&self.commands);
        let endpoint = Tracked::new(server, (commands, &self.masters.changes), hear);
        let on = OnLoop {
            seed: self.random.borrow_mut().draw(),
            ..OnLoop::default()
        };
        let connection = Connection::start(endpoint, self.common.connect_timeout, &on);
        (master, connection)
    }
}

impl Masters {
    /// Hears if all masters are heard.
    fn update(&self) {
        let is_all = {
            let all = self.all.borrow();
            !all.is_empty() && all.iter().all(|master| master.is_heard.get())
        };
        let is_hearing = self.hearing.borrow().is_some();
        if is_all != is_hearing {
            self.hearing.replace(is_all.then(|| self.changes.hear()));
        }
    }
}

impl HeardMaster {
    fn set(&self, is_heard: bool) {
        self.is_heard.set(is_heard);
        self.masters.update();
    }
}

impl Drop for HeardMaster {
    fn drop(&mut self) {
        self.set(false);
    }
}
