//! Reads `[server]`, with the defaults of its keys, and the services.

use std::time::Duration;

use super::access::{InjectKey, Tokens, read_inject_from, read_tokens};
use super::guard_mode::GuardMode;
use super::limits::{LimitsConfig, read_limits};
use super::listener::{ListenerConfig, read_listeners};
use super::reload::ReloadConfig;
use super::section::{Place, Section};
use super::services::{ServiceEntry, read_services};
use super::workers::{Workers, read_workers};
use crate::error::Code;
use crate::memory_limit;

/// `[server]`
#[derive(Debug)]
pub struct ServerConfig {
    /// Where clients connect. Default `127.0.0.1:9090`.
    pub listeners: Vec<ListenerConfig>,
    /// What is served, in the order of the file.
    pub services: Vec<ServiceEntry>,
    /// Event loops, 1 to 64. Default 1.
    pub workers: Workers,
    /// How long calls are still accepted after SIGTERM. Default 0 s.
    pub drain_delay: Duration,
    /// How long calls in flight may take to finish after that. Default 10 s.
    pub drain_timeout: Duration,
    /// When the configuration is read again.
    pub reload: ReloadConfig,
    /// The limits on what clients may use.
    pub limits: LimitsConfig,
    /// What happens to calls that arrive while a loop has more work than it can do. Default: some are refused.
    pub overload: GuardMode,
    /// The tokens with which callers identify themselves.
    pub tokens: Tokens,
    /// Who may ask for faults in a call. Default: no one.
    pub inject: Option<InjectKey>,
    /// The place of `[server]`.
    pub place: Place,
}

/// Reads `[server]` from the whole file.
pub(crate) fn read_server(root: &mut Section<'_>) -> ServerConfig {
    let Some(mut section) = root.section("server") else {
        root.missing("server", "[server]` with `idl = \"my.thrift\"");
        return ServerConfig {
            listeners: Vec::new(),
            services: read_services(root, None),
            workers: Workers::default(),
            drain_delay: Duration::ZERO,
            drain_timeout: DEFAULT_DRAIN,
            reload: ReloadConfig::default(),
            limits: LimitsConfig::default(),
            overload: GuardMode::default(),
            tokens: Tokens::default(),
            inject: None,
            place: root.place().clone(),
        };
    };
    let services = read_services(root, Some(&mut section));
    read_idl_path(&mut section);
    let workers = read_workers(&mut section);
    let default = LimitsConfig::within(memory_limit::of_process().bytes, workers.count);
    let limits = match section.section("limits") {
        Some(limits) => read_limits(limits, default),
        None => default,
    };
    let config = ServerConfig {
        listeners: read_listeners(&mut section, &limits),
        services,
        workers,
        drain_delay: section
            .duration("drain_delay")
            .map_or(Duration::ZERO, |(time, _)| time),
        drain_timeout: section
            .duration("drain_timeout")
            .map_or(DEFAULT_DRAIN, |(time, _)| time),
        reload: ReloadConfig::read(&mut section),
        limits,
        overload: read_overload(&mut section),
        tokens: read_tokens(&mut section),
        inject: read_inject_from(&mut section),
        place: section.place().clone(),
    };
    section.finish();
    config
}

/// Takes `overload`.
fn read_overload(section: &mut Section<'_>) -> GuardMode {
    let Some(mut overload) = section.section("overload") else {
        return GuardMode::default();
    };
    let mode = GuardMode::read(&mut overload);
    overload.finish();
    mode
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
