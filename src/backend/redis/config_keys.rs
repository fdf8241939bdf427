//! Reads the keys that one server, a cluster and sentinels have in common: addresses, URLs, TLS.

use std::sync::Arc;

use super::address_map::AddressMap;
use super::server::Server;
use crate::backend::credentials;
use crate::backend::net::Secure;
use crate::backend::tls::Tls;
use crate::config::{Place, Section};
use crate::error::Code;

/// The most addresses in one list.
const ADDRESSES_MAX: usize = 100;

/// The key `read_from`: whether replicas are read.
pub(super) fn reads_replicas(section: &mut Section<'_>) -> bool {
    let from = section.word("read_from", &["master", "replica"]);
    from.is_some_and(|(word, _)| word == "replica")
}

/// The key `tls`; `None` if it was wrong, which has been reported.
pub(super) type TlsRead = Option<Option<Tls>>;

/// TLS, and where the addresses lead that the servers name.
pub(super) type Ways = (TlsRead, Arc<AddressMap>);

/// A list of addresses that has to have at least one.
pub(super) fn addresses(
    section: &mut Section<'_>,
    key: &'static str,
    example: &str,
) -> Option<(Vec<(String, Place)>, Place)> {
    let (texts, place) = section.strings(key)?;
    if texts.is_empty() || texts.len() > ADDRESSES_MAX {
        let message = format!("1 to {ADDRESSES_MAX} addresses are expected here");
        section.bad(&place, message, Some(format!("such as `{example}`")));
        return None;
    }
    Some((texts, place))
}

/// Adds TLS to the server, if its URL asks for it.
pub(super) fn secured(
    section: &Section<'_>,
    server: Server,
    place: &Place,
    tls: Option<Tls>,
) -> Option<Server> {
    if !server.is_tls {
        if tls.is_some() {
            let message = "`tls` has no effect on a server without TLS";
            let help = "with `tls` the URL begins with `rediss:`, or leave out `tls`";
            clash(section, place, message, help);
            return None;
        }
        return Some(server);
    }
    Some(Server {
        secure: Some(Secure::new(tls.unwrap_or_else(Tls::verified))),
        ..server
    })
}

/// The server of a URL.
pub(super) fn server(
    section: &Section<'_>,
    url: &str,
    place: &Place,
    help: &str,
) -> Option<Server> {
    if let Some(message) = credentials::unencoded(url, false) {
        section.bad(place, message, Some(credentials::HELP.into()));
        return None;
    }
    match Server::parse(url) {
        Ok(server) => Some(server),
        Err(why) => {
            let message = format!("not the URL of a Redis server: {why}");
            section.bad(place, message, Some(help.into()));
            None
        }
    }
}

/// Reports keys that exclude each other.
pub(super) fn clash(section: &Section<'_>, place: &Place, message: &str, help: &str) {
    let document = section.document();
    document.problem(place, Code::ConfigClash, message, Some(help.to_owned()));
}
