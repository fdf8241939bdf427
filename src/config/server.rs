//! Reads `[server]`, with the defaults of its keys.

use std::path::PathBuf;
use std::time::Duration;

use super::access::{Tokens, read_tokens};
use super::limits::{LimitsConfig, read_limits};
use super::listener::{ListenerConfig, read_listeners};
use super::section::{Place, Section};
use super::unserved::{Unserved, read_unserved};
use crate::error::Code;

/// `[server]`
#[derive(Debug)]
pub struct ServerConfig {
    /// Where clients connect. Default `127.0.0.1:9090`.
    pub listeners: Vec<ListenerConfig>,
    /// The path of the IDL, ready to be opened. `None` if the key is missing, which is a problem.
    pub idl: Option<(PathBuf, Place)>,
    /// The service to serve. Optional if the IDL has only one.
    pub service: Option<(String, Place)>,
    /// Methods that are answered with `call.unknown_method` although the IDL has them.
    pub unserved: Unserved,
    /// Event loops, 1 to 64. Default 1.
    pub workers: usize,
    /// How long calls in flight may take to finish after SIGTERM. Default 10 s.
    pub drain_timeout: Duration,
    /// The limits on what clients may use.
    pub limits: LimitsConfig,
    /// The tokens with which callers identify themselves.
    pub tokens: Tokens,
    /// The place of `[server]`.
    pub place: Place,
}

/// Reads `[server]` from the whole file.
pub(crate) fn read_server(root: &mut Section<'_>) -> ServerConfig {
    let Some(mut section) = root.section("server") else {
        root.missing("server", "[server]` with `idl = \"my.thrift\"");
        return ServerConfig {
            listeners: Vec::new(),
            idl: None,
            service: None,
            unserved: Unserved::default(),
            workers: 1,
            drain_timeout: DEFAULT_DRAIN,
            limits: LimitsConfig::default(),
            tokens: Tokens::default(),
            place: root.place().clone(),
        };
    };
    let idl = section
        .required_string("idl", "idl = \"my.thrift\"")
        .map(|(path, place)| (section.relative(&path), place));
    read_idl_path(&mut section);
    let limits = section
        .section("limits")
        .map_or_else(LimitsConfig::default, read_limits);
    let config = ServerConfig {
        listeners: read_listeners(&mut section, &limits),
        idl,
        service: section.string("service"),
        unserved: read_unserved(&mut section),
        workers: section.count("workers", 1, 64),
        drain_timeout: section
            .duration("drain_timeout")
            .map_or(DEFAULT_DRAIN, |(time, _)| time),
        limits,
        tokens: read_tokens(&mut section),
        place: section.place().clone(),
    };
    section.finish();
    config
}

/// Takes `idl_path`: the folders join the include path of the document.
fn read_idl_path(section: &mut Section<'_>) {
    let Some((folders, _)) = section.strings("idl_path") else {
        return;
    };
    for (folder, place) in folders {
        let folder = section.relative(&folder);
        if folder.is_dir() {
            section.document().idl_path.borrow_mut().push(folder);
        } else {
            let message = format!("there is no folder `{}`", folder.display());
            let help = Some("the path is relative to this file's folder".into());
            section
                .document()
                .problem(&place, Code::ConfigFile, message, help);
        }
    }
}

const DEFAULT_DRAIN: Duration = Duration::from_secs(10);
