//! Watches a file and replaces its table once the file has changed: the key `reload = "on_change"`.
//!
//! A thread looks at the file every second, reads it, and makes what each lookup needs. Lookups find a finished
//! [`Generation`], so they never wait, and those under way keep the table that they began with. A file has changed once two
//! looks find the same new stamp. If it can't be read or does not suit the lookups, the old table stays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::find::Find;
use super::loaded::Loaded;
use super::source::Source;
use crate::backend::table_reloads::{TableReload, TableReloads};
use crate::error::Code;
use crate::stamp::Stamp;

/// How often a thread looks at the file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A table and the lookups that ask it.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    pub(super) loaded: Arc<Loaded>,
    /// By the number that [`Watched::add`] returned.
    pub(super) finds: Vec<Arc<Find>>,
}

/// A file that is watched, and its present table.
#[derive(Debug)]
pub struct Watched {
    source: Source,
    generations: watch::Sender<Arc<Generation>>,
    reloads: TableReloads,
    has_thread: AtomicBool,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// By the last look.
    seen: Option<Stamp>,
    /// When the file was last read, well or not.
    read: Option<Stamp>,
}

impl Watched {
    /// Watches `source`, whose present table is `loaded`.
    pub(super) fn new(source: Source, loaded: Arc<Loaded>) -> Self {
        let finds = Vec::new();
        Watched {
            source,
            generations: watch::Sender::new(Arc::new(Generation { loaded, finds })),
            reloads: TableReloads::new(),
            has_thread: AtomicBool::new(false),
        }
    }

    /// The present table and lookups.
    pub(super) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generations.borrow())
    }

    /// What became of changes so far.
    #[cfg(test)]
    pub(super) fn reloads(&self) -> &TableReloads {
        &self.reloads
    }

    /// Adds a lookup, to be asked by the number that is returned.
    pub(super) fn add(&self, find: Find) -> usize {
        let find = Arc::new(find);
        let add = |now: &mut Arc<Generation>| Arc::make_mut(now).finds.push(Arc::clone(&find));
        self.generations.send_modify(add);
        self.generation().finds.len() - 1
    }

    /// Starts the thread if there is none; then the counts are the caller's to show. The thread ends with the last user.
    pub(super) fn start(self: &Arc<Self>) -> Option<TableReloads> {
        if self.has_thread.swap(true, Ordering::Relaxed) {
            return None;
        }
        let watched = Arc::downgrade(self);
        let started = thread::Builder::new()
            .name("watch-file".into())
            .spawn(move || watch(&watched));
        if let Err(err) = started {
            let path = self.source.path.display();
            warn!(%path, error = %err, "the file is not watched: a thread can't be started");
        }
        Some(self.reloads.clone())
    }

    /// Looks at the file, and reads it if it has changed and stays as it is.
    pub(super) fn look(&self, looks: &mut Looks) {
        let stamp = self.source.stamp().ok();
        let is_stable = stamp == looks.seen;
        looks.seen.clone_from(&stamp);
        if !is_stable || stamp == looks.read {
            return;
        }
        let next = self.read();
        if self.source.stamp().ok() != stamp {
            // It was being written meanwhile: the next looks see more.
            return;
        }
        looks.read = stamp;
        let path = self.source.path.display();
        match next {
            Ok(None) => {}
            Ok(Some(next)) => {
                let rows = next.loaded.table.len();
                self.generations.send_replace(Arc::new(next));
                self.reloads.count(TableReload::Ok);
                info!(%path, rows, "the file has changed and is read again");
            }
            Err(what) => {
                self.reloads.count(TableReload::Refused);
                let code = Code::ConfigFile;
                warn!(%code, %path, what, "the file has changed and can't be used: its old rows are still served");
            }
        }
    }

    /// The next generation; `None` if the file holds what it held.
    fn read(&self) -> Result<Option<Generation>, String> {
        let now = self.generation();
        let loaded = self.source.load().map_err(|err| err.to_string())?;
        if Arc::ptr_eq(&loaded, &now.loaded) {
            return Ok(None);
        }
        let finds = now.finds.iter().map(|find| find.of(&loaded).map(Arc::new));
        let finds = finds.collect::<Result<_, String>>()?;
        Ok(Some(Generation { loaded, finds }))
    }
}

/// Looks at the file for as long as someone uses it.
fn watch(watched: &Weak<Watched>) {
    let mut looks = Looks::default();
    while let Some(watched) = watched.upgrade() {
        watched.look(&mut looks);
        drop(watched);
        thread::park_timeout(LOOK_EVERY);
    }
}
