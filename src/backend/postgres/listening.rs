//! Hears which answers are no longer right: `LISTEN`, on a connection of its own.
//!
//! Writers say what they have changed with `NOTIFY channel, 'key'`, which PostgreSQL passes on once their transaction is
//! committed. A pooler lends the session to others, so there must be none. A connection that says nothing for too long counts as
//! lost, like one that breaks.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;

use super::config::Settings;
use super::driver::Driver;
use super::failure::Failure;
use super::hosts::Heard;
use super::open::{Opened, open_session};
use crate::backend::changes::Changes;
use crate::backend::net::{Availability, Dial, Ended, Keeper, keep};
use crate::backend::{LookupError, OnLoop};
use crate::error::Code;
use crate::value::{Value, uuid_text};

/// How often the server has to show that it is there, and how long it may take for that.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_MAX: Duration = Duration::from_secs(1);
/// It is practically never replaced because of its age: that would make all answers be asked for again.
const AGE_MAX: Duration = Duration::from_hours(365 * 24);

/// Hears some channels on one loop.
pub(super) struct Listening {
    changes: Rc<Changes>,
    _keeper: Keeper,
}

impl Listening {
    /// Starts to listen in the background.
    pub(super) fn start(settings: &Settings, channels: Vec<Arc<str>>, on: &OnLoop) -> Self {
        let changes = Changes::new(&on.name, on.seed);
        let heard = Rc::clone(&changes);
        let dialer = Dialer {
            settings: settings.clone(),
            listen: listen(channels),
            heard: Rc::new(move |channel, payload| heard.changed_on(channel, payload)),
            changes: Rc::clone(&changes),
        };
        Listening {
            _keeper: keep(dialer, Rc::new(Availability::new()), on.seed),
            changes,
        }
    }

    pub(super) fn changes(&self) -> &Rc<Changes> {
        &self.changes
    }
}

/// Tries whether this channel can be heard, or says why it can't.
pub(super) async fn try_to_hear(
    settings: &Settings,
    channel: &Arc<str>,
) -> Result<(), LookupError> {
    let listen = listen(vec![Arc::clone(channel)]);
    let nothing: Heard = Rc::new(|_, _| ());
    open_listening(settings, (&listen, &nothing))
        .await
        .map(drop)
}

/// Makes the connection.
struct Dialer {
    settings: Settings,
    /// The statements that name the channels.
    listen: String,
    heard: Heard,
    changes: Rc<Changes>,
}

impl Dial for Dialer {
    type Client = ();
    type Connection = (Client, Driver);

    async fn connect(&mut self) -> Result<((), (Client, Driver)), LookupError> {
        let connected = open_listening(&self.settings, (&self.listen, &self.heard)).await;
        if let Err(err) = &connected {
            self.changes.not_heard(err);
        }
        Ok(((), connected?))
    }

    async fn serve(&mut self, (client, mut driver): (Client, Driver), _: Instant) -> Ended {
        let _hearing = self.changes.hear();
        let why = tokio::select! {
            biased;
            ended = &mut driver => match ended {
                Ok(()) => LookupError::new(Code::LookupUnavailable, "the connection was closed"),
                Err(err) => Failure::from(&err).error,
            },
            () = until_silent(&client) => {
                LookupError::new(Code::LookupUnavailable, "the server does not answer")
            }
        };
        self.changes.not_heard(&why);
        Ended::Broken(why)
    }

    fn age_max(&self) -> Duration {
        AGE_MAX
    }
}

/// Opens a session that hears what `listen` names.
async fn open_listening(
    settings: &Settings,
    (listen, heard): (&str, &Heard),
) -> Result<(Client, Driver), LookupError> {
    let Opened {
        client, mut driver, ..
    } = open_session(settings, heard).await?;
    let listening = async {
        tokio::select! {
            listens = client.batch_execute(listen) => listens,
            ended = &mut driver => ended,
        }
    };
    match timeout(settings.connect_timeout, listening).await {
        Ok(listens) => listens.map_err(|err| Failure::from(&err).error)?,
        Err(_elapsed) => {
            let why = "PostgreSQL does not answer `LISTEN`";
            return Err(LookupError::new(Code::LookupUnavailable, why));
        }
    }
    Ok((client, driver))
}

/// Ends when the server does not answer in time.
async fn until_silent(client: &Client) {
    loop {
        sleep(PING_EVERY).await;
        // A broken connection ends by itself.
        if timeout(PING_MAX, client.simple_query("")).await.is_err() {
            return;
        }
    }
}

/// Calls `each` with the words by which writers name a parameter's value; `None` if they can't.
pub(super) fn each_key(value: &Value, each: &mut dyn FnMut(&[u8])) -> Option<()> {
    match value {
        // Only all keys together can mean it.
        Value::Null => {}
        Value::Bool(bit) => each(bit.to_string().as_bytes()),
        Value::I64(number) => each(number.to_string().as_bytes()),
        Value::Double(number) => each(number.to_string().as_bytes()),
        Value::Text(text) => each(text.as_str().as_bytes()),
        Value::Bytes(bytes) => each(bytes),
        Value::Uuid(uuid) => each(uuid_text(uuid).as_bytes()),
        Value::Enum(of) => {
            each(of.number.to_string().as_bytes());
            if let Some(name) = &of.name {
                each(name.as_bytes());
            }
        }
        Value::List(values) => return values.iter().try_for_each(|value| each_key(value, each)),
        Value::Map(_) | Value::Record(_) => return None,
    }
    Some(())
}

/// `listen "planes"; listen "crews"`
fn listen(mut channels: Vec<Arc<str>>) -> String {
    channels.sort_unstable();
    channels.dedup();
    let quoted = |channel: &Arc<str>| format!("listen \"{}\"", channel.replace('"', "\"\""));
    let each: Vec<String> = channels.iter().map(quoted).collect();
    each.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_quoted_and_named_once() {
        let channels = ["planes", "a\"b", "planes"].map(Arc::from).to_vec();
        assert_eq!(listen(channels), "listen \"a\"\"b\"; listen \"planes\"");
    }
}
