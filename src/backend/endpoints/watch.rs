//! Asks the sources again and again, each when its answer is no longer valid, and tells the set of endpoints.
//!
//! An answer of a name server is valid for its time to live, and for `refresh` at most. A file is looked at every second.
//! A source that fails or names no endpoint keeps the servers that it named last.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::board::Discovery;
use super::config::{Config, REFRESH_MIN};
use super::endpoint::Client;
use super::resolve::{Resolved, Resolver};
use super::set::Set;
use super::source::Source;
use super::target::Target;
use crate::backoff::Backoff;
use crate::supervise::supervise;

/// How long a start waits for the first answers of sources; without them, lookups fail until they are there.
const FIRST_MAX: Duration = Duration::from_secs(1);
/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often scrapes learn which endpoints can be reached.
const REACH_EVERY: Duration = Duration::from_secs(1);
/// When a source that gave no answer is asked again, at the latest.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A source, and what it said last.
struct Watched {
    source: Source,
    resolver: Resolver,
    named: Vec<Target>,
    due: Instant,
    /// What the log's last line says is wrong.
    trouble: Option<String>,
}

/// Asks the sources of `config` for the first time, and starts the task that does so again.
pub(super) async fn start<C: Client + 'static>(
    config: &Config,
    set: &Rc<Set<C>>,
) -> AbortOnDropHandle<()> {
    let watched = config.sources.iter().map(|source| Watched {
        source: source.clone(),
        resolver: Resolver::new(config.nameserver, set.seed()),
        named: Vec::new(),
        due: Instant::now(),
        trouble: None,
    });
    let mut watched: Vec<Watched> = watched.collect();
    let mut backoff = Backoff::seeded(set.seed());
    let first = look(&mut watched, set, (config.refresh, &mut backoff));
    // What is not known by then, the task finds out.
    let _known = timeout(FIRST_MAX, first).await;
    // After a panic it starts over, with what it knew.
    let kept = Rc::new(tokio::sync::Mutex::new((watched, backoff)));
    let (set, refresh) = (Rc::clone(set), config.refresh);
    supervise("endpoints", move || {
        let (kept, set) = (Rc::clone(&kept), Rc::clone(&set));
        async move {
            let (watched, backoff) = &mut *kept.lock().await;
            watch(watched, &set, (refresh, backoff)).await;
        }
    })
}

/// Never ends.
async fn watch<C: Client>(
    watched: &mut [Watched],
    set: &Set<C>,
    (refresh, backoff): (Duration, &mut Backoff),
) {
    loop {
        let looked = Instant::now();
        look(watched, set, (refresh, backoff)).await;
        let due = watched.iter().map(|of| of.due).min();
        let due = due.unwrap_or(looked + refresh);
        tokio::select! {
            () = until(due, set) => {}
            () = set.wanted.notified() => {
                // No endpoint works: others may have taken their places.
                sleep_until((looked + REFRESH_MIN).min(due)).await;
                for of in watched.iter_mut() {
                    of.due = Instant::now();
                }
            }
        }
    }
}

/// Waits, and shows meanwhile which endpoints can be reached.
async fn until<C: Client>(due: Instant, set: &Set<C>) {
    loop {
        set.show_reach();
        let now = Instant::now();
        if now >= due {
            return;
        }
        sleep_until(due.min(now + REACH_EVERY)).await;
    }
}

/// Asks the sources that are due.
async fn look<C: Client>(
    watched: &mut [Watched],
    set: &Set<C>,
    (refresh, backoff): (Duration, &mut Backoff),
) {
    let now = Instant::now();
    let due = watched.iter_mut().filter(|of| of.due <= now);
    let asking = due.map(|of| async { (of.resolver.resolve(&of.source).await, of) });
    let mut changed = false;
    for (resolved, of) in join_all(asking).await {
        let valid = of.learn(resolved, refresh, set);
        // What began together does not go on together.
        of.due = Instant::now() + backoff.jittered(valid.max(REFRESH_MIN));
        changed = true;
    }
    if !changed {
        return;
    }
    let mut all: Vec<Target> = Vec::new();
    for target in watched.iter().flat_map(|of| &of.named) {
        if !all.iter().any(|known| known.is_same(target)) {
            all.push(target.clone());
        }
    }
    if all.is_empty() {
        let troubles = watched.iter().filter_map(|of| {
            let trouble = of.trouble.as_ref()?;
            Some(format!("{}: {trouble}", of.source))
        });
        let troubles: Vec<String> = troubles.collect();
        set.set_why_empty(format!("no endpoint is known: {}", troubles.join("; ")));
    } else {
        set.replace(&all);
    }
}

impl Watched {
    /// Keeps an answer, and returns for how long.
    fn learn<C: Client>(
        &mut self,
        resolved: Result<Resolved, String>,
        refresh: Duration,
        set: &Set<C>,
    ) -> Duration {
        let resolved = match resolved {
            Ok(of) if set.config.is_guarded => of.guarded(),
            other => other,
        };
        let (what, trouble) = match resolved {
            Ok(Resolved { targets, ttl }) if !targets.is_empty() => {
                self.named = targets;
                set.board.discovered(Discovery::Ok);
                self.has_trouble(None, set.backend());
                return match self.source {
                    Source::File { .. } => LOOK_EVERY,
                    _ => ttl.unwrap_or(refresh).min(refresh),
                };
            }
            Ok(_) => (Discovery::Empty, "it names no endpoint".to_owned()),
            Err(why) => (Discovery::Failed, why),
        };
        set.board.discovered(what);
        self.has_trouble(Some(trouble), set.backend());
        match self.source {
            Source::File { .. } => LOOK_EVERY,
            _ => refresh.min(AGAIN_AFTER),
        }
    }

    /// Logs a change.
    fn has_trouble(&mut self, trouble: Option<String>, backend: &str) {
        if self.trouble == trouble {
            return;
        }
        let (source, kept) = (&self.source, self.named.len());
        if let Some(why) = &trouble {
            warn!(backend, %source, why, kept, "endpoints can't be found out: those known stay");
        } else {
            info!(backend, %source, kept, "endpoints are found out again");
        }
        self.trouble = trouble;
    }
}
