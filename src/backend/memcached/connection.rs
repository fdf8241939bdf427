//! One connection to a memcached server: asks the questions of the server's queue, one after the other.
//!
//! When a lookup is dropped, its exchange goes on: the answer is read all the same. The connection is closed, with
//! whatever is unread on it, after an error, after an answer that does not fit its question or has something left over, when
//! something comes that was not asked for, and when the answer to a dropped lookup does not come soon. It counts as up only
//! once the server has answered over it, so a server that accepts and says nothing is as unavailable as one that is not
//! there.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::account::Account;
use super::address::Address;
use super::value_sizes::{ValueSizes, Values};
use super::wire::{CLOSED, Wire};
use crate::backend::format::bad_answer;
use crate::backend::memory::Reading;
use crate::backend::net::{self, Dial, Ended};
use crate::backend::{LookupError, StoreMemory};
use crate::error::Code;

/// How long the answer to a dropped lookup may still take: dropped lookups are common, and most answers arrive within it.
const ABANDONED_MAX: Duration = Duration::from_millis(100);
/// The key that a new connection asks for first; it need not exist. Proxies that refuse `version` answer this too. The
/// question is as long as a header of the binary protocol, so that a server that speaks only that closes the connection.
const FIRST_KEY: &str = "tributary.first.question";

/// One multi-get: different keys, all of one server.
pub(super) type Queued = net::Queued<Rc<[Bytes]>, Values>;
/// The questions for one server.
pub(super) type Queue = net::Queue<Rc<[Bytes]>, Values>;

/// Makes the connections to one server, one at a time.
pub(super) struct Dialer {
    pub(super) address: Address,
    pub(super) account: Option<Arc<Account>>,
    pub(super) connect_timeout: Duration,
    pub(super) age_max: Duration,
    pub(super) queue: Rc<Queue>,
    pub(super) sizes: Rc<ValueSizes>,
    /// For large answers.
    pub(super) memory: StoreMemory,
    /// The question during which the previous connection broke.
    pub(super) again: Option<Queued>,
}

impl Dial for Dialer {
    type Client = ();
    type Connection = Wire;

    async fn connect(&mut self) -> Result<((), Wire), LookupError> {
        let account = self.account.as_deref();
        let wire = connect(&self.address, account, self.connect_timeout).await?;
        Ok(((), wire))
    }

    async fn serve(&mut self, mut wire: Wire, retire_at: Instant) -> Ended {
        loop {
            let question = match self.again.take() {
                Some(question) => question,
                None => tokio::select! {
                    biased;
                    why = wire.ended() => return Ended::Broken(why),
                    () = sleep_until(retire_at) => return Ended::InOrder,
                    question = self.queue.next() => question,
                },
            };
            let memory = self.memory.read_shared();
            match exchange(&mut wire, question, (&self.sizes, memory)).await {
                Ok(()) => {}
                Err((ended, again)) => {
                    self.again = again;
                    return ended;
                }
            }
        }
    }

    fn age_max(&self) -> Duration {
        self.age_max
    }

    fn unavailable(&mut self, why: &LookupError) {
        if let Some(question) = self.again.take() {
            question.answer(Err(why.clone()));
        }
        self.queue.refuse_if_unavailable();
    }
}

/// A connection over which the server has answered.
pub(super) async fn connect(
    address: &Address,
    account: Option<&Account>,
    connect_timeout: Duration,
) -> Result<Wire, LookupError> {
    let attempt = async {
        let wire = Wire::connect(address).await;
        let mut wire =
            wire.map_err(|err| LookupError::new(Code::LookupUnavailable, err.to_string()))?;
        greet(&mut wire, account)
            .await
            .map_err(|why| explained(why, account.is_some()))?;
        Ok(wire)
    };
    let connected = timeout(connect_timeout, attempt)
        .await
        .unwrap_or_else(|_elapsed| {
            let why = "memcached does not answer within `connect_timeout`";
            Err(LookupError::new(Code::LookupUnavailable, why))
        });
    connected.map_err(|err| err.at(address))
}

/// Logs in, and gets a first answer.
async fn greet(wire: &mut Wire, account: Option<&Account>) -> Result<(), LookupError> {
    if let Some(account) = account {
        wire.log_in(account, FIRST_KEY).await?;
    }
    let first = [Bytes::from_static(FIRST_KEY.as_bytes())];
    wire.ask(&first, Reading::default()).await?;
    if wire.has_more() {
        return Err(bad_answer("memcached sent more than an answer"));
    }
    Ok(())
}

/// The error of a greeting, with what to do where that is known.
fn explained(mut why: LookupError, has_account: bool) -> LookupError {
    if why.detail.contains("unauthenticated") && !has_account {
        why.detail += " (it asks for an account: `user` and `password`)";
    } else if why.detail == CLOSED {
        why.detail += " before it answered (one with SASL, `memcached -S`, closes it because it speaks the binary \
                       protocol only, which is not spoken here; `memcached -Y` has accounts for the text protocol)";
    }
    why
}

/// Asks one question. `Err` says how the connection has ended, with the question if it is to be asked once more: if the
/// connection broke before there was an answer.
async fn exchange(
    wire: &mut Wire,
    mut question: Queued,
    (sizes, memory): (&ValueSizes, Reading),
) -> Result<(), (Ended, Option<Queued>)> {
    let keys = Rc::clone(&question.asked);
    let abandoned = async {
        question.abandoned().await;
        sleep(ABANDONED_MAX).await;
    };
    let unavailable = |why| LookupError::new(Code::LookupUnavailable, why);
    let answer = tokio::select! {
        biased;
        answer = wire.ask(&keys, memory) => answer,
        () = abandoned => {
            let why = "the answer to a dropped lookup did not come";
            return Err((Ended::GivenUp(unavailable(why)), None));
        }
    };
    match answer {
        Ok(found) => {
            sizes.note(&found);
            question.answer(Ok(found));
        }
        Err(why) if why.code == Code::LookupUnavailable => {
            let again = question.retry(&why);
            return Err((Ended::Broken(why), again));
        }
        Err(why) => {
            question.answer(Err(why.clone()));
            return Err((Ended::Broken(why), None));
        }
    }
    if wire.has_more() {
        let why = unavailable("memcached sent more than an answer");
        return Err((Ended::Broken(why), None));
    }
    Ok(())
}
