//! One connection to a memcached server that comes back by itself, owned by a task of its own.
//!
//! In: questions of the server's [`Queue`]; out: their answers. A dropped lookup drops its place to wait, not
//! the exchange: the task reads the answer all the same. After an error, an answer that does not fit its
//! question, or an answer that nobody waits for and that does not come, the connection is dropped with
//! whatever is unread on it, and made anew. It counts as up only once the server has answered a question over
//! it, so a server that accepts and says nothing is down like one that is not there.

use std::rc::Rc;
use std::time::Duration;

use async_memcached::{AsciiProtocol as _, Client, Error, ErrorKind, Status, Value};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::queue::{Found, Question, Queue};
use crate::backend::{LookupError, links::Link};
use crate::error::Code;

/// The pause after the first failed attempt; it doubles from there.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// How long an answer that nobody waits for any more may still take: dropped lookups are common, and most
/// answers come within it.
const ABANDONED_MAX: Duration = Duration::from_millis(100);
/// What a new connection asks for first; nothing need be there. Proxies that refuse `version` answer it too.
const FIRST_KEY: &str = "tributary.hello";

/// Connects for as long as the backend lives, and answers questions while connected.
pub(super) async fn keep(dsn: String, connect_timeout: Duration, queue: Rc<Queue>) {
    let mut link = Link::Hopeful;
    let mut delay = RETRY_DELAY_MIN;
    let mut again = None;
    loop {
        match connect(&dsn, connect_timeout).await {
            Ok(client) => {
                let since = Instant::now();
                queue.links.moved(&mut link, Link::Up);
                again = serve(client, again.take(), &queue).await;
                queue.links.moved(&mut link, Link::Hopeful);
                if since.elapsed() >= RETRY_DELAY_MAX {
                    delay = RETRY_DELAY_MIN;
                    continue;
                }
                // Broken soon after it was made: not to be made again without a pause.
            }
            Err(why) => {
                queue.failed(&mut link, &why);
                if let Some(question) = again.take() {
                    Question::answer(question, Err(why));
                }
            }
        }
        sleep(delay).await;
        delay = (delay * 2).min(RETRY_DELAY_MAX);
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

/// Answers questions until the connection is no good any more. Gives back a question that the connection broke
/// under and that has not been asked twice: all are reads, so asking again does no harm.
async fn serve(mut client: Client, again: Option<Question>, queue: &Queue) -> Option<Question> {
    let mut twice = again;
    loop {
        let (question, tried) = match twice.take() {
            Some(question) => (question, true),
            None => (queue.next().await, false),
        };
        match exchange(&mut client, question, queue).await {
            Next::Question => {}
            Next::Connection(question) => return question.filter(|_| !tried),
        }
    }
}

/// What comes after an exchange.
enum Next {
    /// The connection is as good as new.
    Question,
    /// It can't be used again. The question comes back if it broke before there was an answer.
    Connection(Option<Question>),
}

async fn exchange(client: &mut Client, mut question: Question, queue: &Queue) -> Next {
    let keys = Rc::clone(&question.keys);
    let abandoned = async {
        question.given_up().await;
        sleep(ABANDONED_MAX).await;
    };
    let reply = tokio::select! {
        biased;
        reply = client.get_multi(keys.iter()) => reply,
        () = abandoned => return Next::Connection(None),
    };
    let found = match reply {
        Ok(values) => by_key(&keys, values),
        // The crate's word for an answer without any value.
        Err(Error::Protocol(Status::NotFound)) => Some(vec![None; keys.len()]),
        Err(err) => {
            let why = lookup_error(&err);
            if why.code == Code::LookupUnavailable {
                return Next::Connection(Some(question));
            }
            question.answer(Err(why));
            return Next::Connection(None);
        }
    };
    match found {
        Some(found) => {
            queue.note_sizes(&found);
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

/// The values in the order of the keys; `None` if one is of another key, or of one that has its value already.
fn by_key(keys: &[Bytes], values: Vec<Value>) -> Option<Found> {
    let mut found: Found = vec![None; keys.len()];
    // Servers answer in the order of the keys, so each is looked for after the one before it.
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

/// What an error of the wire means to a lookup.
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
    fn a_value_of_no_key_or_a_second_one_spoils_the_answer() {
        assert_eq!(found(&["a"], vec![value("b", "2")]), None);
        assert_eq!(
            found(&["a", "b"], vec![value("a", "1"), value("a", "2")]),
            None
        );
    }
}
