//! Reads the keys of a cluster: the nodes to contact first, which all have the same settings.

use std::time::Duration;

use super::node::Common;
use crate::backend::redis::config_keys::{Ways, addresses, reads_replicas, secured, server};
use crate::backend::redis::server::{Address, Server};
use crate::config::Section;

/// How long a node may leave commands without an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

const HELP: &str = "`redis://[user:password@]host[:port]`, or `rediss://..` for TLS";

/// A cluster as the configuration describes it.
#[derive(Clone)]
pub(in crate::backend::redis) struct Seeds {
    /// The nodes to contact first.
    pub(super) addresses: Vec<Address>,
    pub(super) common: Common,
}

impl Seeds {
    /// Each of the nodes to contact first, as a server.
    pub(in crate::backend::redis) fn servers(&self) -> impl Iterator<Item = Server> {
        let server = |address: &Address| self.common.server.at(address.clone());
        self.addresses.iter().map(server)
    }

    /// Whether replicas are read.
    pub(in crate::backend::redis) fn reads_replicas(&self) -> bool {
        self.common.server.reads_replica
    }

    /// Reads the nodes to contact first, and what all of them have in common.
    pub(in crate::backend::redis) fn read(
        section: &mut Section<'_>,
        (connect_timeout, age_max): (Duration, Duration),
        (tls, map): Ways,
    ) -> Option<Self> {
        let answer_timeout = section.timeout("answer_timeout").unwrap_or(ANSWER_TIMEOUT);
        let reads_replica = reads_replicas(section);
        let (urls, place) = addresses(section, "urls", "urls = [\"redis://10.0.0.1:6379\"]")?;
        let mut seeds: Vec<Server> = Vec::with_capacity(urls.len());
        for (url, place) in urls {
            let url = section.resolve_secret(url, &place)?;
            seeds.push(server(section, &url, &place, HELP)?);
        }
        let first = seeds.first()?.clone();
        let wrong = if seeds
            .iter()
            .any(|seed| matches!(seed.address, Address::Unix(_)))
        {
            Some(("a node of a cluster is reached by host and port", HELP))
        } else if seeds.iter().any(|seed| !seed.is_like(&first)) {
            let help = "give all of them the same scheme, user, password and parameters";
            Some((
                "the nodes of a cluster are reached in one way, and these URLs differ",
                help,
            ))
        } else if first.database != 0 {
            Some((
                "a cluster has database 0 only",
                "leave `/db` out of the URLs",
            ))
        } else {
            None
        };
        if let Some((message, help)) = wrong {
            section.bad(&place, message, Some(help.into()));
            return None;
        }
        Some(Seeds {
            addresses: seeds.into_iter().map(|seed| seed.address).collect(),
            common: Common {
                server: Server {
                    reads_replica,
                    age_max,
                    map,
                    ..secured(section, first, &place, tls?)?
                },
                connect_timeout,
                answer_timeout,
            },
        })
    }
}
