//! Hears which keys have changed: Redis's client-side caching, on a connection of its own.
//!
//! The connection reads nothing. It has the server name every key with the wanted prefixes that changes, whoever has read it
//! (`CLIENT TRACKING ON BCAST`, redis.io, "Client-side caching"). So it does not matter over which of several connections an
//! answer came, nor how old these are. A connection that says nothing for too long counts as lost, like one that breaks.

use std::any::Any;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::connection::Connection;
use super::endpoint::{Endpoint, OnPush};
use super::multiplexed::Multiplexed;
use super::resp::{Reply, put_command, refused};
use super::server::Server;
use crate::backend::changes::Changes;
use crate::backend::{LookupError, OnLoop};

/// How often the server has to show that it is there, and how long it may take for that.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_MAX: Duration = Duration::from_secs(1);
/// It is practically never replaced because of its age: that would make all answers be asked for again.
const AGE_MAX: Duration = Duration::from_hours(365 * 24);

/// Hears the changes of one server on one loop.
pub(super) struct Tracking {
    changes: Rc<Changes>,
    _connection: Connection,
}

impl Tracking {
    /// Starts to hear of keys with these prefixes at `endpoint`, in the background.
    pub(super) fn start(
        endpoint: impl Endpoint + 'static,
        prefixes: Vec<&str>,
        (connect_timeout, on): (Duration, &OnLoop),
    ) -> Self {
        let changes = Changes::new(&on.name, on.seed);
        let heard = Rc::clone(&changes);
        let hear = move || Box::new(heard.hear()) as Box<dyn Any>;
        let commands = commands(prefixes).into();
        let endpoint = Tracked::new(endpoint, (commands, &changes), hear);
        Tracking {
            _connection: Connection::start(endpoint, connect_timeout, on),
            changes,
        }
    }

    pub(super) fn changes(&self) -> &Rc<Changes> {
        &self.changes
    }
}

/// Tries whether changes of keys with these prefixes can be heard over `connection`, which is of no other use afterwards. `Ok(Some)`
/// says why not, in Redis's own words.
pub(super) async fn try_to_hear(
    connection: &Connection,
    prefixes: Vec<&str>,
) -> Result<Option<String>, LookupError> {
    let replies = connection.ask(&commands(prefixes), 2).await?;
    let mut errors = replies.into_iter().filter_map(|reply| match reply {
        Reply::Error(words) => Some(refused(&words).detail),
        _ => None,
    });
    Ok(errors.next())
}

/// Where the other connections lead too, asked to name what changes.
pub(super) struct Tracked<E> {
    endpoint: E,
    /// Two of them.
    commands: Rc<[u8]>,
    changes: Rc<Changes>,
    /// Called once what changes is heard over a connection; what it returns is dropped when that ends.
    hear: Box<dyn Fn() -> Box<dyn Any>>,
}

impl<E> Tracked<E> {
    /// The server of `endpoint`, which is sent these [`commands`].
    pub(super) fn new(
        endpoint: E,
        (commands, changes): (Rc<[u8]>, &Rc<Changes>),
        hear: impl Fn() -> Box<dyn Any> + 'static,
    ) -> Self {
        Tracked {
            endpoint,
            commands,
            changes: Rc::clone(changes),
            hear: Box::new(hear),
        }
    }
}

impl<E: Endpoint> Endpoint for Tracked<E> {
    async fn server(&self) -> Result<Server, LookupError> {
        let server = self.endpoint.server().await?;
        Ok(Server {
            age_max: AGE_MAX,
            ..server
        })
    }

    async fn check(&self, redis: &Multiplexed) -> Result<(), LookupError> {
        self.endpoint.check(redis).await?;
        let replies = redis.ask(&self.commands, 2).await?.unwrap_or_default();
        for reply in replies {
            if let Reply::Error(words) = reply {
                return Err(refused(&words));
            }
        }
        Ok(())
    }

    async fn until_outdated(&self, server: &Server, redis: &Multiplexed) -> &'static str {
        let _hearing = (self.hear)();
        tokio::select! {
            why = self.endpoint.until_outdated(server, redis) => why,
            () = until_silent(redis) => "the server does not answer",
        }
    }

    fn is_lost(&self, why: &LookupError) {
        self.changes.not_heard(why);
    }

    fn on_push(&self) -> Option<OnPush> {
        let changes = Rc::clone(&self.changes);
        Some(Rc::new(move |push| heard(&changes, push)))
    }
}

/// Ends when the server does not answer in time.
async fn until_silent(redis: &Multiplexed) {
    let mut ping = Vec::new();
    put_command(&mut ping, &[b"PING"]);
    loop {
        sleep(PING_EVERY).await;
        // A refusal is an answer too. A broken connection ends by itself.
        if timeout(PING_MAX, redis.ask(&ping, 1)).await.is_err() {
            return;
        }
    }
}

/// `>2 invalidate [key, ..]`, or nil instead of keys if the database was emptied.
fn heard(changes: &Changes, push: Vec<Reply>) {
    let mut items = push.into_iter();
    let is_news = matches!(items.next(), Some(Reply::String(kind)) if &*kind == b"invalidate");
    match items.next() {
        _ if !is_news => {}
        Some(Reply::Array(keys)) => {
            for key in keys {
                match key {
                    Reply::String(key) => changes.changed(&key),
                    _ => changes.all_changed(),
                }
            }
        }
        _ => changes.all_changed(),
    }
}

/// Asks for RESP3, which has pushes, and for the changes of all keys with these prefixes. Redis refuses one that begins with
/// another.
pub(super) fn commands(mut prefixes: Vec<&str>) -> Vec<u8> {
    prefixes.sort_unstable();
    prefixes.dedup_by(|longer, shorter| longer.starts_with(&**shorter));
    let mut words: Vec<&[u8]> = vec![b"CLIENT", b"TRACKING", b"ON", b"BCAST"];
    for prefix in &prefixes {
        words.extend([b"PREFIX", prefix.as_bytes()]);
    }
    let mut packed = Vec::new();
    put_command(&mut packed, &[b"HELLO", b"3"]);
    put_command(&mut packed, &words);
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_that_begin_with_another_are_left_out() {
        let said = |prefixes: &[&str]| {
            let packed = commands(prefixes.to_vec());
            let text = String::from_utf8(packed).expect("text");
            let words = text
                .split("\r\n")
                .filter(|word| !word.starts_with(['*', '$']));
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            said(&["user:", "plane:", "user:7:", "user:"]),
            "HELLO 3 CLIENT TRACKING ON BCAST PREFIX plane: PREFIX user: "
        );
        assert_eq!(
            said(&["a", ""]),
            "HELLO 3 CLIENT TRACKING ON BCAST PREFIX  "
        );
    }
}
