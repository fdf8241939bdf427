//! Every store is killed, hung and restarted while clients call: only its own lookups fail, each with the right code.
//!
//! At first all stores are down, because a server must start without them. Then one after another goes down and comes
//! back. The history of all calls is checked at the end.

mod history;
mod load;
mod stores;

use std::time::Duration;

use tokio::time::Instant;

use self::history::{Call, Outage};
use self::load::Load;
use self::stores::{Store, all};
use crate::support::{PATIENCE, Tributary};

/// A store must be used again within two seconds of answering: the longest pause between two attempts to connect (one
/// second), and one attempt. The rest allows for a machine of two cores that runs all other tests at the same time.
const RECOVERY: Duration = Duration::from_secs(2 + 1);
/// How long a killed store stays down: by then the pauses between attempts have reached their maximum.
const AWAY: Duration = Duration::from_secs(2);
/// By then, the store's connections hold questions of several rounds of calls, whose callers have given up.
const HANGING: Duration = Duration::from_secs(1);

fn config(stores: &[Box<dyn Store>]) -> String {
    let sections = stores.iter().map(|store| {
        let name = store.name();
        let (backend, lookup) = store.config();
        format!(
            "[backends.{name}]\n{backend}\n[lookups.{name}]\nbackend = \"{name}\"\n{lookup}\ntimeout = \"2s\"\n"
        )
    });
    let lines = stores
        .iter()
        .map(|store| format!("{0} = \"{0}\"\n", store.name()));
    format!(
        "[server]\nidl = \"s.thrift\"\n{}[views.get]\ndeadline = \"10s\"\nreport = true\n[views.get.lookups]\n{}",
        sections.collect::<String>(),
        lines.collect::<String>()
    )
}

fn idl(stores: &[Box<dyn Store>]) -> String {
    let fields = stores.iter().zip(1..);
    let fields =
        fields.map(|(store, id)| format!("{id}: optional {} {}\n", store.field(), store.name()));
    let fields: String = fields.collect();
    format!(
        "include \"tributary.thrift\"
struct Row {{ 1: required string k, 2: required string v }}
struct Reply {{ {fields} 100: optional tributary.Report report }}
service S {{ Reply get(1: string key) }}"
    )
}

/// Watches one store from `from` on, until it is back.
struct Episode<'a> {
    load: &'a mut Load,
    store: &'a mut dyn Store,
    from: Instant,
}

impl<'a> Episode<'a> {
    fn of(load: &'a mut Load, store: &'a mut dyn Store) -> Self {
        Episode {
            load,
            store,
            from: Instant::now(),
        }
    }

    /// Waits until a lookup fails whose call was sent after the store had been down for this long.
    #[track_caller]
    fn fails_after(&mut self, away: Duration) {
        let name = self.store.name();
        let since = Instant::now() + away;
        let fails = |call: &Call| call.sent >= since && !call.is_ok(name);
        assert!(
            self.load.wait_for(away + PATIENCE, fails),
            "no caller notices that {name} is away"
        );
    }

    /// Waits until a lookup succeeds, now that the store is back.
    #[track_caller]
    fn comes_back(self, renewed: bool) -> Outage {
        let name = self.store.name();
        let answers = Instant::now();
        let ok = |call: &Call| call.sent >= answers && call.is_ok(name);
        assert!(
            self.load.wait_for(RECOVERY, ok),
            "{name} answers and is not asked"
        );
        Outage {
            store: name,
            from: self.from,
            until: answers + RECOVERY,
            renewed,
            forgets: self.store.forgets(),
        }
    }
}

fn killed(load: &mut Load, store: &mut dyn Store, generation: usize) -> Outage {
    let mut episode = Episode::of(load, store);
    episode.store.kill();
    episode.fails_after(AWAY);
    episode.store.start(generation);
    episode.comes_back(true)
}

fn hung(load: &mut Load, store: &mut dyn Store) -> Outage {
    let mut episode = Episode::of(load, store);
    episode.store.hang();
    episode.fails_after(HANGING);
    episode.store.resume();
    episode.comes_back(false)
}

#[test]
fn stores_go_down_and_come_back_under_load_and_no_answer_is_ever_wrong() {
    let mut stores = all();
    let names: Vec<&'static str> = stores.iter().map(|store| store.name()).collect();
    let server = Tributary::start(&config(&stores), &[("s.thrift", &idl(&stores))]);
    let begin = Instant::now();
    let mut load = Load::start(&server, &names);
    let mut outages = Vec::new();
    for store in &mut stores {
        let mut episode = Episode::of(&mut load, &mut **store);
        episode.fails_after(Duration::ZERO);
        episode.store.start(0);
        outages.push(episode.comes_back(false));
    }
    // Each was down until it was started.
    for outage in &mut outages {
        outage.from = begin;
    }
    for store in &mut stores {
        outages.push(killed(&mut load, &mut **store, 1));
        outages.push(hung(&mut load, &mut **store));
    }
    let history = load.end();
    assert!(history.len() > 1000, "{} calls are few", history.len());
    let when = |at: Instant| at.saturating_duration_since(begin);
    let wrong = history.iter().filter_map(|call| {
        let wrong = call.wrong(&names, &outages)?;
        Some(format!(
            "{:?} to {:?}: {wrong}",
            when(call.sent),
            when(call.done)
        ))
    });
    let wrong: Vec<String> = wrong.collect();
    let away = outages.iter().map(|outage| {
        let (from, until) = (when(outage.from), when(outage.until));
        format!("{from:?} to {until:?}: {}", outage.store)
    });
    assert!(
        wrong.is_empty(),
        "{} of {} calls are wrong, first of all\n{}\nwhile these might be away\n{}",
        wrong.len(),
        history.len(),
        wrong[..wrong.len().min(10)].join("\n"),
        away.collect::<Vec<String>>().join("\n")
    );
}
