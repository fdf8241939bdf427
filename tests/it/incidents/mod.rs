//! The incidents of the manual, played through: what the page quotes is what the product says, and the alerts that the page
//! names fire in a real Prometheus, and end.

mod stores; // down, hung, slow
mod callers;
mod files; // a bad configuration, a certificate that expires

use std::cell::RefCell;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::Value as Json;

use crate::admin::{get, in_time, patiently};
use crate::support::message::message;
use crate::support::{Prometheus, Tributary, Wire};

const PAGE: &str = include_str!("../../../src/manual/incidents.md");
const IDL: &str = "struct Page { 1: string text } service Pages { Page page(1: string id) }";

/// A server, its admin port, a Prometheus that scrapes it, and what the page says of this incident.
struct Incident {
    server: Tributary,
    admin: String,
    prometheus: Prometheus,
    section: &'static str,
}

impl Incident {
    /// A server whose only store is behind a default. `store` has the keys of the backend and of the lookup, `more` further
    /// tables.
    fn start(title: &str, [store, lookup]: [&str; 2], more: &str) -> Self {
        let config = format!(
            r#"
admin = {{ listen = "127.0.0.1:0" }}
[server]
idl = "pages.thrift"
[backends.pages]
{store}
[lookups.page]
backend = "pages"
{lookup}
[views.page.lookups]
text = {{ use = "page", default = "none" }}
{more}
"#
        );
        let server = Tributary::start(&config, &[("pages.thrift", IDL)]);
        Incident::of(title, server)
    }

    fn of(title: &str, mut server: Tributary) -> Self {
        let admin = server.admin().to_string();
        let (_, section) = PAGE
            .split_once(&format!("\n## {title}\n"))
            .expect("a section");
        let prometheus = Prometheus::start(&admin);
        // What counts must have been seen before it grows.
        patiently(|| !prometheus.query("tributary_ready == 1").is_empty());
        Incident {
            prometheus,
            section: section.split("\n## ").next().expect("it has text"),
            server,
            admin,
        }
    }

    /// What the call of the only method gets.
    fn text(&self) -> String {
        text(&mut self.server.connect())
    }

    fn of_port(&self, path: &str) -> String {
        get(self.admin.parse().expect("an address"), path).1
    }

    fn now(&self) -> Json {
        serde_json::from_str(&self.of_port("/now")).expect("JSON")
    }

    /// What the program prints with these words, about this server.
    fn prints(&self, words: &[&str]) -> String {
        prints(&[words, &["--admin", &self.admin]].concat())
    }

    /// Waits until `look` sees `part`, which the page quotes.
    #[track_caller]
    fn assert_quotes(&self, part: &str, look: impl Fn() -> String) {
        self.assert_says(part);
        patiently(|| look().contains(part));
    }

    #[track_caller]
    fn assert_says(&self, part: &str) {
        assert!(
            self.section.contains(part),
            "the page does not say: {part}\n{}",
            self.section
        );
    }

    /// Waits until an alert fires that the page names, with a summary that the page quotes.
    #[track_caller]
    fn assert_alert(&self, name: &str, summary: &str, meanwhile: impl Fn()) {
        self.assert_says(name);
        self.assert_says(summary);
        let seen = RefCell::new(Vec::new());
        let fires = || {
            meanwhile();
            seen.replace(self.prometheus.firing());
            let seen = seen.borrow();
            let mut alike = seen.iter().filter(|(alert, _)| alert == name);
            alike.any(|(_, said)| said.contains(summary))
        };
        assert!(
            in_time(fires),
            "no {name}: {summary}, but {:?}",
            seen.borrow()
        );
    }

    /// Waits until the alert has ended.
    #[track_caller]
    fn assert_no_alert(&self, name: &str, meanwhile: impl Fn()) {
        patiently(|| {
            meanwhile();
            !self.prometheus.alerts().iter().any(|alert| alert == name)
        });
    }

    /// The row of the store in `top`: its state, then lookups and failures per second, lookups in flight and waiting.
    fn row_of_store(&self) -> Vec<String> {
        let top = self.prints(&["top", "--once"]);
        let mut lines = top.lines();
        let line = lines.find(|line| line.starts_with("pages "));
        let line = line.unwrap_or_else(|| panic!("no row of the store:\n{top}"));
        let words = line.split_whitespace().skip(1);
        words.map(str::to_owned).collect()
    }
}

/// What the program prints with these words.
fn prints(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .args(words)
        .output();
    let output = output.expect("the program runs");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).expect("text")
}

/// What a call gets: the field of the reply, or the exception.
fn text(wire: &mut Wire) -> String {
    wire.send_frame(&message(1, "page", 1, "1"));
    let reply = String::from_utf8_lossy(&wire.read_frame()).into_owned();
    let words = ["text", "none"].into_iter();
    let mut words = words.filter(|word| reply.contains(word));
    words.next().map_or(reply.clone(), str::to_owned)
}

/// Calls all the time, until it is dropped.
struct Calls {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Calls {
    fn start(incident: &Incident) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut wire = incident.server.connect();
        let stops = Arc::clone(&stop);
        let calling = move || {
            while !stops.load(Ordering::Relaxed) {
                text(&mut wire);
            }
        };
        Calls {
            thread: Some(std::thread::spawn(calling)),
            stop,
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
