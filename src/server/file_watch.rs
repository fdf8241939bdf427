//! Looks at the files of the configuration, and says when a change of them is to be loaded: `server.reload = "on_change"`.
//!
//! A change counts once all files have stood still for [`QUIET`], so that a file is rarely read while it is being written. A random
//! delay, at most `server.reload_jitter`, then keeps servers that share a configuration from reloading at the same moment.
//! The files are those that the last reading read, whether its configuration is served or was refused; what was refused is not
//! tried again before one of its files changes.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::program::Program;
use crate::random::Random;
use crate::stamp::FilesRead;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long all files have to stay as they are.
const QUIET: Duration = Duration::from_millis(500);

/// The files of a configuration, and what has become of them.
pub(super) struct FileWatch {
    /// As they were when they were read.
    files: FilesRead,
    /// The longest delay; `None` if nothing is watched.
    jitter: Option<Duration>,
    changed: Option<Changed>,
    next_look: Instant,
    random: Random,
}

/// Files that have changed and are not loaded yet.
struct Changed {
    /// By the last look.
    seen: FilesRead,
    /// When they have stood still for long enough.
    quiet_at: Instant,
    /// When the delay is over.
    due: Instant,
}

impl FileWatch {
    pub(super) fn new(program: &Program, random: Random) -> Self {
        FileWatch {
            files: program.files.clone(),
            jitter: program.reload.on_change,
            changed: None,
            next_look: Instant::now(),
            random,
        }
    }

    /// How long to wait for the next look; `None` if nothing is watched.
    pub(super) fn next_look(&self, now: Instant) -> Option<Duration> {
        self.jitter?;
        Some(self.next_look.saturating_duration_since(now))
    }

    /// Looks at the files if it is time for that. True if they are to be loaded now.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let Some(jitter) = self.jitter.filter(|_| now >= self.next_look) else {
            return false;
        };
        self.next_look = now + LOOK_EVERY;
        let seen = self.files.now();
        let Some(path) = self.files.changed(&seen) else {
            // They are again what was read, for example because a file was away for a moment.
            self.changed = None;
            return false;
        };
        let due = match &self.changed {
            Some(changed) if changed.seen == seen => {
                return now >= changed.quiet_at && now >= changed.due;
            }
            Some(changed) => changed.due,
            None => {
                let delay = jitter.mul_f64(self.random.share());
                info!(path = %path.display(), ?delay, "a file of the configuration has changed");
                now + delay
            }
        };
        let quiet_at = now + QUIET;
        self.changed = Some(Changed {
            seen,
            quiet_at,
            due,
        });
        false
    }

    /// This program is served from now on.
    pub(super) fn serves(&mut self, program: &Program) {
        self.jitter = program.reload.on_change;
        self.read(program.files.clone());
    }

    /// What these files say was refused: how to watch stays as it was.
    pub(super) fn refused(&mut self, files: FilesRead) {
        self.read(files);
    }

    /// It is not known what was read.
    pub(super) fn panicked(&mut self) {
        self.read(self.files.now());
    }

    fn read(&mut self, files: FilesRead) {
        self.files = files;
        self.changed = None;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A watch of `a`, `b` in a folder, with this longest delay.
    fn watch(folder: &Path, jitter: Duration) -> FileWatch {
        let mut files = FilesRead::default();
        for name in ["a", "b"] {
            fs::write(folder.join(name), "old").expect("the folder is ours");
            files.note(&folder.join(name));
        }
        FileWatch {
            files,
            jitter: Some(jitter),
            changed: None,
            next_look: Instant::now(),
            random: Random::seeded(3),
        }
    }

    /// Looks as often as it wants to until `until`; returns when it said that a reload is due.
    fn looks(watch: &mut FileWatch, from: Instant, until: Duration) -> Option<Duration> {
        let mut now = from;
        while now <= from + until {
            if watch.look(now) {
                return Some(now - from);
            }
            now += watch.next_look(now).expect("it watches");
        }
        None
    }

    #[test]
    fn a_change_is_loaded_once_all_files_stand_still() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut watch = watch(folder.path(), Duration::ZERO);
        let second = Duration::from_secs(1);
        let start = watch.next_look;
        assert_eq!(looks(&mut watch, start, second), None);
        let mut now = start + 2 * second;
        // Written in parts, each look sees more.
        for part in ["n", "ne", "new", "newe"] {
            fs::write(folder.path().join("a"), part).expect("the folder is ours");
            assert!(!watch.look(now));
            now += 2 * LOOK_EVERY;
        }
        assert!(watch.look(now), "nothing has changed for {QUIET:?}");
        watch.read(watch.files.now());
        assert_eq!(looks(&mut watch, now, second), None, "once");
    }

    #[test]
    fn a_file_that_was_away_for_a_moment_has_not_changed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut watch = watch(folder.path(), Duration::ZERO);
        let (a, away) = (folder.path().join("a"), folder.path().join("away"));
        let start = watch.next_look;
        // A copy that is named otherwise would have another inode, and a rename another time of change: as to a look, a
        // file that cannot be reached is away.
        std::os::unix::fs::symlink(&a, folder.path().join("link")).expect("the folder is ours");
        watch.files.note(&folder.path().join("link"));
        let unlinked = folder.path().join("link");
        fs::rename(&unlinked, &away).expect("it is there");
        assert!(!watch.look(start) && watch.changed.is_some());
        fs::rename(&away, &unlinked).expect("it is there");
        assert_eq!(looks(&mut watch, start + LOOK_EVERY, 2 * QUIET), None);
    }

    #[test]
    fn servers_load_at_different_moments_within_the_bound() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let jitter = Duration::from_secs(20);
        let mut delays = Vec::new();
        for seed in 0..8 {
            let mut watch = watch(folder.path(), jitter);
            watch.random = Random::seeded(seed);
            fs::remove_file(folder.path().join("b")).expect("it is there");
            let start = watch.next_look;
            let delay = looks(&mut watch, start, 2 * jitter).expect("it is due at last");
            assert!(delay >= QUIET && delay <= jitter + LOOK_EVERY, "{delay:?}");
            delays.push(delay);
        }
        delays.sort();
        assert!(delays[7] > delays[0] + jitter / 4, "{delays:?}");
    }

    #[test]
    fn nothing_is_looked_at_unless_that_is_asked_for() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut watch = watch(folder.path(), Duration::ZERO);
        watch.jitter = None;
        fs::remove_file(folder.path().join("b")).expect("it is there");
        let now = watch.next_look;
        assert_eq!(watch.next_look(now), None);
        assert!(!watch.look(now) && watch.changed.is_none());
    }
}
