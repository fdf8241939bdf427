//! The kept answers of one lookup, and its questions under way.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::time::Instant;

use super::answer::{Handed, Provenance, SharedAnswer};
use super::entries::{Entries, Entry, Kept, Phase};
use super::flight::Flight;
use super::key::{Key, KeyRef};
use crate::backend::{Answer, AnyLookup, Changes, Keys, Stamp, StoreMemory};
use crate::config::GuardMode;
use crate::guard::question::Question;
use crate::metrics::{CacheLookup, CacheMetrics, Refreshed};
use crate::program::{CachePolicy, Coalesce, Sharing};
use crate::random::Random;
use crate::timeline::Source;
use crate::value::Value;

/// How many values of a long list tell its size.
const SAMPLE: usize = 256;

/// How a lookup is shared on one loop. It outlives a reload that does not change the lookup.
pub(super) struct OfLookup {
    sharing: Sharing,
    entries: Option<RefCell<Entries>>,
    flights: RefCell<HashMap<Key, Rc<Flight>, FixedState>>,
    refreshes: Rc<Quota>,
    /// Answers to what was asked before the last purge are not kept.
    purges: Cell<u64>,
    /// What the store says about answers that are no longer right, if it is asked to.
    changes: RefCell<Option<Rc<Changes>>>,
    pub(super) metrics: CacheMetrics,
}

/// What has to be known of an answer in order to keep it.
#[derive(Clone, Debug)]
pub(super) struct AskedFor {
    /// When its question was asked.
    pub(super) at: Instant,
    /// How many purges there had been.
    purges: u64,
    /// If the store says when the answer is no longer right.
    pub(super) stamp: Option<Stamp>,
}

/// How many questions may be asked in the background at a time.
pub(super) struct Quota {
    most: usize,
    taken: Cell<usize>,
}

/// One question in the background.
pub(super) struct Refresh(Rc<Quota>);

/// What is known of a question's answer.
pub(super) enum Found {
    /// This answer.
    Answer(Handed),
    /// This answer, for which the store is asked again.
    Stale(Handed),
    /// Nothing of use.
    Nothing,
}

impl Quota {
    pub(super) fn new(most: usize) -> Rc<Self> {
        Rc::new(Quota {
            most,
            taken: Cell::new(0),
        })
    }

    pub(super) fn take(self: &Rc<Self>) -> Option<Refresh> {
        let taken = self.taken.get();
        (taken < self.most).then(|| {
            self.taken.set(taken + 1);
            Refresh(Rc::clone(self))
        })
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
    }
}

impl OfLookup {
    pub(super) fn new(
        sharing: &Sharing,
        refreshes: Rc<Quota>,
        metrics: CacheMetrics,
        random: &mut Random,
    ) -> Self {
        let cache = sharing.cache.as_ref();
        OfLookup {
            entries: cache.map(|policy| RefCell::new(Entries::new(policy, random))),
            flights: RefCell::new(HashMap::with_hasher(FixedState::with_seed(random.draw()))),
            sharing: sharing.clone(),
            refreshes,
            purges: Cell::new(0),
            changes: RefCell::default(),
            metrics,
        }
    }

    /// Learns from then on what the store says about kept answers.
    pub(super) fn hears(&self, changes: &Rc<Changes>) {
        if self.sharing.invalidate().is_some() {
            self.changes.replace(Some(Rc::clone(changes)));
        }
    }

    /// What an answer depends on, if the store says when it is no longer right.
    pub(super) fn keys(&self, lookup: &AnyLookup, params: &[Value]) -> Option<Keys> {
        lookup.keys(params, self.sharing.invalidate()?)
    }

    /// What is to be known of an answer that is asked for now.
    pub(super) fn asks(&self, keys: Option<&Keys>) -> AskedFor {
        let changes = self.changes.borrow();
        let stamp = changes.as_ref().zip(keys);
        AskedFor {
            at: Instant::now(),
            purges: self.purges(),
            stamp: stamp.and_then(|(changes, keys)| changes.stamp(keys)),
        }
    }

    /// Whether an answer with this stamp is not known to be wrong.
    fn is_current(&self, stamp: Option<&Stamp>) -> bool {
        let Some(stamp) = stamp else {
            return true;
        };
        let changes = self.changes.borrow();
        changes.as_ref().is_some_and(|of| of.is_current(stamp))
    }

    /// What an entry is good for. One that is no longer right may still answer if the store fails.
    #[inline]
    fn look_up<'e>(
        &self,
        entries: &'e Entries,
        params: &[Value],
        now: Instant,
    ) -> Option<(&'e Entry, Phase)> {
        let (entry, phase) = entries.find(params, now)?;
        if self.is_current(entry.stamp()) {
            return Some((entry, phase));
        }
        let outlives = |cache: &CachePolicy| !cache.stale_if_error.is_zero();
        let outlives = self.sharing.cache.as_ref().is_some_and(outlives);
        outlives.then_some((entry, Phase::Fallback))
    }

    /// Whether equal questions are asked once.
    pub(super) fn coalesces(&self) -> bool {
        self.sharing.coalesce != Coalesce::No
    }

    fn is_measured(&self) -> bool {
        let mode = self.sharing.cache.as_ref().map(|cache| cache.mode);
        mode == Some(GuardMode::Measure)
    }

    /// Finds the answer to a question with these parameters, which is asked now.
    #[inline]
    pub(super) fn find(&self, (params, now): (&[Value], Instant), memory: &StoreMemory) -> Found {
        let Some(entries) = &self.entries else {
            return Found::Nothing;
        };
        let entries = entries.borrow();
        let found = self.look_up(&entries, params, now);
        if self.is_measured() {
            self.measure(found.map(|(_, phase)| phase));
            return Found::Nothing;
        }
        let Some((entry, phase)) = found else {
            return Found::Nothing;
        };
        let may_ask = phase == Phase::Fresh || entry.may_ask(now);
        if phase == Phase::Fallback && may_ask {
            return Found::Nothing;
        }
        let (source, counted) = match phase {
            Phase::Fresh => (Source::Cache, CacheLookup::Hit),
            _ => (Source::Stale, CacheLookup::Stale),
        };
        let Some(handed) = hand_out(entry, Provenance::kept(source, entry.age(now)), memory) else {
            return Found::Nothing;
        };
        self.metrics.count(counted);
        if phase == Phase::Stale && may_ask {
            return Found::Stale(handed);
        }
        if phase == Phase::Fallback {
            self.metrics.stale_if_error(1);
        }
        Found::Answer(handed)
    }

    fn measure(&self, found: Option<Phase>) {
        self.metrics.count(match found {
            Some(Phase::Fresh) => CacheLookup::WouldHit,
            Some(Phase::Stale) => CacheLookup::WouldBeStale,
            _ => CacheLookup::WouldMiss,
        });
    }

    /// The store has failed: for a while it is not asked again for an answer of which there is an old one.
    pub(super) fn failed(&self, params: &[Value]) {
        let now = Instant::now();
        if let Some(entries) = &self.entries
            && let Some((entry, _)) = self.look_up(&entries.borrow(), params, now)
        {
            entry.failed(now);
        }
    }

    /// The answer that is served if the store fails, and when it was asked.
    pub(super) fn fallback(&self, params: &[Value]) -> Option<(Rc<SharedAnswer>, Instant)> {
        let entries = self.entries.as_ref()?.borrow();
        let (entry, _) = self.look_up(&entries, params, Instant::now())?;
        match &entry.kept {
            Kept::Answer(answer) => Some((Rc::clone(answer), entry.asked())),
            Kept::Nothing | Kept::Size(_) => None,
        }
    }

    /// The answer for a call whose question has run out of time, if one can be handed out at once.
    pub(super) fn late(&self, question: &Question<'_>, memory: &StoreMemory) -> Option<Answer> {
        let params = &*question.params;
        if let Some(flight) = self.flights.borrow().get(&KeyRef(params)) {
            flight.tell_sent();
        }
        let (answer, asked) = self.fallback(params)?;
        if question.is_patient() {
            // The store had its time. The next call need not wait for so long.
            self.failed(params);
        }
        let stale = Provenance::kept(Source::Stale, asked.elapsed());
        match answer.hand_out(stale, memory) {
            Handed::Now(answer) => {
                self.metrics.stale_if_error(1);
                Some(answer)
            }
            Handed::Later(_) => None,
        }
    }

    /// The question under way that one with these parameters may join.
    pub(super) fn flight(&self, params: &[Value]) -> Option<Rc<Flight>> {
        let flights = self.flights.borrow();
        let flight = flights.get(&KeyRef(params))?;
        let may_join = self.sharing.coalesce == Coalesce::UnderWay || !flight.was_sent();
        // An answer that is no longer right is one that was read before this question came.
        let may_join = may_join && self.is_current(flight.stamp().as_ref());
        may_join.then(|| Rc::clone(flight))
    }

    /// Whether one with these parameters is under way.
    pub(super) fn is_under_way(&self, params: &[Value]) -> bool {
        self.flights.borrow().contains_key(&KeyRef(params))
    }

    pub(super) fn took_off(&self, key: &Key, flight: &Rc<Flight>) {
        let mut flights = self.flights.borrow_mut();
        flights.insert(key.clone(), Rc::clone(flight));
    }

    /// No other question joins this one any more.
    pub(super) fn landed(&self, key: &Key, flight: &Rc<Flight>) {
        let mut flights = self.flights.borrow_mut();
        let is_this = |of_key: &Rc<Flight>| Rc::ptr_eq(of_key, flight);
        if flights.get(key).is_some_and(is_this) {
            flights.remove(key);
        }
    }

    /// Permission to ask in the background.
    pub(super) fn refresh(&self) -> Option<Refresh> {
        let refresh = self.refreshes.take();
        if refresh.is_none() {
            self.metrics.refreshed(Refreshed::Skipped);
        }
        refresh
    }

    /// How often it was purged.
    pub(super) fn purges(&self) -> u64 {
        self.purges.get()
    }

    /// Remembers that an answer would have been kept, if this is only measured.
    #[cold]
    pub(super) fn keep_size(&self, lookup: &AnyLookup, params: &[Value], answer: &Answer) {
        if !self.is_measured() {
            return;
        }
        let kept = size(&answer.value);
        // When it was asked is not known here. It makes no difference to a count.
        let asked = self.asks(self.keys(lookup, params).as_ref());
        self.keep(&Key::copy_of(params), kept, &asked);
    }

    /// The store has an answer that can't be kept. An older one is no longer right.
    pub(super) fn forget(&self, key: &Key) {
        if let Some(entries) = &self.entries {
            entries.borrow_mut().remove(key);
            self.show_size(0);
        }
    }

    /// Copies an answer in order to keep it. `None` if it can't be kept.
    pub(super) async fn copy(&self, answer: &mut Answer) -> Option<Kept> {
        let bytes_max = self.entries.as_ref()?.borrow().value_bytes_max();
        if self.is_measured() {
            return Some(size(&answer.value));
        }
        if answer.value.is_null() {
            return Some(Kept::Nothing);
        }
        let copy = SharedAnswer::copy_of(answer, bytes_max).await?;
        Some(Kept::Answer(Rc::new(copy)))
    }

    /// Keeps the outcome of a question, unless it may be wrong by now, or no channel would say when it is.
    pub(super) fn keep(&self, key: &Key, kept: Kept, asked: &AskedFor) {
        let is_told = self.sharing.invalidate().is_none() || asked.stamp.is_some();
        let is_right = asked.purges == self.purges() && self.is_current(asked.stamp.as_ref());
        let entries = self.entries.as_ref();
        let Some(entries) = entries.filter(|_| is_told && is_right) else {
            return;
        };
        let asked = (asked.at, asked.stamp.clone());
        let evicted = entries.borrow_mut().keep(key, kept, asked);
        self.show_size(evicted.entries);
    }

    /// Removes the entries whose parameters are as asked. Returns how many there were.
    pub(super) fn purge(&self, is_asked: impl Fn(&[Value]) -> bool) -> usize {
        self.purges.set(self.purges() + 1);
        let Some(entries) = &self.entries else {
            return 0;
        };
        let purged = entries.borrow_mut().purge(is_asked);
        self.show_size(0);
        purged
    }

    fn show_size(&self, evicted: usize) {
        if let Some(entries) = &self.entries {
            let entries = entries.borrow();
            self.metrics.size(entries.len(), entries.bytes(), evicted);
        }
    }
}

/// What is kept of a value that is only measured. The size of a long list is estimated from its beginning.
fn size(value: &Value) -> Kept {
    match value {
        Value::Null => Kept::Nothing,
        Value::List(values) if values.len() > SAMPLE => {
            let sample: usize = values[..SAMPLE].iter().map(Value::memory).sum();
            Kept::Size(sample.saturating_mul(values.len() / SAMPLE))
        }
        value => Kept::Size(value.memory()),
    }
}

/// The kept answer for one more call.
fn hand_out(entry: &Entry, provenance: Provenance, memory: &StoreMemory) -> Option<Handed> {
    match &entry.kept {
        Kept::Nothing => Some(Handed::Now(provenance.answer(Value::Null))),
        Kept::Answer(answer) => Some(answer.hand_out(provenance, memory)),
        Kept::Size(_) => None,
    }
}
