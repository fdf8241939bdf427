//! Warns of caches that can't find anything again, because a view binds a parameter to what each call has for itself.

use super::file::LookupEntry;
use super::served::ServedService;
use crate::config::Document;
use crate::error::Code;
use crate::plan::{ContextField, Root, Step};

/// Warns of caches whose keys are different for each call.
pub(super) fn warn_of_lonely_keys(
    document: &Document,
    lookups: &[LookupEntry],
    services: &[ServedService],
) {
    let plans = services.iter().flat_map(|of| of.plans.values());
    for step in plans.flat_map(|plan| plan.steps.iter().flat_map(Step::attempts)) {
        let Some(entry) = lookups.get(step.lookup.0) else {
            continue;
        };
        let of_call = step.bindings.iter().filter_map(|binding| {
            match binding.reference().map(|reference| reference.root)? {
                Root::Context(ContextField::RequestId) => Some("context.request_id"),
                Root::Context(ContextField::Traceparent) => Some("context.traceparent"),
                _ => None,
            }
        });
        if let (Some(_), Some(field)) = (&entry.sharing.cache, of_call.last()) {
            let message = format!(
                "`{}` binds a parameter to `{field}`, which each call has for itself: no answer is ever found again",
                step.name
            );
            let help = "leave `cache` out, or the parameter".to_owned();
            document.warning(&entry.place, Code::ConfigClash, message, Some(help));
        }
    }
}
