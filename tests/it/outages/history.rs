//! Checks every call of a run against its request and the outages of the stores. Pure.
//!
//! Every value contains its store, key and generation, which changes whenever the store's data are renewed. A value of
//! a different key, a different store or an old generation is therefore detected.

use tokio::time::Instant;

/// A call and its outcome.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) key: String,
    /// The time before its first byte was sent.
    pub(super) sent: Instant,
    /// The time after the last byte of its reply was read.
    pub(super) done: Instant,
    /// The outcomes of its lookups in the report's order, or why there is no reply.
    pub(super) reply: Result<Vec<Part>, String>,
}

/// The outcome of one lookup in a reply.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The lookup's name, which is the store's.
    pub(super) store: String,
    pub(super) fate: String,
    pub(super) code: Option<String>,
    pub(super) value: Option<String>,
}

/// A period in which a store may fail.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub(super) store: &'static str,
    pub(super) from: Instant,
    pub(super) until: Instant,
    /// Whether it started again with data of the next generation.
    pub(super) renewed: bool,
    /// Whether it had no data between its start and the end of its renewal.
    pub(super) forgets: bool,
}

/// The value that a store holds for a key.
pub(super) fn value(store: &str, key: &str, generation: usize) -> String {
    format!("{store}:{key}:{generation}")
}

impl Call {
    /// The one part of a store.
    pub(super) fn part(&self, store: &str) -> Option<&Part> {
        let parts = self.reply.as_ref().ok()?;
        parts.iter().find(|part| part.store == store)
    }

    /// Whether the store's lookup was answered.
    pub(super) fn is_ok(&self, store: &str) -> bool {
        self.part(store).is_some_and(|part| part.fate == "ok")
    }

    /// The mistakes in it, given all outages of the run in order.
    pub(super) fn wrong(&self, stores: &[&'static str], outages: &[Outage]) -> Option<String> {
        let parts = match &self.reply {
            Ok(parts) => parts,
            Err(why) => return Some(format!("{}: no reply: {why}", self.key)),
        };
        if !parts
            .iter()
            .map(|part| &*part.store)
            .eq(stores.iter().copied())
        {
            return Some(format!("{}: not each lookup once: {parts:?}", self.key));
        }
        let wrong = parts.iter().find(|part| !self.fits(part, outages));
        wrong.map(|part| format!("{}: {part:?}", self.key))
    }

    fn fits(&self, part: &Part, outages: &[Outage]) -> bool {
        let of_store = || outages.iter().filter(|outage| outage.store == part.store);
        let during =
            || of_store().filter(|outage| outage.from <= self.done && self.sent <= outage.until);
        let Some(value) = &part.value else {
            return match (&*part.fate, part.code.as_deref()) {
                ("error", Some("lookup.unavailable"))
                | ("timeout", Some("lookup.timeout"))
                | ("timeout_pool", Some("lookup.timeout_pool")) => during().next().is_some(),
                ("empty", None) => during().any(|outage| outage.forgets),
                _ => false,
            };
        };
        let renewals = |began: &dyn Fn(&Outage) -> bool| {
            of_store()
                .filter(|outage| outage.renewed && began(outage))
                .count()
        };
        let oldest = renewals(&|outage| outage.until < self.sent);
        let newest = renewals(&|outage| outage.from <= self.done);
        part.fate == "ok"
            && (oldest..=newest)
                .any(|generation| *value == self::value(&part.store, &self.key, generation))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const STORES: [&str; 2] = ["a", "b"];

    /// A call from this second on, with the store `b` renewed from 10 to 20 seconds.
    fn judged(at: u64, parts: &[(&str, &str, Option<&str>, Option<&str>)]) -> bool {
        let zero = Instant::now();
        let second = |at| zero + Duration::from_secs(at);
        let outage = Outage {
            store: "b",
            from: second(10),
            until: second(20),
            renewed: true,
            forgets: false,
        };
        let part = |&(store, fate, code, value): &(&str, &str, Option<&str>, Option<&str>)| Part {
            store: store.to_owned(),
            fate: fate.to_owned(),
            code: code.map(str::to_owned),
            value: value.map(str::to_owned),
        };
        let call = Call {
            key: "k7".into(),
            sent: second(at),
            done: second(at + 1),
            reply: Ok(parts.iter().map(part).collect()),
        };
        call.wrong(&STORES, &[outage]).is_none()
    }

    #[test]
    fn values_depend_on_the_store_the_key_and_the_time() {
        let a = ("a", "ok", None, Some("a:k7:0"));
        for (at, value, right) in [
            (1, "b:k7:0", true),
            (1, "b:k7:1", false),
            (12, "b:k7:0", true),
            (12, "b:k7:1", true),
            (21, "b:k7:0", false),
            (21, "b:k7:1", true),
            (21, "b:k8:1", false),
            (21, "a:k7:1", false),
        ] {
            assert_eq!(
                judged(at, &[a, ("b", "ok", None, Some(value))]),
                right,
                "{value} at {at}"
            );
        }
        assert!(!judged(1, &[a]), "one is missing");
        assert!(!judged(1, &[a, a]), "one is doubled");
    }

    #[test]
    fn only_an_unavailable_store_may_fail_with_that_error() {
        let b = ("b", "ok", None, Some("b:k7:0"));
        let away = Some("lookup.unavailable");
        for (at, fate, code, right) in [
            (1, "error", away, false),
            (9, "error", away, true),
            (20, "timeout", Some("lookup.timeout"), true),
            (21, "error", away, false),
            (12, "error", Some("lookup.bad_answer"), false),
            (12, "empty", None, false),
            (12, "ok", None, false),
        ] {
            let a = ("a", "ok", None, Some("a:k7:0"));
            assert_eq!(
                judged(at, &[a, ("b", fate, code, None)]),
                right,
                "{fate} {code:?} at {at}"
            );
        }
        assert!(
            !judged(12, &[("a", "error", away, None), b]),
            "the other store's lookups stay ok"
        );
    }
}
