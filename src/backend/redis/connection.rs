//! One pipelined connection to a Redis server that comes back by itself.
//!
//! A task of its own connects, drives the [`Pipe`], and connects again with growing pauses for as long as the
//! server is away. Meanwhile lookups end at once in `lookup.unavailable`; only while an attempt that may well
//! succeed is under way (the first, and the one after a connection broke) do they wait for it, never longer than
//! `connect_timeout`. A client library is not used: its parser, its command objects and its channels took a third
//! of the instructions of a whole call when several hundred lookups travelled as one pipeline.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::door::Door;
use super::pipe::{Broken, Pipe, drive};
use super::resp::Reply;
use super::server::{Address, Server, connect_tcp};
use crate::backend::LookupError;
use crate::error::Code;

/// The pause after the first failed attempt; it doubles from there.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

/// A connection and the task that keeps it.
pub(super) struct Connection {
    link: Rc<watch::Sender<Link>>,
    connect_timeout: Duration,
    _keeper: AbortOnDropHandle<()>,
}

/// How the connection is at the moment.
#[derive(Clone)]
pub(super) enum Link {
    /// An attempt is under way and worth waiting for.
    Connecting,
    /// Connected.
    Up(Rc<Pipe>),
    /// The server can't be reached or refuses the connection: the code and what it said.
    Down(Code, Arc<str>),
}

impl Connection {
    /// Starts to connect in the background, on this loop.
    pub(super) fn start(door: Door, connect_timeout: Duration) -> Self {
        let link = Rc::new(watch::Sender::new(Link::Connecting));
        let keeper = tokio::task::spawn_local(keep(door, connect_timeout, Rc::clone(&link)));
        Connection {
            link,
            connect_timeout,
            _keeper: AbortOnDropHandle::new(keeper),
        }
    }

    /// Whether a lookup could be sent now.
    pub(super) fn is_up(&self) -> bool {
        matches!(*self.link.borrow(), Link::Up(_))
    }

    /// Sends `count` commands, packed one after the other: one reply each, in their order. A connection that turns
    /// out lost is tried once more after it came back: all commands are reads, so asking twice does no harm.
    pub(super) async fn ask(&self, packed: &[u8], count: usize) -> Result<Vec<Reply>, LookupError> {
        let mut tried = false;
        loop {
            let now = known(&self.link.borrow());
            let pipe = match now {
                Some(up) => up?,
                // Rare, and boxed to keep every batch's future small.
                None => Box::pin(self.up()).await?,
            };
            match pipe.ask(packed, count).await {
                Ok(Some(replies)) => return Ok(replies),
                Ok(None) => {
                    let why = "Redis does not answer: too many replies are due";
                    return Err(LookupError::new(Code::LookupUnavailable, why));
                }
                Err(Broken::Lost(_)) if !tried => {
                    tried = true;
                    // The keeper has ended this pipe and is about to say so.
                    self.while_up(&pipe).await;
                }
                Err(broken) => return Err(broken.into()),
            }
        }
    }

    /// As [`Connection::ask`], without waiting for a connection: `None` if there is none, or it breaks.
    pub(super) async fn ask_if_up(&self, packed: &[u8], count: usize) -> Option<Vec<Reply>> {
        let pipe = known(&self.link.borrow())?.ok()?;
        pipe.ask(packed, count).await.ok()?
    }

    /// Waits until `pipe` is not the one to use any more.
    async fn while_up(&self, pipe: &Rc<Pipe>) {
        let is_it = |link: &Link| matches!(link, Link::Up(current) if Rc::ptr_eq(current, pipe));
        let mut changes = self.link.subscribe();
        // It can't fail while the sender is held here.
        let _changed = changes.wait_for(|link| !is_it(link)).await;
    }

    /// The connection, once it is known whether there is one.
    async fn up(&self) -> Result<Rc<Pipe>, LookupError> {
        let not_yet = || LookupError::new(Code::LookupUnavailable, "not connected to Redis yet");
        let mut changes = self.link.subscribe();
        let settled = changes.wait_for(|link| known(link).is_some());
        match timeout(self.connect_timeout, settled).await {
            Ok(Ok(link)) => known(&link).unwrap_or_else(|| Err(not_yet())),
            _ => Err(not_yet()),
        }
    }

    /// The state and its changes, for tests to wait on.
    #[cfg(test)]
    pub(super) fn watch(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }
}

fn known(link: &Link) -> Option<Result<Rc<Pipe>, LookupError>> {
    match link {
        Link::Connecting => None,
        Link::Up(pipe) => Some(Ok(Rc::clone(pipe))),
        Link::Down(code, why) => Some(Err(LookupError::new(*code, &**why))),
    }
}

/// Connects for as long as the backend lives.
async fn keep(door: Door, connect_timeout: Duration, link: Rc<watch::Sender<Link>>) {
    let mut delay = RETRY_DELAY_MIN;
    loop {
        let since = Instant::now();
        let ended = once(&door, connect_timeout, &link).await;
        match ended {
            // It lived: worth another attempt at once, and worth waiting for.
            Ok(()) if since.elapsed() >= RETRY_DELAY_MAX => {
                delay = RETRY_DELAY_MIN;
                continue;
            }
            // Accepted and dropped soon after: not to be asked again without a pause.
            Ok(()) => {}
            Err(err) => {
                link.send_replace(Link::Down(err.code, err.detail.into()));
            }
        }
        sleep(delay).await;
        delay = (delay * 2).min(RETRY_DELAY_MAX);
    }
}

/// One connection from its beginning to its end; an error if it never came up.
async fn once(
    door: &Door,
    connect_timeout: Duration,
    link: &watch::Sender<Link>,
) -> Result<(), LookupError> {
    let unavailable = |why: String| LookupError::new(Code::LookupUnavailable, why);
    let late = || unavailable(format!("no connection to Redis within {connect_timeout:?}"));
    let server = door.server().await?;
    let attempt = Attempt {
        door,
        server: &server,
        pipe: Rc::default(),
        until: Instant::now() + connect_timeout,
        link,
    };
    let pipe = &attempt.pipe;
    match (&server.address, &server.secure) {
        (Address::Tcp(host, port), None) => {
            let connecting = timeout(connect_timeout, connect_tcp(host, *port)).await;
            let stream = connecting.map_err(|_elapsed| late())?;
            let stream = stream.map_err(|err| unavailable(err.to_string()))?;
            attempt.live(drive(stream, pipe)).await
        }
        (Address::Tcp(host, port), Some(secure)) => {
            let connecting = async { secure.over(host, connect_tcp(host, *port).await?).await };
            let connecting = timeout(connect_timeout, connecting).await;
            let stream = connecting.map_err(|_elapsed| late())?;
            let stream = stream.map_err(|err| unavailable(err.to_string()))?;
            attempt.live(drive(stream, pipe)).await
        }
        (Address::Unix(path), _) => {
            let connecting = timeout(connect_timeout, UnixStream::connect(path)).await;
            let stream = connecting.map_err(|_elapsed| late())?;
            let stream = stream.map_err(|err| unavailable(err.to_string()))?;
            attempt.live(drive(stream, pipe)).await
        }
    }
}

/// A connection that is not up yet, or no more.
struct Attempt<'a> {
    door: &'a Door,
    server: &'a Server,
    pipe: Rc<Pipe>,
    /// When it has to be up.
    until: Instant,
    link: &'a watch::Sender<Link>,
}

impl Attempt<'_> {
    /// Greets the server and lends the pipe out for as long as it is driven and the server is the right one.
    async fn live(&self, driving: impl Future<Output = Broken>) -> Result<(), LookupError> {
        let mut driving = std::pin::pin!(driving);
        tokio::select! {
            broken = driving.as_mut() => return Err(broken.into()),
            greeted = timeout_at(self.until, self.greet()) => {
                let silent = |_| LookupError::new(Code::LookupUnavailable, "Redis says nothing");
                greeted.map_err(silent)??;
            }
        }
        self.link.send_replace(Link::Up(Rc::clone(&self.pipe)));
        tokio::select! {
            biased;
            _broken = driving => {}
            // What is still due ends with the drive, and is asked again where the door leads then.
            () = self.door.until_outdated(self.server, &self.pipe) => {}
        }
        self.link.send_replace(Link::Connecting);
        Ok(())
    }

    /// Says who we are, and hears whether the server is ready for us.
    async fn greet(&self) -> Result<(), LookupError> {
        let (greeting, count) = self.server.greeting();
        let replies = self.pipe.ask(&greeting, count).await?;
        for reply in replies.into_iter().flatten() {
            if let Reply::Error(words) = reply
                // Who may not even ping may still be allowed to read.
                && !words.starts_with("NOPERM")
            {
                return Err(refused(&words));
            }
        }
        self.door.check(&self.pipe).await
    }
}

impl From<Broken> for LookupError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Lost(why) => LookupError::new(Code::LookupUnavailable, &*why),
            Broken::BadBytes(why) => LookupError::new(Code::LookupBadAnswer, &*why),
        }
    }
}

/// The reply to a single command.
pub(super) fn one(replies: Vec<Reply>) -> Result<Reply, LookupError> {
    match replies.into_iter().next() {
        Some(Reply::Error(words)) => Err(refused(&words)),
        Some(reply) => Ok(reply),
        None => Err(LookupError::new(
            Code::LookupUnavailable,
            "too many replies are due",
        )),
    }
}

/// What an error reply means to a lookup: a server that is not ready, or one that refuses what is asked.
pub(super) fn refused(words: &str) -> LookupError {
    let kind = words.split(' ').next().unwrap_or_default();
    let code = match kind {
        "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "READONLY" => {
            Code::LookupUnavailable
        }
        _ => Code::LookupRefused,
    };
    LookupError::new(code, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_server_have_their_codes() {
        let of = |words: &str| refused(words).code;
        for refused in [
            "WRONGTYPE x",
            "NOAUTH x",
            "NOPERM x",
            "WRONGPASS x",
            "ERR unknown command",
        ] {
            assert_eq!(of(refused), Code::LookupRefused, "{refused}");
        }
        for away in [
            "LOADING x",
            "BUSY x",
            "READONLY x",
            "TRYAGAIN x",
            "MASTERDOWN x",
            "CLUSTERDOWN x",
        ] {
            assert_eq!(of(away), Code::LookupUnavailable, "{away}");
        }
    }
}
