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
mod pipe;
mod resp;
mod server;

use std::cell::Cell;
use std::time::Duration;

use self::batch::Batch;
use self::command::Command;
use self::connection::Connection;
use self::server::Server;
use super::{Answer, Ask, Asked, Backend, Compiled, LookupError, Planned};
use crate::config::{Place, Section};
use crate::error::Code;

/// A Redis server as `[backends.NAME]` describes it.
pub struct Config {
    server: Server,
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
    /// The room of the batch before.
    batch: Cell<Batch>,
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
            server: server(section, &url, &place)?,
            connections: usize::try_from(connections).unwrap_or(1),
            connect_timeout: timeout.unwrap_or(Duration::from_secs(1)),
        })
    }

    fn read_lookup(_: &Config, section: &mut Section<'_>) -> Option<Compiled<Command>> {
        Command::read(section)
    }

    async fn connect(config: &Config, _: &[Planned<'_, Command>]) -> Self {
        let connect = || Connection::start(config.server.clone(), config.connect_timeout);
        Redis {
            connections: (0..config.connections).map(|_| connect()).collect(),
            turn: Cell::new(0),
            batch: Cell::default(),
        }
    }

    async fn lookup(&self, command: &Command, ask: Ask<'_>) -> Result<Answer, LookupError> {
        let asked = Asked {
            lookup: command,
            params: ask.params,
        };
        let answers = self.lookup_many(&[asked]).await;
        answers.into_iter().next().unwrap_or_else(|| {
            let why = "a question without an answer";
            Err(LookupError::new(Code::ServerInternal, why))
        })
    }

    fn batches(_command: &Command) -> bool {
        true
    }

    /// One pipeline of the different commands: each has its own reply, and its own error.
    async fn lookup_many(&self, asked: &[Asked<'_, Command>]) -> Vec<Result<Answer, LookupError>> {
        let mut batch = self.batch.take();
        let places: Vec<_> = asked.iter().map(|ask| batch.place(ask)).collect();
        let (packed, count) = batch.commands();
        let replies = match count {
            0 => Ok(Vec::new()),
            _ => self.next().ask(packed, count).await,
        };
        batch.clear();
        self.batch.set(batch);
        batch::answers(asked, places, replies)
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

/// The server of a URL. Problems never show the URL: it may carry a password.
fn server(section: &Section<'_>, url: &str, place: &Place) -> Option<Server> {
    const HELP: &str = "`redis://[user:password@]host[:port][/db]` or `unix:///path/to/socket`";
    let scheme = url.split(':').next().unwrap_or_default();
    if scheme == "rediss" || scheme == "valkeys" {
        let message = format!("`{scheme}:` (TLS to Redis) is not built in");
        let help = "use `redis://` to a server or a TLS tunnel on a trusted network";
        section.bad(place, message, Some(help.into()));
        return None;
    }
    match Server::parse(url) {
        Ok(server) => Some(server),
        Err(why) => {
            let message = format!("not the URL of a Redis server: {why}");
            section.bad(place, message, Some(HELP.into()));
            None
        }
    }
}

#[cfg(test)]
mod tests;
