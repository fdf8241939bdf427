//! Asks a second endpoint if the first one is slow, and takes the answer that is there first.
//!
//! The other question is dropped then: over HTTP/2 its stream is reset, over HTTP/1.1 its connection closed, and of a Thrift
//! service its reply is discarded. A failure waits for the other's answer, and is not retried: the second question was that.

use std::pin::pin;

use tokio::time::sleep_until;

use super::balanced::{Endpoints, Tried};
use super::board::Hedged;
use super::endpoint::Client;
use super::hedge::Hedge;
use super::hedges::Timed;
use super::pick::Choose;
use super::set::Asked;
use crate::backend::{Answer, Ask, LookupError, Verdict};
use crate::error::Code;

impl<C: Client + 'static> Endpoints<C> {
    /// As [`Endpoints::ask`], with a second endpoint as `hedge` says. Returns also whether that one has answered.
    pub(in crate::backend) async fn ask_hedged(
        &self,
        hash: Option<u64>,
        (ask, hedge): (&Ask<'_>, &Hedge),
        attempt: impl AsyncFn(&C) -> Result<Answer, LookupError>,
    ) -> Result<(Answer, bool), LookupError> {
        let set = self.set();
        let timed = set.hedges.begin(hedge, ask);
        let tried = Tried::noting_at_once(set.given_up());
        let mut first = pin!(self.ask_in_turn(hash, ask, &tried, &attempt));
        let mut outcome = None;
        let other = match timed.hedged_at() {
            None => None,
            Some(at) => tokio::select! {
                biased;
                of_first = &mut first => {
                    outcome = Some(of_first);
                    None
                }
                () = sleep_until(at) => self.other(&timed, (hash, ask), &tried),
            },
        };
        let Some(other) = other else {
            let outcome = match outcome {
                Some(outcome) => outcome,
                None => first.await,
            };
            timed.ended(&outcome);
            return outcome.map(|answer| (answer, false));
        };
        tried.ends();
        let under_way = set.hedges.under_way();
        let mut second = pin!(async {
            let outcome = attempt(other.client()).await;
            if let Err(err) = &outcome
                && err.asks_for_patience()
            {
                set.hedges.pushed_back();
            }
            let label = &other.ended(&outcome).label;
            match outcome {
                Ok(answer) => Ok(answer.of_endpoints(tried.asked(label))),
                Err(err) => Err(err.of_endpoints(Some(tried.asked(label)))),
            }
        });
        let (outcome, is_second, is_first_open) = tokio::select! {
            biased;
            outcome = &mut first => match outcome {
                Err(err) if is_no_answer(&err) => {
                    (second.await.or_else(|other| more_telling(err, other)), true, false)
                }
                outcome => (outcome, false, false),
            },
            outcome = &mut second => match outcome {
                Err(err) if is_no_answer(&err) => (first.await, false, false),
                outcome => (outcome, true, true),
            },
        };
        if is_first_open {
            tried.lost(timed.began());
        }
        under_way.ended(match (&outcome, is_second) {
            (Ok(_), true) => Hedged::Won,
            (Ok(_), false) => Hedged::Lost,
            (Err(_), _) => Hedged::Failed,
        });
        timed.ended(&outcome);
        outcome.map(|answer| (answer, is_second))
    }

    /// The second endpoint for a question that is slow, if it may go to one.
    fn other(
        &self,
        timed: &Timed,
        (hash, ask): (Option<u64>, &Ask<'_>),
        tried: &Tried<C>,
    ) -> Option<Asked<C>> {
        let set = self.set();
        let other = tried.with(|tried| set.pick(hash, ask, tried, Choose::Working));
        let is_allowed = set.hedges.allow(timed, other.is_ok());
        let other = other.ok()?;
        if !is_allowed {
            other.withdrawn();
            return None;
        }
        Some(other)
    }
}

/// The error of a question that two endpoints were asked, the first of which did not answer.
fn more_telling(first: LookupError, other: LookupError) -> Result<Answer, LookupError> {
    Err(if is_no_answer(&other) { first } else { other })
}

/// Whether the other endpoint may still have an answer. What an endpoint says itself is one, also if it is an error.
fn is_no_answer(err: &LookupError) -> bool {
    err.code == Code::LookupUnavailable || err.verdict() == Verdict::Fails
}
