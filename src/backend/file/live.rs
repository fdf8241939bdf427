//! Remembers the tables in memory, so that a reload of a file that has not changed uses the table that it has.
//!
//! A table is known by its path, by how it was read, and by the content of the file. The file system's stamp tells that a
//! file is unchanged without reading it. Only tables that someone uses are remembered.

use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};
#[expect(
    clippy::disallowed_types,
    reason = "shared by the threads that read configurations; held for a moment"
)]
use std::sync::Mutex;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use foldhash::quality::FixedState;

use super::loaded::Loaded;
use super::reading::Reading;
use crate::stamp::Stamp;

/// Tables of this process.
#[expect(clippy::disallowed_types, reason = "see the import")]
static LIVE: Mutex<Vec<Live>> = Mutex::new(Vec::new());

/// A table in memory.
struct Live {
    path: PathBuf,
    reading: Reading,
    /// `None` if the file was so new that a change might not show.
    stamp: Option<Stamp>,
    content: Content,
    loaded: Weak<Loaded>,
}

/// Stands for the content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    len: usize,
    hashes: [u64; 2],
}

impl Content {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let hash = |seed| {
            let mut hasher = FixedState::with_seed(seed).build_hasher();
            hasher.write(bytes);
            hasher.finish()
        };
        Content {
            len: bytes.len(),
            hashes: [hash(1), hash(2)],
        }
    }
}

/// The table of the file at `path`, if its stamp is that of the file when it was read.
pub(super) fn unchanged(path: &Path, reading: &Reading, stamp: &Stamp) -> Option<Arc<Loaded>> {
    find(path, reading, |live| live.stamp.as_ref() == Some(stamp))
}

/// The table of the file at `path`, if the file had this content when it was read.
pub(super) fn with_content(
    path: &Path,
    reading: &Reading,
    content: Content,
) -> Option<Arc<Loaded>> {
    find(path, reading, |live| live.content == content)
}

/// Remembers a table for as long as someone uses it.
pub(super) fn keep(
    path: PathBuf,
    reading: Reading,
    (stamp, content): (Option<Stamp>, Content),
    loaded: &Arc<Loaded>,
) {
    let mut all = all();
    let is_other = |live: &Live| !std::ptr::eq(live.loaded.as_ptr(), Arc::as_ptr(loaded));
    all.retain(|live| live.loaded.strong_count() > 0 && is_other(live));
    all.push(Live {
        path,
        reading,
        stamp,
        content,
        loaded: Arc::downgrade(loaded),
    });
}

fn find(path: &Path, reading: &Reading, is_it: impl Fn(&Live) -> bool) -> Option<Arc<Loaded>> {
    let all = all();
    let mut found = all
        .iter()
        .filter(|live| live.path == path && live.reading == *reading && is_it(live));
    found.find_map(|live| live.loaded.upgrade())
}

fn all() -> MutexGuard<'static, Vec<Live>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}
