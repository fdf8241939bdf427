//! Reports lookups that are to be asked a second time, after a failure or beside the first, and have no time for that.

use std::time::Duration;

use super::file::ConfigFile;
use super::served::ServedService;
use crate::backend::AnyConfig;
use crate::config::Document;
use crate::error::Code;
use crate::plan::{LookupId, Step};

/// Reports lookups that are to be asked once more and whose views leave no time for that.
pub(super) fn check_retries(document: &Document, config: &ConfigFile, services: &[ServedService]) {
    for (at, entry) in config.lookups.iter().enumerate() {
        let backend = entry.backend.map(|at| &config.backends[at]);
        let backend_config = backend.and_then(|backend| backend.config.as_ref());
        let Some(connecting) = backend_config.and_then(AnyConfig::retries_after) else {
            continue;
        };
        let least = least_time(services, LookupId(at));
        if let Some(least) = least.filter(|least| *least <= connecting) {
            let shown = humantime::format_duration;
            let message = format!(
                "`retry` has no time: the lookup has {}, and one attempt to connect may take {}",
                shown(least),
                shown(connecting)
            );
            let help = "lower `connect_timeout` of its backend, give the lookup more time, or leave `retry` out";
            document.problem(&entry.place, Code::ConfigClash, message, Some(help.into()));
        }
    }
}

/// Reports lookups that a second endpoint is to be asked, and whose views leave no time for that.
pub(super) fn check_hedges(document: &Document, config: &ConfigFile, services: &[ServedService]) {
    for (at, entry) in config.lookups.iter().enumerate() {
        let compiled = entry.compiled.as_ref();
        let Some(hedge) = compiled.and_then(|compiled| compiled.lookup.hedge()) else {
            continue;
        };
        let after = hedge.after_min();
        let least = least_time(services, LookupId(at));
        if let Some(least) = least.filter(|least| *least <= after) {
            let shown = humantime::format_duration;
            let message = format!(
                "`hedge` has no time: the lookup has {}, and a second endpoint is asked after {}",
                shown(least),
                shown(after)
            );
            let help = "shorten `after`, give the lookup more time, or leave `hedge` out";
            document.problem(&entry.place, Code::ConfigClash, message, Some(help.into()));
        }
    }
}

/// The least time that a view allows a lookup; `None` if no view uses it.
fn least_time(services: &[ServedService], lookup: LookupId) -> Option<Duration> {
    let plans = services.iter().flat_map(|of| of.plans.values());
    let times = plans.flat_map(|plan| {
        let steps = plan.steps.iter().flat_map(Step::attempts);
        let steps = steps.filter(|step| step.lookup == lookup);
        steps.map(|step| {
            step.timeout
                .map_or(plan.deadline, |own| own.min(plan.deadline))
        })
    });
    times.min()
}
