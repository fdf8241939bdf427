//! Several lookups as one pipeline, each different command once.

use std::collections::HashMap;

use redis::Pipeline;

use super::command::Command;
use crate::backend::{Answer, Asked, LookupError};
use crate::value::Value;

/// One pipeline as it grows.
pub(super) struct Batch {
    pipeline: Pipeline,
    scratch: Vec<u8>,
    /// Where each command, as it goes over the wire, stands in the pipeline.
    known: HashMap<Vec<u8>, usize>,
}

/// Where a lookup's reply will stand; `None` when there is nothing to ask, as for an `mget` of no keys.
pub(super) type Place = Result<Option<usize>, LookupError>;

impl Batch {
    pub(super) fn new(count: usize, scratch: Vec<u8>) -> Self {
        Batch {
            pipeline: Pipeline::with_capacity(count),
            scratch,
            known: HashMap::with_capacity(count),
        }
    }

    /// Adds the command of one lookup, unless it is there already.
    pub(super) fn place(&mut self, asked: &Asked<'_, Command>) -> Place {
        let Some(command) = asked.lookup.pack(asked.params, &mut self.scratch)? else {
            return Ok(None);
        };
        let next = self.pipeline.len();
        let at = *self
            .known
            .entry(command.get_packed_command())
            .or_insert(next);
        if at == next {
            self.pipeline.add_command(command);
        }
        Ok(Some(at))
    }

    pub(super) fn into_parts(self) -> (Pipeline, Vec<u8>) {
        (self.pipeline, self.scratch)
    }
}

/// Each lookup's answer from the replies to a pipeline.
pub(super) fn answers(
    asked: &[Asked<'_, Command>],
    places: &[Place],
    replies: Result<Vec<Result<redis::Value, LookupError>>, LookupError>,
) -> Vec<Result<Answer, LookupError>> {
    let mut replies = match replies {
        Ok(replies) => replies,
        Err(err) => return asked.iter().map(|_| Err(err.clone())).collect(),
    };
    // The last to use a reply takes it, the others copy it.
    let mut users = vec![0_usize; replies.len()];
    for at in places
        .iter()
        .filter_map(|place| place.as_ref().ok().copied().flatten())
    {
        users[at] += 1;
    }
    let nil = || Ok(redis::Value::Nil);
    let mut answer = |(ask, place): (&Asked<'_, Command>, &Place)| {
        let Some(at) = place.clone()? else {
            return Ok(Answer::new(Value::List(Vec::new())));
        };
        users[at] -= 1;
        let reply = match users[at] {
            0 => std::mem::replace(&mut replies[at], nil()),
            _ => replies[at].clone(),
        };
        Ok(Answer::new(ask.lookup.answer(reply?)?))
    };
    asked.iter().zip(places).map(&mut answer).collect()
}
