//! Reads whole files of the operator, up to a limit.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The largest configuration, secret or certificate file.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The content of a file. An endless device counts as too large.
pub(super) fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        let message = "it is larger than 16 MiB";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// The content of a text file.
pub(crate) fn text_of(path: &Path) -> io::Result<String> {
    String::from_utf8(bytes_of(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_device_without_end_is_too_large() {
        let err = bytes_of(Path::new("/dev/zero")).expect_err("it never ends");
        assert_eq!(err.kind(), io::ErrorKind::FileTooLarge);
    }
}
