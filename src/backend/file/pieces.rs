//! Reads the pieces of a file on all cores, and says in the log how far it is when that takes long.

use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use tokio::time::{Duration, Instant};
use tracing::info;

/// The size of a piece: large enough that threads seldom ask for the next one.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// How often the log says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// How far the reading of one file is.
#[derive(Debug)]
pub(super) struct Progress<'p> {
    path: &'p str,
    bytes: usize,
    done: AtomicUsize,
    began: Instant,
    /// How many times it was said.
    said: AtomicU64,
}

impl<'p> Progress<'p> {
    /// A file of this size.
    pub(super) fn new(path: &'p str, bytes: usize) -> Self {
        Progress {
            path,
            bytes,
            done: AtomicUsize::new(0),
            began: Instant::now(),
            said: AtomicU64::new(0),
        }
    }

    /// So many more bytes are read.
    fn more(&self, bytes: usize) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let elapsed = self.began.elapsed();
        let due = elapsed.as_secs() / SAY_EVERY.as_secs();
        if due > self.said.fetch_max(due, Ordering::Relaxed) {
            let percent = done.saturating_mul(100) / self.bytes.max(1);
            info!(
                path = self.path,
                percent,
                seconds = elapsed.as_secs(),
                "reading a file"
            );
        }
    }
}

/// Reads each piece of a text with `read`, on all cores. The results are in the order of the pieces.
pub(super) fn read_pieces<R: Send>(
    pieces: &[Range<usize>],
    progress: &Progress<'_>,
    read: impl Fn(Range<usize>) -> R + Sync,
) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut results = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(at) else {
                return results;
            };
            results.push((at, read(piece.clone())));
            progress.more(piece.len());
        }
    };
    let mut results = thread::scope(|scope| {
        let others = (1..cores.min(pieces.len())).filter_map(|_| {
            let builder = thread::Builder::new().name("read-file".into());
            // Without more threads this one reads everything.
            builder.spawn_scoped(scope, work).ok()
        });
        let others: Vec<_> = others.collect();
        let mut results = work();
        for other in others {
            results.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    });
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_pieces() {
        let pieces: Vec<Range<usize>> = (0..1000).map(|at| at..at + 1).collect();
        let progress = Progress::new("t", pieces.len());
        let read = read_pieces(&pieces, &progress, |piece| piece);
        assert_eq!(read, pieces);
        assert_eq!(progress.done.into_inner(), pieces.len());
        assert!(read_pieces(&[], &Progress::new("t", 0), |_| ()).is_empty());
    }
}
