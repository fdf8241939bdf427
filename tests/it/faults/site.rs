//! The server with all its stores, each behind a proxy.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tributary::idl::{self, Schema};

use super::history::Counts;
use super::stores::{KINDS, Kind, Scripted, THRIFT_IDL};
use crate::admin::scrape;
use crate::support::faults::Proxy;
use crate::support::{Mysql, Postgres, Tributary};

/// How long a lookup and a call may take.
pub(super) const LOOKUP: Duration = Duration::from_millis(400);
pub(super) const DEADLINE: Duration = Duration::from_secs(1);

/// A store and the way to it.
pub(super) struct Place {
    pub(super) kind: &'static Kind,
    pub(super) proxy: Proxy,
    pub(super) scripted: Option<Scripted>,
}

/// Everything that runs.
pub(super) struct Site {
    pub(super) server: Tributary,
    pub(super) places: Vec<Place>,
    admin: SocketAddr,
    _postgres: Arc<Postgres>,
    _mysql: Mysql,
}

impl Site {
    pub(super) async fn start(seed: u64) -> Self {
        let postgres = Postgres::shared();
        let (mysql, port) = Mysql::start();
        let mut places = Vec::new();
        for (kind, at) in KINDS.iter().zip(1..) {
            let scripted = match kind.speaks {
                Some(_) => Some(Scripted::start(kind).await),
                None => None,
            };
            let store = match (&scripted, kind.name) {
                (Some(scripted), _) => scripted.addr,
                (None, "mysql") => local(port),
                (None, _) => local(postgres.port),
            };
            places.push(Place {
                kind,
                proxy: Proxy::start(store, seed.wrapping_add(at)).await,
                scripted,
            });
        }
        let files = [("s.thrift", &*idl()), ("store.thrift", THRIFT_IDL)];
        let mut server = Tributary::start(&config(&places), &files);
        Site {
            admin: server.admin(),
            server,
            places,
            _postgres: postgres,
            _mysql: mysql,
        }
    }

    pub(super) fn schema(&self) -> Schema {
        let path = self.server.folder().join("s.thrift");
        idl::load(&path, &[]).expect("the server took it")
    }

    /// What the server has counted, by the names of [`super::history::count`].
    pub(super) fn counts(&self) -> Counts {
        let scrape = scrape(self.admin);
        let all = ("method", "all");
        let mut counts = Counts::new();
        for (labels, count) in scrape.samples("tributary_calls_total", &[all]) {
            counts.insert(format!("call {}", labels["outcome"]), count);
        }
        for (labels, count) in scrape.samples("tributary_lookups_total", &[all]) {
            counts.insert(format!("{} {}", labels["lookup"], labels["fate"]), count);
        }
        let planned = scrape.sum("tributary_lookups_planned_total", &[all]);
        counts.insert("planned".into(), planned);
        let in_flight = scrape.sum("tributary_calls_in_flight", &[]);
        counts.insert("in flight".into(), in_flight);
        counts.retain(|_, count| *count > 0);
        counts
    }

    /// Stops the server, which must end in order; returns its log.
    pub(super) fn stop(self) -> String {
        let (status, log) = self.server.stop("TERM");
        assert!(status.success(), "{status}: {log}");
        log
    }

    /// How many files and sockets the server has open.
    pub(super) fn descriptors(&self) -> usize {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", self.server.id()));
        folder.expect("it runs").count()
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn idl() -> String {
    let fields = KINDS.iter().zip(1..).map(|(kind, id)| {
        let ty = if kind.name == "postgres" {
            "Row"
        } else {
            "string"
        };
        format!("{id}: optional {ty} {}\n", kind.name)
    });
    let fields: String = fields.collect();
    format!(
        "include \"tributary.thrift\"
struct Row {{ 1: required string token, 2: required string answer }}
struct Reply {{ {fields} 100: optional tributary.Report report }}
service S {{ Reply all(1: string token) }}"
    )
}

fn config(places: &[Place]) -> String {
    let sections = places.iter().map(|place| {
        let Kind { name, backend, lookup, .. } = place.kind;
        let backend = backend.replace("ADDR", &place.proxy.addr.to_string());
        let timeout = humantime::format_duration(LOOKUP);
        format!(
            "[backends.{name}]\n{backend}\nbreaker = {{}}\n[lookups.{name}]\nbackend = \"{name}\"\n{lookup}\ntimeout = \"{timeout}\"\n"
        )
    });
    let lines = places
        .iter()
        .map(|place| format!("{0} = \"{0}\"\n", place.kind.name));
    format!(
        "admin = {{ listen = \"127.0.0.1:0\" }}\n[server]\nidl = \"s.thrift\"\nworkers = 1\n{}[views.all]\ndeadline = \"{}\"\nreport = true\n[views.all.lookups]\n{}",
        sections.collect::<String>(),
        humantime::format_duration(DEADLINE),
        lines.collect::<String>()
    )
}
