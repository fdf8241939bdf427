//! Shows what became of the lines of the access log.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::recorder::{Dropped, Tally};

/// The text form adds `_total` to the names of counters.
const LINES: &str = "tributary_access_log_lines";
const DROPPED: &str = "tributary_access_log_dropped";

/// Writes every series.
pub(super) fn encode(tally: &Tally, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let dropped = Dropped::ALL.into_iter().map(|why| tally.dropped(why)).sum();
    let counters: [(_, _, u64); 2] = [
        (LINES, "Lines written to the access log", tally.sent()),
        (
            DROPPED,
            "Lines that the access log lacks, because too many waited or they could not be written",
            dropped,
        ),
    ];
    for (name, help, count) in counters {
        encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
    }
    Ok(())
}
