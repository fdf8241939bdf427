//! Parses a source of endpoints: `dns:host:port`, `srv:name`, `file:targets.json`, or an address itself.

use std::fmt;
use std::path::PathBuf;

use super::target::{Target, is_name};

/// Where servers are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Source {
    /// Each address of a name is a server.
    Dns { host: String, port: u16 },
    /// The records of a service.
    Srv { name: String },
    /// A file, and its path as it is configured.
    File { path: PathBuf, text: String },
    /// One server.
    Fixed(Target),
}

/// Why a text is no source.
pub(super) struct NotASource;

impl Source {
    /// What `text` means; `relative` makes a path of a file's name.
    pub(super) fn parse(
        text: &str,
        relative: impl Fn(&str) -> PathBuf,
    ) -> Result<Self, NotASource> {
        if let Some(path) = text.strip_prefix("file:") {
            let is_given = !path.is_empty();
            return is_given
                .then(|| Source::file(path, relative(path)))
                .ok_or(NotASource);
        }
        if let Some(name) = text.strip_prefix("srv:") {
            let name = name.strip_suffix('.').unwrap_or(name);
            let name = Some(name).filter(|name| is_name(name)).ok_or(NotASource)?;
            return Ok(Source::Srv { name: name.into() });
        }
        if let Some(rest) = text.strip_prefix("dns:") {
            let Target { host, port, .. } = Target::parse(rest).ok_or(NotASource)?;
            return Ok(Source::Dns { host, port });
        }
        let mut target = Target::parse(text).ok_or(NotASource)?;
        target.is_literal = target.host.parse::<std::net::IpAddr>().is_ok();
        Ok(Source::Fixed(target))
    }

    fn file(text: &str, path: PathBuf) -> Self {
        let text = text.to_owned();
        Source::File { path, text }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Dns { host, port } => write!(f, "dns:{host}:{port}"),
            Source::Srv { name } => write!(f, "srv:{name}"),
            Source::File { text, .. } => write!(f, "file:{text}"),
            Source::Fixed(target) => target.fmt(f),
        }
    }
}
