//! Shows which lookups decide how long calls take, by the sample of calls that the recorder takes. Most never do.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::recorder::{Gain, Recorder};

/// The text form adds `_total` to the names of counters.
const SAMPLED: &str = "tributary_calls_sampled";
const DECIDED: &str = "tributary_lookup_decided";
const GAINED: &str = "tributary_lookup_gain_10ms_seconds";

/// Writes every series.
pub(super) fn encode(recorder: &Recorder, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let methods = recorder.gains_ever();
    let help = "Calls whose timeline was examined";
    let mut metric = encoder.encode_descriptor(SAMPLED, help, None, MetricType::Counter)?;
    for (method, gains) in &methods {
        metric
            .encode_family(&[("method", &**method)])?
            .encode_counter::<NoLabelSet, u64, u64>(&gains.calls, None)?;
    }
    let help = "Examined calls in which this lookup ended last";
    let mut metric = encoder.encode_descriptor(DECIDED, help, None, MetricType::Counter)?;
    for (method, gain) in lookups(&methods).filter(|(_, gain)| gain.decided > 0) {
        metric
            .encode_family(&[("method", method), ("lookup", &*gain.name)])?
            .encode_counter::<NoLabelSet, u64, u64>(&gain.decided, None)?;
    }
    let help = "How much sooner the examined calls would have ended, had this lookup been 10 milliseconds faster";
    let mut metric = encoder.encode_descriptor(GAINED, help, None, MetricType::Counter)?;
    for (method, gain) in lookups(&methods).filter(|(_, gain)| gain.gained > 0) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a sum that is read with few digits"
        )]
        let seconds = gain.gained as f64 / 1e6;
        metric
            .encode_family(&[("method", method), ("lookup", &*gain.name)])?
            .encode_counter::<NoLabelSet, f64, u64>(&seconds, None)?;
    }
    Ok(())
}

type OfMethod = (std::sync::Arc<str>, crate::recorder::Gains);

fn lookups(methods: &[OfMethod]) -> impl Iterator<Item = (&str, &Gain)> {
    let each = methods.iter();
    each.flat_map(|(method, gains)| gains.lookups.iter().map(move |gain| (&**method, gain)))
}
