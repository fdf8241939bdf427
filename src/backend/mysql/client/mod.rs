//! A client of MySQL and MariaDB: logs in, prepares statements, executes them and reads their rows.
//!
//! In: a server's [`Options`]. Out: rows, as they come. It is our own because what has come and was not read decides whether
//! the next answer can be believed, and no client library says so. It never asks for files of this machine, for several
//! statements at once, or for a cursor. Source: the protocol's documentation of MySQL and MariaDB.

mod wire; // packets
mod compressed;
mod packet; // their payloads
mod capability; // what both sides can do
mod login;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use mysql_common::packets::Column;
use mysql_common::value::Value as Stored;
use tokio::net::UnixStream;
use tokio_util::either::Either;

use self::login::LoggedIn;
use self::packet::{Payload, Prepared, server_error};
use self::wire::{SMALL_BYTES_MAX, Socket, Wire};
use super::error::Error;
use super::options::Options;
use crate::backend::net::Address;
use crate::backend::net::{self, Stream};

/// Commands, by their first byte.
const QUIT: u8 = 1;
const QUERY: u8 = 3;
const PREPARE: u8 = 22;
/// In the state of a session: another answer follows.
const MORE_RESULTS: u16 = 8;
/// The least that a server may send as one row, whatever it says.
const ROW_BYTES_MIN: usize = 1 << 24;

/// A session. Not to be used again when a future of it was dropped, except where noted.
pub(super) struct Connection {
    peer: Peer,
    session: u32,
    wire: Wire<Socket>,
    capabilities: u32,
    /// The longest message that the server accepts, and the longest row.
    bytes_max: usize,
    /// An answer was not read to its end.
    is_reading: bool,
    statements: HashMap<Arc<str>, Statement>,
    sending: Vec<u8>,
}

/// Where a session was begun.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    Unix(String),
}

/// A statement that the server has prepared.
struct Statement {
    id: u32,
    params: u16,
    /// The definitions of the columns of its last answer, as they came, and as they were read.
    described: Vec<Bytes>,
    columns: Arc<[Column]>,
}

impl Connection {
    /// Connects over whichever of the host's addresses answers first, and begins a session.
    pub(super) async fn connect(options: &Options) -> Result<Self, Error> {
        match &options.address {
            Address::Unix(path) => Self::connect_to(&Peer::Unix(path.clone()), options).await,
            Address::Tcp(host, port) => {
                let addrs = net::resolve(host, *port).await?;
                let connect = async |addr| Self::connect_to(&Peer::Tcp(addr), options).await;
                net::race(addrs, connect).await
            }
        }
    }

    /// Connects to where another session was begun.
    pub(super) async fn connect_to(peer: &Peer, options: &Options) -> Result<Self, Error> {
        let stream = match peer {
            Peer::Unix(path) => Either::Right(UnixStream::connect(path).await?),
            Peer::Tcp(addr) => Either::Left(Stream::Plain(net::connect_addr(*addr).await?)),
        };
        let LoggedIn {
            wire,
            capabilities,
            session,
        } = login::login(Wire::new(stream), options).await?;
        let mut connection = Connection {
            peer: peer.clone(),
            session,
            wire,
            capabilities,
            bytes_max: SMALL_BYTES_MAX,
            is_reading: false,
            statements: HashMap::new(),
            sending: Vec::new(),
        };
        for statement in &options.session {
            connection.query(statement).await?;
        }
        let bytes_max = connection.query("select @@max_allowed_packet").await?;
        let bytes_max = bytes_max.and_then(|text| text.parse().ok());
        connection.bytes_max = bytes_max.unwrap_or(ROW_BYTES_MIN);
        Ok(connection)
    }

    /// Where the session was begun.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The session's number, as it was told with the greeting.
    pub(super) fn session(&self) -> u32 {
        self.session
    }

    /// The longest message that the server accepts.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Whether something has come that no answer accounts for: the next answer could not be believed.
    pub(super) fn has_more(&self) -> bool {
        self.wire.has_more()
    }

    /// Waits until the connection can't be used any more although nothing is asked. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Error {
        self.wire.ended().await
    }

    /// Whether an answer was not read to its end.
    pub(super) fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// Ends the session.
    pub(super) async fn quit(&mut self) {
        if !self.is_reading {
            drop(self.wire.command(&[QUIT]).await);
        }
        self.wire.close().await;
    }

    /// Runs a statement that is not prepared. Returns the first value of its first row, if there is one.
    pub(super) async fn query(&mut self, sql: &str) -> Result<Option<String>, Error> {
        let payload = [&[QUERY], sql.as_bytes()].concat();
        self.command(&payload).await?;
        let mut first = None;
        while let Some(described) = self.described().await? {
            let mut is_last = false;
            while let Some(packet) = self.row(described.len(), &mut is_last).await? {
                let value = Payload(&packet).text().ok();
                let value = value.map(|value| String::from_utf8_lossy(value).into_owned());
                first = first.or(value);
            }
            if is_last {
                break;
            }
        }
        Ok(first)
    }

    /// Has the server prepare a statement, unless it has. Returns its columns.
    pub(super) async fn prepare(&mut self, sql: &Arc<str>) -> Result<Arc<[Column]>, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(Arc::clone(&statement.columns));
        }
        let payload = [&[PREPARE], sql.as_bytes()].concat();
        self.command(&payload).await?;
        let packet = self.small().await?;
        let prepared = Prepared::read(&packet)?;
        if prepared.params > 0 {
            self.columns(prepared.params.into()).await?;
        }
        let described = match prepared.columns {
            0 => Vec::new(),
            columns => self.columns(columns.into()).await?,
        };
        self.is_reading = false;
        let statement = Statement {
            id: prepared.id,
            params: prepared.params,
            columns: read_columns(&described)?,
            described,
        };
        let columns = Arc::clone(&statement.columns);
        self.statements.insert(Arc::clone(sql), statement);
        Ok(columns)
    }

    /// Executes a statement, which is prepared first if it is not yet. `None` if it returns no columns.
    pub(super) async fn execute(
        &mut self,
        sql: &Arc<str>,
        params: &[Stored],
    ) -> Result<Option<Answer<'_>>, Error> {
        self.prepare(sql).await?;
        let Some(statement) = self.statements.get(sql) else {
            return Err(Error::Protocol("a statement is not prepared"));
        };
        if usize::from(statement.params) != params.len() {
            return Err(Error::Params {
                wanted: statement.params.into(),
                given: params.len(),
            });
        }
        let mut payload = std::mem::take(&mut self.sending);
        packet::put_execute(&mut payload, statement.id, params);
        let sent = self.command(&payload).await;
        self.sending = payload;
        sent?;
        let Some(described) = self.described().await? else {
            return Ok(None);
        };
        let columns = self.columns_of(sql, described)?;
        Ok(Some(Answer {
            connection: self,
            columns,
        }))
    }

    /// The columns of an answer, which are mostly those of the last answer.
    fn columns_of(
        &mut self,
        sql: &Arc<str>,
        described: Vec<Bytes>,
    ) -> Result<Arc<[Column]>, Error> {
        let Some(statement) = self.statements.get_mut(sql) else {
            return read_columns(&described);
        };
        if statement.described != described {
            statement.columns = read_columns(&described)?;
            statement.described = described;
        }
        Ok(Arc::clone(&statement.columns))
    }

    async fn command(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.is_reading {
            return Err(Error::Protocol("an answer was not read to its end"));
        }
        self.wire.command(payload).await?;
        self.is_reading = true;
        Ok(())
    }

    /// A packet that is not a row. An error of the server ends its answer.
    async fn small(&mut self) -> Result<Bytes, Error> {
        let packet = self.wire.packet(SMALL_BYTES_MAX).await?;
        self.unless_error(packet)
    }

    fn unless_error(&mut self, packet: Bytes) -> Result<Bytes, Error> {
        match server_error(&packet) {
            Some(err) => {
                self.is_reading = false;
                Err(err)
            }
            None => Ok(packet),
        }
    }

    /// The definitions of the columns of the next answer that has some. `None` if there is no such answer.
    async fn described(&mut self) -> Result<Option<Vec<Bytes>>, Error> {
        loop {
            let packet = self.small().await?;
            match packet.first() {
                Some(0) => {
                    let mut payload = Payload(&packet[1..]);
                    payload.number()?;
                    payload.number()?;
                    if payload.u16()? & MORE_RESULTS == 0 {
                        self.is_reading = false;
                        return Ok(None);
                    }
                }
                Some(0xfb) => return Err(Error::Protocol("it asks for a file")),
                _ => {
                    let count = packet::column_count(&packet)?;
                    return Ok(Some(self.columns(count).await?));
                }
            }
        }
    }

    /// The definitions of columns or parameters.
    async fn columns(&mut self, count: u64) -> Result<Vec<Bytes>, Error> {
        let mut described = Vec::new();
        for _ in 0..count {
            described.push(self.small().await?);
        }
        if self.capabilities & capability::NO_EOF == 0 && self.small().await?.first() != Some(&0xfe)
        {
            return Err(Error::Protocol("the columns do not end"));
        }
        Ok(described)
    }

    /// The next row of an answer, of which `is_last` says at its end whether no further answer follows.
    async fn row(&mut self, columns: usize, is_last: &mut bool) -> Result<Option<Bytes>, Error> {
        let bytes_max = self.bytes_max.max(ROW_BYTES_MIN);
        let packet = self.wire.packet(bytes_max).await?;
        let packet = self.unless_error(packet)?;
        let is_end = packet.first() == Some(&0xfe) && packet.len() < SMALL_BYTES_MAX;
        if !is_end {
            return match columns {
                0 => Err(Error::Protocol("a row has no columns")),
                _ => Ok(Some(packet)),
            };
        }
        let mut payload = Payload(&packet[1..]);
        let status = if self.capabilities & capability::NO_EOF == 0 {
            payload.u16()?;
            payload.u16()?
        } else {
            payload.number()?;
            payload.number()?;
            payload.u16()?
        };
        *is_last = status & MORE_RESULTS == 0;
        self.is_reading = !*is_last;
        Ok(None)
    }
}

fn read_columns(described: &[Bytes]) -> Result<Arc<[Column]>, Error> {
    described
        .iter()
        .map(|packet| packet::column(packet))
        .collect()
}

/// The rows of an answer, as they come.
pub(super) struct Answer<'c> {
    connection: &'c mut Connection,
    columns: Arc<[Column]>,
}

impl Answer<'_> {
    /// The columns of every row.
    pub(super) fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// The next row: one value per column. After the last one, the connection can be asked again.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Stored>>, Error> {
        if !self.connection.is_reading {
            return Ok(None);
        }
        let mut is_last = false;
        if let Some(packet) = self
            .connection
            .row(self.columns.len(), &mut is_last)
            .await?
        {
            return packet::row(&packet, &self.columns).map(Some);
        }
        // Only the first answer of a procedure is wanted.
        while !is_last {
            let Some(described) = self.connection.described().await? else {
                break;
            };
            while (self.connection.row(described.len(), &mut is_last).await?).is_some() {}
        }
        Ok(None)
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
