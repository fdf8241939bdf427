//! Says what the outcome of a question tells about its store: that it works, that it fails, or nothing.
//!
//! Breakers count by this. The code alone does not say it: a store that answers "too many connections" works as far as the
//! network can tell, and a lookup that fails because the connection is known to be down has not tried anything.

use crate::error::Code;

/// What an error tells about its store beyond its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Nothing: the code decides.
    #[default]
    Code,
    /// The store itself said so, in a proper answer.
    Answered,
    /// The same, and the store does not want to be asked again soon.
    PushedBack,
    /// The connection broke after the answer had begun.
    BrokenOff,
    /// Nothing was tried, because it was known that it would fail.
    NotTried,
    /// There was no connection, so nothing was sent.
    NotSent,
    /// What came was no answer, and its connection was closed.
    Garbage,
}

/// What an outcome tells about a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answers.
    Works,
    /// It can't be reached, or what it sends is no answer.
    Fails,
    /// It has not answered in time. If the time was short, this tells nothing.
    Late,
    /// Nothing.
    Nothing,
}

impl Evidence {
    /// What an error with this code tells about the store.
    pub(super) fn verdict(self, code: Code) -> Verdict {
        match (self, code) {
            (Evidence::Answered | Evidence::PushedBack, _) => Verdict::Works,
            (Evidence::NotTried, _) => Verdict::Nothing,
            // To a breaker, an injected fault looks like the store's.
            (Evidence::Garbage | Evidence::BrokenOff, _)
            | (_, Code::LookupUnavailable | Code::LookupInjected) => Verdict::Fails,
            (_, Code::LookupTimeout | Code::CallDeadline) => Verdict::Late,
            (
                _,
                Code::LookupRefused
                | Code::LookupThrew
                | Code::LookupTooMany
                | Code::LookupBadAnswer
                | Code::LookupFailed,
            ) => Verdict::Works,
            _ => Verdict::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::LookupError;

    #[test]
    fn a_store_that_says_no_works_and_a_lookup_that_was_not_asked_tells_nothing() {
        let of = |code| LookupError::new(code, "for a test");
        for (err, verdict) in [
            (of(Code::LookupUnavailable), Verdict::Fails),
            (of(Code::LookupUnavailable).answered(), Verdict::Works),
            (of(Code::LookupUnavailable).not_tried(), Verdict::Nothing),
            (of(Code::LookupUnavailable).not_sent(), Verdict::Fails),
            (of(Code::LookupTimeout), Verdict::Late),
            (of(Code::LookupTimeout).answered(), Verdict::Works),
            (of(Code::CallDeadline), Verdict::Late),
            (of(Code::LookupBadAnswer), Verdict::Works),
            (of(Code::LookupBadAnswer).garbage(), Verdict::Fails),
            (of(Code::LookupInjected), Verdict::Fails),
            (of(Code::LookupRefused), Verdict::Works),
            (of(Code::LookupBadParam), Verdict::Nothing),
            (of(Code::LookupTimeoutPool), Verdict::Nothing),
            (of(Code::LookupWaited), Verdict::Nothing),
            (of(Code::LookupShed), Verdict::Nothing),
            (of(Code::LookupBreakerOpen), Verdict::Nothing),
            (of(Code::LookupCancelled), Verdict::Nothing),
        ] {
            assert_eq!(err.verdict(), verdict, "{err} {:?}", err.evidence);
        }
    }
}
