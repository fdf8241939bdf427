//! What the file system says of a file: whether it is the same as before, without reading it.
//!
//! Metadata is that of the file to which symbolic links lead: a link that is swapped is a change.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What the file system says of a file. As long as it stays the same, so does the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) len: u64,
    file: (u64, u64),
    modified: Option<SystemTime>,
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Stamp {
            len: metadata.len(),
            file: (metadata.dev(), metadata.ino()),
            modified: metadata.modified().ok(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a later change is sure to change the stamp: file systems tell apart only times that are far enough from each
    /// other.
    pub(crate) fn is_settled(&self) -> bool {
        const COARSEST: Duration = Duration::from_secs(2);
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age > COARSEST)
    }
}

/// Files that were read, each with its stamp just before: a change while it was read is noticed too. A file that was not
/// there has no stamp.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesRead(BTreeMap<PathBuf, Option<Stamp>>);

impl FilesRead {
    /// `path` is going to be read. To be called before that; only the first time counts.
    pub fn note(&mut self, path: &Path) {
        if !self.0.contains_key(path) {
            self.0.insert(path.to_owned(), stamp(path));
        }
    }

    /// The same files as they are now.
    #[must_use]
    pub fn now(&self) -> Self {
        let paths = self.0.keys();
        FilesRead(paths.map(|path| (path.clone(), stamp(path))).collect())
    }

    /// The first file that is another one in `now`.
    pub fn changed<'n>(&self, now: &'n Self) -> Option<&'n Path> {
        let mut files = now.0.iter();
        let changed = files.find(|(path, stamp)| self.0.get(*path) != Some(stamp));
        changed.map(|(path, _)| &**path)
    }

    /// Adds the files of `other` that are not among these.
    pub fn extend(&mut self, other: FilesRead) {
        for (path, stamp) in other.0 {
            self.0.entry(path).or_insert(stamp);
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp::of(&metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_comes_goes_or_is_another_one_has_changed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), "one").expect("the folder is ours");
        std::os::unix::fs::symlink("a", at("link")).expect("the folder is ours");
        let mut read = FilesRead::default();
        for name in ["a", "absent", "link"] {
            read.note(&at(name));
        }
        assert_eq!(read.changed(&read.now()), None);
        assert_eq!(read, read.now());

        std::fs::write(at("absent"), "").expect("the folder is ours");
        assert_eq!(read.changed(&read.now()), Some(&*at("absent")));
        std::fs::remove_file(at("absent")).expect("it is there");
        assert_eq!(read.changed(&read.now()), None);

        // A link is swapped as Kubernetes does it: a new one is renamed onto it.
        std::fs::write(at("b"), "one").expect("the folder is ours");
        std::os::unix::fs::symlink("b", at("next")).expect("the folder is ours");
        std::fs::rename(at("next"), at("link")).expect("the folder is ours");
        assert_eq!(read.changed(&read.now()), Some(&*at("link")));
        std::fs::remove_file(at("a")).expect("it is there");
        assert_eq!(read.changed(&read.now()), Some(&*at("a")));
    }
}
