//! `kind = "redis"`: a lookup is one read command, pipelined with those of other calls.
//!
//! `get = "airport:{code}"` becomes `GET airport:JFK`. Commands come from a closed list of reads and parameters
//! become whole arguments, whose length goes before them, so that no parameter can become a command. What
//! parameters *can* do is name another key of the same shape (`1:admin` for `user:{id}`); an ACL user that may
//! only read what is meant to be read is the remedy. A dropped lookup leaves its answer to be thrown away by
//! the connection's own task: no other lookup ever sees it.

mod answer;
mod batch;
mod command;
mod connection;
mod keys;

use std::cell::Cell;
use std::time::Duration;

use redis::{Client, ConnectionAddr, IntoConnectionInfo};

use self::batch::Batch;
use self::command::Command;
use self::connection::Connection;
use super::{Answer, Ask, Asked, Backend, Compiled, LookupError};
use crate::config::{Place, Section};
use crate::value::Value;

/// A Redis server as `[backends.NAME]` describes it.
pub struct Config {
    client: Client,
    /// How many connections each loop holds.
    connections: usize,
    /// What making a connection may take, and how long a lookup waits for one.
    connect_timeout: Duration,
}

/// One loop's connections to a Redis server.
pub struct Redis {
    connections: Vec<Connection>,
    /// The connection whose turn it is.
    turn: Cell<usize>,
    /// Rendered keys; kept so that a lookup need not allocate it.
    scratch: Cell<Vec<u8>>,
}

impl Backend for Redis {
    type Config = Config;
    type Lookup = Command;

    fn read_config(section: &mut Section<'_>) -> Option<Config> {
        let url = section.secret("url", "url = \"redis://127.0.0.1:6379/0\"");
        let connections = section.integer("connections", 1..=16).unwrap_or(1);
        let timeout = section.timeout("connect_timeout");
        let (url, place) = url?;
        Some(Config {
            client: client(section, &url, &place)?,
            connections: usize::try_from(connections).unwrap_or(1),
            connect_timeout: timeout.unwrap_or(Duration::from_secs(1)),
        })
    }

    fn read_lookup(_: &Config, section: &mut Section<'_>) -> Option<Compiled<Command>> {
        Command::read(section)
    }

    async fn connect(config: &Config) -> Self {
        let connect = || Connection::start(config.client.clone(), config.connect_timeout);
        Redis {
            connections: (0..config.connections).map(|_| connect()).collect(),
            turn: Cell::new(0),
            scratch: Cell::default(),
        }
    }

    async fn lookup(&self, command: &Command, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let mut scratch = self.scratch.take();
        let packed = command.pack(ask.params, &mut scratch);
        self.scratch.set(scratch);
        let Some(packed) = packed? else {
            // An `mget` of no keys, which Redis would refuse.
            return Ok(Answer::new(Value::List(Vec::new())));
        };
        let reply = self.next().ask(&packed).await?;
        Ok(Answer::new(command.answer(reply)?))
    }

    fn batches(_command: &Command) -> bool {
        true
    }

    /// One pipeline of the different commands: each has its own reply, and its own error.
    async fn lookup_many(&self, asked: &[Asked<'_, Command>]) -> Vec<Result<Answer, LookupError>> {
        let mut batch = Batch::new(asked.len(), self.scratch.take());
        let places: Vec<_> = asked.iter().map(|ask| batch.place(ask)).collect();
        let (pipeline, scratch) = batch.into_parts();
        self.scratch.set(scratch);
        let replies = if pipeline.is_empty() {
            Ok(Vec::new())
        } else {
            self.next().ask_many(&pipeline).await
        };
        batch::answers(asked, &places, replies)
    }
}

impl Redis {
    /// The connection to use: each in turn, but rather one that is up.
    fn next(&self) -> &Connection {
        let count = self.connections.len();
        let turn = self.turn.get() % count;
        self.turn.set(turn + 1);
        let mut from_turn = (0..count).map(|step| &self.connections[(turn + step) % count]);
        from_turn
            .find(|connection| connection.is_up())
            .unwrap_or(&self.connections[turn])
    }
}

/// The client of a URL. Problems never show the URL: it may carry a password.
fn client(section: &Section<'_>, url: &str, place: &Place) -> Option<Client> {
    const HELP: &str = "`redis://[user:password@]host[:port][/db]` or `unix:///path/to/socket`";
    let scheme = url.split(':').next().unwrap_or_default();
    if scheme == "rediss" || scheme == "valkeys" {
        let message = format!("`{scheme}:` (TLS to Redis) is not built in");
        let help = "use `redis://` to a server or a TLS tunnel on a trusted network";
        section.bad(place, message, Some(help.into()));
        return None;
    }
    let opened = url.into_connection_info().and_then(|info| {
        let settings = info.tcp_settings().clone().set_nodelay(true);
        let settings = settings.set_user_timeout(connection::UNACKNOWLEDGED_MAX);
        match info.addr() {
            ConnectionAddr::Unix(_) => Client::open(info),
            _ => Client::open(info.set_tcp_settings(settings)),
        }
    });
    match opened {
        Ok(client) => Some(client),
        Err(err) => {
            let why = err.to_string();
            let why = why.split(" - ").next().unwrap_or_default().to_lowercase();
            section.bad(
                place,
                format!("not the URL of a Redis server: {why}"),
                Some(HELP.into()),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests;
