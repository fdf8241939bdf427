//! What is allowed but hardly meant: timeouts that the deadline cuts off, lookups for nothing, wide `foreach`es,
//! required fields that may stay empty.

use super::chain::Chains;
use super::words::{Words, time};
use crate::plan::{ReplyShape, Step, Target, unsure};

/// The warnings for one view, each one line.
pub(super) fn of(words: Words<'_>, chains: &Chains<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(beyond_deadline(words, chains));
    let unsure = unsure(&words.program.schema, words.plan);
    warnings.extend(
        unsure
            .iter()
            .map(|unsure| format!("{}: {}", unsure.message(), unsure.help())),
    );
    for step in &words.plan.steps {
        warnings.extend(for_nothing(words, step));
        warnings.extend(too_wide(words, step));
    }
    warnings
}

fn beyond_deadline(words: Words<'_>, chains: &Chains<'_>) -> Option<String> {
    let (slowest, sum) = chains.slowest();
    let deadline = words.plan.deadline;
    if sum <= deadline {
        return None;
    }
    let of = match slowest[..] {
        [only] => format!("the timeout of {}", words.plan.steps[only].name),
        _ => format!("the timeouts of {} together", words.chain(&slowest)),
    };
    Some(format!(
        "{of}, {}, may never be reached: the deadline of {} comes first",
        time(sum),
        time(deadline)
    ))
}

/// A required lookup decides whether the call fails, and one of a `void` method may be its whole purpose.
fn for_nothing(words: Words<'_>, step: &Step) -> Option<String> {
    let in_reply = step.target != Target::Nothing || words.plan.reply == ReplyShape::Void;
    if in_reply || step.referred || step.required {
        return None;
    }
    Some(format!(
        "{} feeds nothing: it is not in the reply, and no lookup refers to it",
        step.name
    ))
}

fn too_wide(words: Words<'_>, step: &Step) -> Option<String> {
    let most = step.foreach.as_ref()?.max;
    let backend = words.backend(step)?;
    let (running, waiting) = (backend.in_flight_max, backend.waiting_max);
    if most <= running {
        return None;
    }
    let what = if most <= running.saturating_add(waiting) {
        format!("the rest waits for its turn (`in_flight_max` is {running})")
    } else {
        format!(
            "more than may run and wait there: `in_flight_max` is {running}, `waiting_max` {waiting}"
        )
    };
    Some(format!(
        "one call may ask `{}` {most} times for {} (`foreach_max`); {what}",
        step.backend, step.name
    ))
}
