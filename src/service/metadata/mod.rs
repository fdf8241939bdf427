//! What the reply to a call says beside its message, where frames can: for clients whose IDL has no field for it.
//!
//! In: what the call's frame said, later its context and how its view ran. Out: the pairs of the reply's frame, which
//! are few, short, and hold nothing but a client's own words that were looked at, codes, fates and names of lookups
//! ([`summary`]). A call that came in no such frame has none of this.

pub(super) mod request;
mod summary;
pub(super) mod text;

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use super::exception::Failed;
use crate::context::Context;
use crate::random::Random;
use crate::thrift::Header;
use crate::timeline::Timeline;
use request::RequestMetadata;
use text::{is_plain, is_traceparent};

/// What goes beside the messages of one call, which came in a THeader frame.
pub(super) struct CallMetadata {
    /// The sequence id of the call's frame, which its reply's repeats.
    pub(super) sequence: i32,
    /// What the call's frame said; its request id is there, whoever made it.
    pub(super) given: RequestMetadata,
    /// The names that the call goes by, once its parameters are read.
    names: OnceCell<Names>,
    /// How its view ran, once it did.
    ran: OnceCell<Ran>,
}

/// What a call is called in logs and traces.
struct Names {
    request_id: Option<Arc<str>>,
    traceparent: Option<Arc<str>>,
}

struct Ran {
    /// The lookups that make the reply incomplete, if any do.
    incomplete: Option<String>,
    /// The report, if it was asked for, has no place in the reply, and is not too long.
    report: Option<String>,
}

impl CallMetadata {
    /// What `header` says. A call without a request id gets one from `random`.
    pub(super) fn of(header: &Header, random: &RefCell<Random>) -> Box<Self> {
        let mut given = RequestMetadata::read(header);
        given
            .request_id
            .get_or_insert_with(|| format!("{:016x}", random.borrow_mut().draw()).into());
        Box::new(CallMetadata {
            sequence: header.sequence(),
            given,
            names: OnceCell::new(),
            ran: OnceCell::new(),
        })
    }

    /// The call goes by the names of `context`: its own parameter may say others than its frame.
    pub(super) fn goes_by(&self, context: &Context) {
        self.names.get_or_init(|| Names::of(context));
    }

    /// Its view ran. `report`: tell all of it, since the reply has no place for it.
    pub(super) fn ran(&self, timeline: &Timeline, report: bool) {
        self.ran.get_or_init(|| Ran {
            incomplete: summary::incomplete(timeline),
            report: report.then(|| summary::report(timeline)).flatten(),
        });
    }

    /// The name of the call in logs.
    pub(super) fn request_id(&self) -> Option<&str> {
        match self.names.get() {
            Some(names) => names.request_id.as_deref(),
            None => self.given.request_id.as_deref(),
        }
    }

    fn traceparent(&self) -> Option<&str> {
        match self.names.get() {
            Some(names) => names.traceparent.as_deref(),
            None => self.given.traceparent.as_deref(),
        }
    }

    /// What the reply's frame says: of a call that failed the codes, of one that did not how its view ran.
    pub(super) fn pairs(&self, failed: Option<Failed>) -> Vec<(&str, &[u8])> {
        let ran = self.ran.get();
        let served = ran.filter(|_| failed.is_none());
        let complete = served.map(|ran| if ran.incomplete.is_none() { "1" } else { "0" });
        let pairs = [
            ("request-id", self.request_id()),
            ("traceparent", self.traceparent()),
            ("tributary-code", failed.map(|failed| failed.code.as_str())),
            (
                "tributary-cause",
                failed.and_then(|failed| Some(failed.cause?.as_str())),
            ),
            ("tributary-complete", complete),
            (
                "tributary-incomplete",
                served.and_then(|ran| ran.incomplete.as_deref()),
            ),
            (
                "tributary-report",
                ran.and_then(|ran| ran.report.as_deref()),
            ),
        ];
        let said = pairs.into_iter();
        said.filter_map(|(name, value)| Some((name, value?.as_bytes())))
            .collect()
    }
}

impl Names {
    /// A client's own words are said again only where they are fit for a header.
    fn of(context: &Context) -> Self {
        let id = Some(&context.request_id).filter(|id| is_plain(id));
        let parent = context.traceparent.as_ref();
        Names {
            request_id: id.cloned(),
            traceparent: parent.filter(|parent| is_traceparent(parent)).cloned(),
        }
    }
}
