//! Reads a file into a table, unless the same content is in memory already.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use super::live::{self, Content};
use super::loaded::Loaded;
use super::reading::{LoadError, Reading};
use crate::stamp::Stamp;

/// A file and how it is read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) bytes_max: usize,
    pub(super) reading: Reading,
}

impl Source {
    /// The table: the one in memory if the file has not changed since it was read, otherwise a new one.
    pub(super) fn load(&self) -> Result<Arc<Loaded>, LoadError> {
        let path = self
            .path
            .canonicalize()
            .unwrap_or_else(|_| self.path.clone());
        let mut file = File::open(&self.path).map_err(LoadError::Io)?;
        let stamp = Stamp::of(&file.metadata().map_err(LoadError::Io)?);
        let is_settled = stamp.is_settled();
        let too_large = usize::try_from(stamp.len).is_ok_and(|len| len > self.bytes_max);
        if !too_large && let Some(loaded) = live::unchanged(&path, &self.reading, &stamp) {
            return Ok(loaded);
        }
        let bytes = self.read_bytes(&mut file, &stamp).map_err(LoadError::Io)?;
        let content = Content::of(&bytes);
        let same = live::with_content(&path, &self.reading, content);
        let loaded = match same {
            Some(loaded) => loaded,
            None => Arc::new(Loaded::new(self.reading.table(&bytes, &self.path)?)),
        };
        let stamp = Some(stamp).filter(|_| is_settled);
        live::keep(path, self.reading.clone(), (stamp, content), &loaded);
        Ok(loaded)
    }

    /// What the file system says of the file now.
    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        Ok(Stamp::of(&std::fs::metadata(&self.path)?))
    }

    /// The whole file, unless it is larger than `bytes_max`.
    fn read_bytes(&self, file: &mut File, stamp: &Stamp) -> io::Result<Vec<u8>> {
        let limit = u64::try_from(self.bytes_max).unwrap_or(u64::MAX);
        let limit = limit.saturating_add(1);
        let expected = usize::try_from(stamp.len.saturating_add(1).min(limit)).unwrap_or_default();
        let mut bytes = Vec::with_capacity(expected);
        file.take(limit).read_to_end(&mut bytes)?;
        if bytes.len() > self.bytes_max {
            let message = format!("it has more than {} bytes (`bytes_max`)", self.bytes_max);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(bytes)
    }
}
