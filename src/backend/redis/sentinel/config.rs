//! Reads the keys of sentinels: their addresses, the name of the master, and how to connect to it.

use std::time::Duration;

use crate::backend::redis::config_keys::{Ways, addresses, reads_replicas, secured, server};
use crate::backend::redis::server::{Address, PORT as STANDARD_PORT, Server};
use crate::config::{Place, Section};

/// The port of a sentinel, unless its address has one.
const SENTINEL_PORT: u16 = 26_379;

const HELP: &str = "`\"host:port\"`, or `\"rediss://host:port\"` for TLS to sentinels and servers";

/// Sentinels as the configuration describes them.
pub(in crate::backend::redis) struct Sentinels {
    pub(super) servers: Vec<Server>,
    /// The name under which they know the master.
    pub(super) master: Box<str>,
    /// How to connect to the master, whose address the sentinels know.
    pub(super) master_server: Server,
    /// Whether replicas are asked before the master.
    pub(in crate::backend::redis) reads_replicas: bool,
}

impl Sentinels {
    /// Reads the sentinels, the master's name, and how to connect to it.
    pub(in crate::backend::redis) fn read(
        section: &mut Section<'_>,
        age_max: Duration,
        (tls, map): Ways,
    ) -> Option<Self> {
        let named = addresses(section, "sentinels", "sentinels = [\"10.0.0.1:26379\"]");
        let master = section.required_string("master", "master = \"mymaster\"");
        let of_servers = credentials(section, "user", "password");
        let of_sentinels = credentials(section, "sentinel_user", "sentinel_password");
        let database = section.integer("db", 0..=i64::from(u16::MAX)).unwrap_or(0);
        let reads_replicas = reads_replicas(section);
        let ((named, place), (master, _)) = (named?, master?);
        let mut servers: Vec<Server> = Vec::with_capacity(named.len());
        for (text, place) in named {
            servers.push(sentinel(section, &text, &place)?);
        }
        let first = servers.first()?.clone();
        if servers
            .iter()
            .any(|sentinel| sentinel.is_tls != first.is_tls)
        {
            let message = "TLS is for all sentinels and servers, or for none";
            section.bad(&place, message, Some(HELP.into()));
            return None;
        }
        let first = secured(section, first, &place, tls?)?;
        let (user, password) = of_sentinels?;
        for sentinel in &mut servers {
            sentinel.secure.clone_from(&first.secure);
            sentinel.user.clone_from(&user);
            sentinel.password.clone_from(&password);
        }
        let (user, password) = of_servers?;
        Some(Sentinels {
            servers,
            master: master.into(),
            master_server: Server {
                user,
                password,
                database: u32::try_from(database).unwrap_or_default(),
                age_max,
                map,
                ..first
            },
            reads_replicas,
        })
    }
}

/// One sentinel, without credentials.
fn sentinel(section: &Section<'_>, text: &str, place: &Place) -> Option<Server> {
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("redis://{text}")
    };
    let mut server = server(section, &url, place, HELP)?;
    let plain = server.user.is_none() && server.password.is_none() && server.database == 0;
    match &mut server.address {
        Address::Tcp(_, port) if plain => {
            if *port == STANDARD_PORT && !text.ends_with(":6379") {
                *port = SENTINEL_PORT;
            }
            Some(server)
        }
        _ => {
            let message = "a sentinel is a host and a port";
            let help = "what else there is to say are keys of their own: `sentinel_password`, `password`, `db`";
            section.bad(place, message, Some(help.into()));
            None
        }
    }
}

/// A user and a password, each if it is given; `None` if there was a problem.
fn credentials(
    section: &mut Section<'_>,
    user: &'static str,
    password: &'static str,
) -> Option<(Option<String>, Option<String>)> {
    let example = format!("{password} = \"env:NAME\"");
    let before = section.document().problems.len();
    let has_password = section.has(password);
    let name = section.string(user);
    if let (Some((_, place)), false) = (&name, has_password) {
        section.bad(
            place,
            format!("`{user}` without `{password}`"),
            Some(format!("add `{example}`")),
        );
    }
    let secret = if has_password {
        section.secret(password, &example)
    } else {
        section.take(password);
        None
    };
    let text = |taken: Option<(String, Place)>| taken.map(|(text, _)| text);
    (section.document().problems.len() == before).then_some((text(name), text(secret)))
}
