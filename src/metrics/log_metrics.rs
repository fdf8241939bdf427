//! Shows what became of the lines of the program's log and of its access log.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::recorder::{Dropped, Tally};

/// A name and a meaning. The text form adds `_total` to the names of counters.
type Counter = (&'static str, &'static str);

const LINES: Counter = ("tributary_log_lines", "Lines written to the log");
const DROPPED: Counter = (
    "tributary_log_dropped",
    "Lines that the log lacks, because its reader is too slow",
);
const ACCESS_LINES: Counter = (
    "tributary_access_log_lines",
    "Lines written to the access log",
);
const ACCESS_DROPPED: Counter = (
    "tributary_access_log_dropped",
    "Lines that the access log lacks, because too many waited or they could not be written",
);

/// Writes the series of the log.
pub(super) fn encode(tally: &Tally, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    encode_both((LINES, DROPPED), tally, encoder)
}

/// Writes the series of the access log.
pub(super) fn encode_access(tally: &Tally, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    encode_both((ACCESS_LINES, ACCESS_DROPPED), tally, encoder)
}

fn encode_both(
    (lines, dropped): (Counter, Counter),
    tally: &Tally,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let reasons = Dropped::ALL.into_iter();
    let lacking: u64 = reasons.map(|why| tally.dropped(why)).sum();
    for ((name, help), count) in [(lines, tally.sent()), (dropped, lacking)] {
        encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
    }
    Ok(())
}
