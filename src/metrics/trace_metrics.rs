//! Shows what became of the calls that were to be sent to a collector of traces.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::recorder::{Dropped, Tally};

/// The text form adds `_total` to the names of counters.
const EXPORTED: &str = "tributary_traces_exported";
const DROPPED: &str = "tributary_traces_dropped";

/// Writes every series.
pub(super) fn encode(tally: &Tally, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Calls whose spans a collector of traces has taken";
    encoder
        .encode_descriptor(EXPORTED, help, None, MetricType::Counter)?
        .encode_counter::<NoLabelSet, u64, u64>(&tally.sent(), None)?;
    let help = "Calls whose spans were to be sent and were dropped, by reason";
    let mut metric = encoder.encode_descriptor(DROPPED, help, None, MetricType::Counter)?;
    for why in Dropped::ALL {
        metric
            .encode_family(&[("reason", why.as_str())])?
            .encode_counter::<NoLabelSet, u64, u64>(&tally.dropped(why), None)?;
    }
    Ok(())
}
