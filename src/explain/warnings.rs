//! Warns about what is allowed but probably a mistake: a timeout beyond the deadline, a lookup that feeds nothing, a `foreach`
//! over too many elements, a required field that may have no value.

use std::time::Duration;

use super::chain::Chains;
use super::plan_names::{PlanNames, time};
use crate::plan::{ReplyShape, Step, Target, maybe_unset};

/// The warnings for one view, one line each.
pub(super) fn of(names: PlanNames<'_>, chains: &Chains<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(beyond_deadline(names, chains));
    let fields = maybe_unset(names.program.schema(names.plan), names.plan);
    warnings.extend(
        fields
            .iter()
            .map(|field| format!("{}: {}", field.message(), field.help())),
    );
    for step in &names.plan.steps {
        warnings.extend(feeds_nothing(names, step));
        warnings.extend(too_wide(names, step));
        warnings.extend(no_time_left(names, step));
    }
    warnings
}

fn beyond_deadline(names: PlanNames<'_>, chains: &Chains<'_>) -> Option<String> {
    let (slowest, sum) = chains.slowest();
    let deadline = names.plan.deadline;
    if sum <= deadline {
        return None;
    }
    let of = match slowest[..] {
        [only] => format!("the timeout of {}", names.plan.steps[only].name),
        _ => format!("the timeouts of {} together", names.chain(&slowest)),
    };
    Some(format!(
        "{of}, {}, may never be reached: the deadline of {} comes first",
        time(sum),
        time(deadline)
    ))
}

/// A required lookup is never useless, since the call fails with it. In a `void` method, a lookup may be the purpose.
fn feeds_nothing(names: PlanNames<'_>, step: &Step) -> Option<String> {
    let in_reply = step.target != Target::Nothing || names.plan.reply == ReplyShape::Void;
    if in_reply || step.referred || step.required {
        return None;
    }
    Some(format!(
        "{} feeds nothing: it is not in the reply, and no lookup refers to it",
        step.name
    ))
}

/// What is asked instead of a lookup that takes all the time of the call is never asked.
fn no_time_left(names: PlanNames<'_>, step: &Step) -> Option<String> {
    let mut used = Duration::ZERO;
    for of in step.attempts() {
        let next = of.fallback.as_ref()?;
        used = used.saturating_add(of.timeout.unwrap_or(names.plan.deadline));
        if used >= names.plan.deadline {
            return Some(format!(
                "if {} takes all its time, none is left to ask {} instead: give it a shorter `timeout`",
                of.name, next.name
            ));
        }
    }
    None
}

fn too_wide(names: PlanNames<'_>, step: &Step) -> Option<String> {
    let most = step.foreach.as_ref()?.max;
    let backend = names.backend(step)?;
    let running = backend.in_flight_max;
    (most > running).then(|| {
        format!(
            "one call may ask `{}` {most} times for {} (`foreach_max`); the others wait (`in_flight_max` is {running})",
            step.backend, step.name
        )
    })
}
