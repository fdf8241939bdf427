//! `[backends.NAME]` of a Redis: one server, a cluster, or the master that sentinels name.
//!
//! Exactly one of `url`, `urls` and `sentinels` says which. Problems never show a URL: it may carry a password.

use std::time::Duration;

use super::address_map::AddressMap;
use super::cluster::Seeds;
use super::config_keys::{clash, secured, server};
use super::sentinel::Sentinels;
use super::server::Server;
use crate::backend::net;
use crate::backend::tls::Tls;
use crate::config::Section;
use crate::diagnostic::nearest;

/// How long making a connection may take, and how long a lookup waits for one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The keys of which exactly one has to be there.
const WAYS: [&str; 3] = ["url", "urls", "sentinels"];
/// Keys that are only valid together with `sentinels`.
const WITH_SENTINELS: [&str; 6] = [
    "master",
    "user",
    "password",
    "db",
    "sentinel_user",
    "sentinel_password",
];
/// Keys that are only valid together with `urls`.
const WITH_URLS: [&str; 1] = ["answer_timeout"];
/// Keys that are only valid with several servers.
const WITH_SEVERAL: [&str; 2] = ["read_from", "addresses"];

/// A Redis as `[backends.NAME]` describes it.
pub struct Config {
    pub(super) servers: Servers,
    /// How many connections each loop holds.
    pub(super) connections: usize,
    /// How long making a connection may take, and how long a lookup waits for one.
    pub(super) connect_timeout: Duration,
}

/// The servers to ask.
pub(super) enum Servers {
    One(Server),
    Cluster(Seeds),
    Master(Sentinels),
}

impl Config {
    /// Reads the keys of `[backends.NAME]`.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let way = one_way(section);
        let connect_timeout = section.timeout("connect_timeout");
        let connect_timeout = connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let age_max = net::age_max(section);
        for (keys, with) in [
            (&WITH_URLS[..], &["urls"][..]),
            (&WITH_SENTINELS, &["sentinels"]),
            (&WITH_SEVERAL, &["urls", "sentinels"]),
        ] {
            match way {
                Some(way) if with.contains(&way) => {}
                Some(_) => misplaced(section, keys, with),
                // It is unknown which of them are valid, so they are taken without a report.
                None => take_all(section, keys),
            }
        }
        if way == Some("urls")
            && let Some((_, place)) = section.take("connections")
        {
            let help = "a loop has one connection to each node of a cluster";
            clash(
                section,
                &place,
                "`connections` can't be used with `urls`",
                help,
            );
        }
        let connections = section.integer("connections", 1..=16).unwrap_or(1);
        let tls = Tls::read(section).ok();
        let map = match way {
            Some("url") => Some(AddressMap::default()),
            _ => AddressMap::read(section),
        };
        let (has_map, map) = (map.is_some(), map.unwrap_or_default().into());
        let servers = match way? {
            "url" => {
                let (url, place) = section.secret("url", URL_EXAMPLE)?;
                let server = server(section, &url, &place, URL_HELP)?;
                let server = secured(section, server, &place, tls?)?;
                Servers::One(Server { age_max, ..server })
            }
            "urls" => Servers::Cluster(Seeds::read(
                section,
                (connect_timeout, age_max),
                (tls, map),
            )?),
            _ => Servers::Master(Sentinels::read(section, age_max, (tls, map))?),
        };
        has_map.then_some(Config {
            servers,
            connections: usize::try_from(connections).unwrap_or(1),
            connect_timeout,
        })
    }
}

const URL_EXAMPLE: &str = "url = \"redis://127.0.0.1:6379/0\"";
const URL_HELP: &str = "`redis://[user:password@]host[:port][/db]`, `rediss://..` for TLS, or `unix:///path/to/socket`";

/// The one key that names the servers. Several of them are a problem, and so is none.
fn one_way(section: &mut Section<'_>) -> Option<&'static str> {
    let mut found = WAYS.into_iter().filter(|way| section.has(way));
    let Some(first) = found.next() else {
        let example = if section.has("master") {
            ("sentinels", "sentinels = [\"10.0.0.1:26379\"]")
        } else {
            // Only the misspelt key is reported, at its place.
            let keys = section.keys();
            let slip = keys.iter().find_map(|key| nearest(key, WAYS));
            (slip.unwrap_or("url"), URL_EXAMPLE)
        };
        section.missing(example.0, example.1);
        take_all(section, &WAYS);
        return None;
    };
    let others: Vec<_> = found.collect();
    if others.is_empty() {
        return Some(first);
    }
    for other in others {
        if let Some((_, place)) = section.take(other) {
            let message = format!("`{other}` can't be used with `{first}`");
            let help = "one server is `url`, a cluster is `urls`, and `sentinels` name a `master`: keep one of them";
            clash(section, &place, &message, help);
        }
    }
    take_all(section, &[first]);
    None
}

/// Takes keys without a report.
fn take_all(section: &mut Section<'_>, keys: &[&'static str]) {
    for key in keys {
        section.take(key);
    }
}

/// Reports those of `keys` that are present: they are only valid together with one of `ways`.
fn misplaced(section: &mut Section<'_>, keys: &[&'static str], ways: &[&str]) {
    let ways = format!("`{}`", ways.join("` or `"));
    for key in keys {
        if !section.has(key) {
            continue;
        }
        if let Some((_, place)) = section.take(key) {
            let message = format!("`{key}` is only valid with {ways}");
            let help = format!("leave it out, or name servers with {ways}");
            clash(section, &place, &message, &help);
        }
    }
}
