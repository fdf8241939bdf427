//! What the file system says of a file: whether it is the same as before, without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

/// What the file system says of a file. As long as it stays the same, so does the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Stamp {
    pub(in crate::backend) len: u64,
    file: (u64, u64),
    modified: Option<SystemTime>,
    changed: (i64, i64),
}

impl Stamp {
    pub(in crate::backend) fn of(metadata: &Metadata) -> Self {
        Stamp {
            len: metadata.len(),
            file: (metadata.dev(), metadata.ino()),
            modified: metadata.modified().ok(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a later change is sure to change the stamp: file systems tell apart only times that are far enough from each
    /// other.
    pub(in crate::backend) fn is_settled(&self) -> bool {
        const COARSEST: Duration = Duration::from_secs(2);
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age > COARSEST)
    }
}
