//! How old a connection may become: a name that leads elsewhere by now is looked up again when its connection is made anew.

use std::time::Duration;

use crate::config::Section;

/// Rare enough to cost nothing, and soon enough for a server that is to be switched off.
pub(in crate::backend) const AGE_MAX: Duration = Duration::from_mins(10);

/// The key `connection_age_max`.
pub(in crate::backend) fn age_max(section: &mut Section<'_>) -> Duration {
    let age_max = section.timeout("connection_age_max");
    // The clock does not reach as far as a number can.
    age_max
        .unwrap_or(AGE_MAX)
        .min(Duration::from_hours(24 * 365))
}
