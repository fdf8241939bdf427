//! `tributary idl`: writes the standard include, `tributary.thrift`, for the compilers of clients' languages.
//!
//! The server reads the program's own copy; the compilers of other languages need a file.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CommandError;
use super::exit::ExitStatus;
use super::output::Output;
use crate::idl::STANDARD;

/// Print the standard include, `tributary.thrift`, or write it to a file
///
/// Your IDL may include it for `tributary.Context`, `tributary.Report` and the standard exceptions. The server needs no
/// copy; the compilers of your clients' languages do.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StandardIdl {
    /// Write it to this file, or into this folder as `tributary.thrift`
    #[arg(short, long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    /// Replace a file that is different
    #[arg(long, requires = "out")]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  tributary idl --out . && thrift -r --gen py greet.thrift
  tributary idl > idl/tributary.thrift";

pub(super) fn run(options: &StandardIdl, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let (name, text) = STANDARD;
    let Some(path) = &options.out else {
        out.data(text);
        return Ok(ExitStatus::Done);
    };
    let path = if path.is_dir() {
        path.join(name)
    } else {
        path.clone()
    };
    let files = [NewFile {
        path,
        text: text.to_owned(),
    }];
    write_files(&files, options.force, out)?;
    Ok(ExitStatus::Done)
}

/// A file to write.
#[derive(Clone, Debug)]
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// What is at the path of a [`NewFile`].
#[derive(PartialEq)]
enum Found {
    Nothing,
    TheSame,
    Another,
}

/// Writes all files and says so, or writes none because some would be overwritten. Files that have the text already are
/// left alone.
pub(super) fn write_files(
    files: &[NewFile],
    force: bool,
    out: &mut Output,
) -> Result<(), CommandError> {
    let found: Vec<Found> = files.iter().map(found).collect();
    let others = files.iter().zip(&found);
    let others = others.filter(|(_, found)| **found == Found::Another);
    let others: Vec<String> = others
        .map(|(file, _)| format!("`{}`", file.path.display()))
        .collect();
    if !others.is_empty() && !force {
        let verb = if others.len() == 1 { "exists" } else { "exist" };
        let message = format!("{} {verb} already; nothing was written", others.join(", "));
        return Err(
            CommandError::failed(message).help("move them away, or replace them with `--force`")
        );
    }
    for (file, found) in files.iter().zip(found) {
        let path = file.path.strip_prefix(".").unwrap_or(&file.path).display();
        if found == Found::TheSame {
            out.note(&format!("unchanged {path}"));
            continue;
        }
        write(file, found == Found::Another)
            .map_err(|err| CommandError::failed(format_args!("can't write `{path}`: {err}")))?;
        out.note(&format!("wrote {path}"));
    }
    Ok(())
}

fn found(file: &NewFile) -> Found {
    match fs::read(&file.path) {
        Ok(bytes) if bytes == file.text.as_bytes() => Found::TheSame,
        Err(err) if err.kind() == ErrorKind::NotFound => Found::Nothing,
        // What cannot be read is not overwritten unasked either.
        _ => Found::Another,
    }
}

fn write(file: &NewFile, replace: bool) -> std::io::Result<()> {
    let folder = file.path.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() {
        fs::create_dir_all(folder)?;
    }
    if replace {
        return fs::write(&file.path, &file.text);
    }
    // A file that appeared in the meantime is not overwritten.
    fs::File::create_new(&file.path)?.write_all(file.text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::captured;
    use super::*;

    #[test]
    fn a_different_file_is_named_and_kept_until_it_may_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| NewFile {
            path: dir.path().join(name),
            text: "new\n".into(),
        };
        fs::write(dir.path().join("a"), "old\n").unwrap();
        fs::write(dir.path().join("same"), "new\n").unwrap();
        let files = [file("a"), file("b/c"), file("same")];

        let (mut out, _, rest) = captured();
        write_files(&files, false, &mut out)
            .unwrap_err()
            .print(&mut out);
        let shown = format!("`{}` exists already", dir.path().join("a").display());
        assert!(rest.text().contains(&shown), "{}", rest.text());
        assert!(!rest.text().contains("same"), "{}", rest.text());
        assert!(!dir.path().join("b").exists());
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"old\n");

        write_files(&files, true, &mut out).unwrap();
        for name in ["a", "b/c", "same"] {
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"new\n", "{name}");
        }
        assert!(rest.text().contains("unchanged"), "{}", rest.text());
    }
}
