//! Finds the text of a `.thrift` file, on disk or in memory.
//!
//! Paths are relative to the including file, then to each folder of the include path. The standard include
//! `tributary.thrift` is always found, so that operators need no copy of it.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::diagnostic::list;
use crate::stamp::FilesRead;

/// The standard include, as it ships.
pub(crate) const STANDARD: (&str, &str) = (
    "tributary.thrift",
    include_str!("../../idl/tributary.thrift"),
);

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A file that was found.
pub(crate) struct FoundFile {
    /// The file's identity, the same however its path is written.
    pub(crate) id: String,
    /// The path to show to people.
    pub(crate) shown: String,
    pub(crate) text: String,
}

/// Why a file was not read.
pub(crate) enum ReadError {
    /// There is no such file at any of the paths tried.
    Absent { tried: Vec<String> },
    /// There is something, but its text cannot be read.
    Unreadable(String),
}

impl ReadError {
    /// Message and remedy for a file included as `path`.
    pub(crate) fn words(self, path: &str) -> (String, String) {
        match self {
            ReadError::Absent { tried } => (
                format!("the included file `{path}` does not exist"),
                format!(
                    "looked for {}; an include is relative to the including file, then to each folder of `-I DIR` \
                     and `server.idl_path`",
                    list(tried.iter().map(String::as_str))
                ),
            ),
            ReadError::Unreadable(why) => (
                format!("cannot read the included file `{path}`: {why}"),
                "name a `.thrift` file that the server's user can read".into(),
            ),
        }
    }
}

/// A source of files.
pub(crate) trait FileSource {
    /// The file that the path `written` in the file `from` refers to.
    fn read(&self, from: Option<&str>, written: &str) -> Result<FoundFile, ReadError>;
}

/// Files on disk.
pub(crate) struct Disk<'f> {
    /// The include path: where files are looked for that are not beside the including file.
    pub(crate) folders: &'f [PathBuf],
    /// Where the files are noted, and those that would be read if they were there.
    pub(crate) files: &'f RefCell<FilesRead>,
}

impl FileSource for Disk<'_> {
    fn read(&self, from: Option<&str>, written: &str) -> Result<FoundFile, ReadError> {
        let own = from.and_then(|from| Path::new(from).parent());
        let mut tried = vec![own.unwrap_or(Path::new("")).join(written)];
        if from.is_some() && !Path::new(written).is_absolute() {
            tried.extend(self.folders.iter().map(|folder| folder.join(written)));
        }
        let mut files = self.files.borrow_mut();
        let mut looked_for = tried.iter().inspect(|path| files.note(path));
        let Some(path) = looked_for.find(|path| path.exists()) else {
            let shown = tried.iter().map(|path| path.display().to_string());
            return standard(written).ok_or(ReadError::Absent {
                tried: shown.collect(),
            });
        };
        let text = text_of(path).map_err(ReadError::Unreadable)?;
        let id = path.canonicalize().unwrap_or_else(|_| path.clone());
        Ok(FoundFile {
            id: id.display().to_string(),
            shown: path.display().to_string(),
            text,
        })
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let kind = path.metadata().map_err(|err| err.to_string())?;
    // Reading a pipe or a device might never end.
    if !kind.is_file() {
        return Err("it is not a file".into());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|err| err.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|err| {
        let before = String::from_utf8_lossy(&err.as_bytes()[..err.utf8_error().valid_up_to()]);
        let line = before.matches('\n').count() + 1;
        format!("line {line} is not UTF-8; save the file as UTF-8")
    })
}

fn too_large() -> String {
    "it is larger than 16 MiB".into()
}

/// Files known to `read` by name, such as those fetched from a server.
pub(crate) struct Memory<'r> {
    pub(crate) read: &'r dyn Fn(&str) -> Option<String>,
}

impl FileSource for Memory<'_> {
    fn read(&self, from: Option<&str>, written: &str) -> Result<FoundFile, ReadError> {
        let path = normal(from.unwrap_or_default(), written);
        let bare = base_name(written);
        // A server may send its files without folders, so the bare name is tried too.
        for name in [path.as_str(), bare] {
            if let Some(text) = (self.read)(name) {
                if text.len() as u64 > FILE_BYTES_MAX {
                    return Err(ReadError::Unreadable(too_large()));
                }
                return Ok(FoundFile {
                    id: name.to_owned(),
                    shown: name.to_owned(),
                    text,
                });
            }
        }
        standard(written).ok_or(ReadError::Absent { tried: vec![path] })
    }
}

/// The embedded copy, if `written` refers to it.
fn standard(written: &str) -> Option<FoundFile> {
    let (name, text) = STANDARD;
    (base_name(written) == name).then(|| FoundFile {
        id: format!("embedded:{name}"),
        shown: name.to_owned(),
        text: text.to_owned(),
    })
}

/// The last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The path `written` relative to the folder of `from`, without `.` and `..`.
pub(crate) fn normal(from: &str, written: &str) -> String {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = if written.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(written.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_including_file() {
        assert_eq!(normal("", "a.thrift"), "a.thrift");
        assert_eq!(normal("x/y.thrift", "./a.thrift"), "x/a.thrift");
        assert_eq!(normal("x/y.thrift", "../b/a.thrift"), "b/a.thrift");
        assert_eq!(normal("y.thrift", "../a.thrift"), "../a.thrift");
        assert_eq!(normal("x/y.thrift", "/a.thrift"), "a.thrift");
    }
}
