//! One connection to a memcached server: asks the questions of the server's queue, one after the other.
//!
//! If a lookup is dropped, its exchange continues and the answer is still read. The connection is closed, with
//! whatever is unread on it, after an error, after an answer that does not fit its question, and if the answer to a
//! dropped lookup does not arrive soon. The connection counts as up only once the server has answered over it, so a
//! server that accepts and never answers is as unavailable as one that is down.

use std::rc::Rc;
use std::time::Duration;

use async_memcached::{AsciiProtocol as _, Client, Error, ErrorKind, Status, Value};
use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::value_sizes::{ValueSizes, Values};
use crate::backend::LookupError;
use crate::backend::net::{self, Dial, Ended};
use crate::error::Code;

/// How long the answer to a dropped lookup may still take: dropped lookups are common, and most answers arrive within it.
const ABANDONED_MAX: Duration = Duration::from_millis(100);
/// The key that a new connection asks for first; it need not exist. Proxies that refuse `version` answer this too.
const FIRST_KEY: &str = "tributary.hello";

/// One multi-get: different keys, all of one server.
pub(super) type Question = net::Question<Rc<[Bytes]>, Values>;
/// The questions for one server.
pub(super) type Queue = net::Queue<Rc<[Bytes]>, Values>;

/// Makes the connections to one server, one at a time.
pub(super) struct Dialer {
    pub(super) dsn: String,
    pub(super) connect_timeout: Duration,
    pub(super) queue: Rc<Queue>,
    pub(super) sizes: Rc<ValueSizes>,
    /// The question during which the previous connection broke.
    pub(super) again: Option<Question>,
}

impl Dial for Dialer {
    type Client = ();
    type Connection = Client;

    async fn connect(&mut self) -> Result<((), Client), LookupError> {
        Ok(((), connect(&self.dsn, self.connect_timeout).await?))
    }

    async fn serve(&mut self, mut client: Client) -> Ended {
        loop {
            let question = match self.again.take() {
                Some(question) => question,
                None => self.queue.next().await,
            };
            match exchange(&mut client, question, &self.sizes).await {
                Next::Question => {}
                Next::Connection(again) => {
                    self.again = again;
                    return Ended::Lost;
                }
            }
        }
    }

    fn unavailable(&mut self, why: &LookupError) {
        if let Some(question) = self.again.take() {
            question.answer(Err(why.clone()));
        }
        self.queue.refuse_if_unavailable();
    }
}

/// A connection over which the server has answered.
pub(super) async fn connect(dsn: &str, connect_timeout: Duration) -> Result<Client, LookupError> {
    let attempt = async {
        let mut client = Client::new(dsn).await?;
        client.get(FIRST_KEY).await?;
        Ok::<_, Error>(client)
    };
    match timeout(connect_timeout, attempt).await {
        Ok(connected) => connected.map_err(|err| lookup_error(&err)),
        Err(_) => {
            let why = "memcached does not answer within `connect_timeout`";
            Err(LookupError::new(Code::LookupUnavailable, why))
        }
    }
}

/// How to continue after an exchange.
enum Next {
    /// The connection can be used again.
    Question,
    /// The connection can't be used again. If it broke before there was an answer, the question is asked once more.
    Connection(Option<Question>),
}

async fn exchange(client: &mut Client, mut question: Question, sizes: &ValueSizes) -> Next {
    let keys = Rc::clone(&question.asked);
    let abandoned = async {
        question.abandoned().await;
        sleep(ABANDONED_MAX).await;
    };
    let reply = tokio::select! {
        biased;
        reply = client.get_multi(keys.iter()) => reply,
        () = abandoned => return Next::Connection(None),
    };
    let found = match reply {
        Ok(values) => by_key(&keys, values),
        // The crate's error for an answer without any value.
        Err(Error::Protocol(Status::NotFound)) => Some(vec![None; keys.len()]),
        Err(err) => {
            let why = lookup_error(&err);
            if why.code == Code::LookupUnavailable {
                return Next::Connection(question.retry(&why));
            }
            question.answer(Err(why));
            return Next::Connection(None);
        }
    };
    match found {
        Some(found) => {
            sizes.note(&found);
            question.answer(Ok(found));
            Next::Question
        }
        None => {
            let why = "memcached answered with a key that was not asked for";
            question.answer(Err(LookupError::new(Code::LookupBadAnswer, why)));
            Next::Connection(None)
        }
    }
}

/// The values in the order of the keys; `None` if a value belongs to another key, or to one that has a value already.
fn by_key(keys: &[Bytes], values: Vec<Value>) -> Option<Values> {
    let mut found: Values = vec![None; keys.len()];
    // Servers answer in the order of the keys, so the search for each starts after the one before it.
    let mut next = 0;
    for value in values {
        let mut from_next = (next..keys.len()).chain(0..next);
        let at = from_next.find(|at| keys[*at] == value.key)?;
        let before = found[at].replace(Bytes::from(value.data?));
        if before.is_some() {
            return None;
        }
        next = at + 1;
    }
    Some(found)
}

/// What an error of the protocol's crate means to a lookup.
fn lookup_error(err: &Error) -> LookupError {
    let code = match err {
        Error::Protocol(Status::Error(ErrorKind::Server(_))) => Code::LookupFailed,
        Error::Protocol(Status::Error(ErrorKind::Client(_) | ErrorKind::NonexistentCommand)) => {
            Code::LookupRefused
        }
        Error::Protocol(_) | Error::ParseError(_) => Code::LookupBadAnswer,
        Error::Connect(_) | Error::ConnectionClosed | Error::Io(_) => Code::LookupUnavailable,
    };
    LookupError::new(code, format!("memcached: {err}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(key: &str, data: &str) -> Value {
        Value {
            key: key.into(),
            cas: None,
            flags: Some(0),
            data: Some(data.into()),
        }
    }

    fn found(keys: &[&'static str], values: Vec<Value>) -> Option<Vec<Option<String>>> {
        let keys: Vec<Bytes> = keys.iter().copied().map(Bytes::from).collect();
        let text = |bytes: Bytes| String::from_utf8(bytes.into()).expect("text");
        by_key(&keys, values).map(|found| found.into_iter().map(|found| found.map(text)).collect())
    }

    #[test]
    fn values_find_their_keys_in_any_order() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found(&["a", "b", "c"], vec![value("c", "3"), value("a", "1")]),
            Some(vec![text("1"), None, text("3")])
        );
        assert_eq!(found(&["a"], vec![]), Some(vec![None]));
    }

    #[test]
    fn a_value_of_an_unknown_or_repeated_key_invalidates_the_answer() {
        assert_eq!(found(&["a"], vec![value("b", "2")]), None);
        assert_eq!(
            found(&["a", "b"], vec![value("a", "1"), value("a", "2")]),
            None
        );
    }
}
