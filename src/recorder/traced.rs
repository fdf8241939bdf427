//! Decides which calls of one loop are sent to the collector of traces.
//!
//! Whether a call is recorded in any case is known when it begins, because stores are told: its caller has decided, or it
//! is in the share. Calls that fail, are partial or are slow are sent as well, which only their end shows.

use std::cell::RefCell;
use std::sync::Arc;

use super::call::{Ending, RecordedCall};
use super::outbox::{Dropped, Outbox};
use super::sampler::Sampler;
use crate::context::{Parent, Trace};
use crate::program::TracedCalls;
use crate::random::Random;
use crate::timeline::Micros;

/// The traces of one loop.
#[derive(Debug)]
pub(super) struct Traced {
    which: TracedCalls,
    slow: Micros,
    rate: Sampler,
    random: RefCell<Random>,
    outbox: Outbox<Arc<RecordedCall>>,
}

impl Traced {
    pub(super) fn new(
        which: TracedCalls,
        outbox: Outbox<Arc<RecordedCall>>,
        random: Random,
    ) -> Self {
        Traced {
            which,
            slow: which.slow.into(),
            rate: Sampler::new(which.per_second_max),
            random: random.into(),
            outbox,
        }
    }

    /// The place of a call in a trace, when it begins.
    pub(super) fn begin(&self, parent: Option<Parent>) -> Trace {
        let mut random = self.random.borrow_mut();
        let (share, propagation) = (self.which.share, self.which.propagation);
        Trace::begin(parent, share, propagation, &mut random)
    }

    /// Whether a call that ends so is sent.
    #[inline]
    pub(super) fn wants(&self, trace: &Trace, ending: Ending<'_>) -> bool {
        let wanted = trace.sampled || ending.failed || ending.took >= self.slow;
        wanted && self.takes(ending)
    }

    fn takes(&self, ending: Ending<'_>) -> bool {
        let takes = self.rate.takes(ending.at());
        if !takes {
            self.outbox.tally().count_dropped(Dropped::Rate, 1);
        }
        takes
    }

    pub(super) fn put(&self, call: Arc<RecordedCall>) {
        self.outbox.put(call);
    }
}
