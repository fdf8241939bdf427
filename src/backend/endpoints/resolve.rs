//! Asks one source for its servers.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::dns::{NameServers, of_system};
use super::source::Source;
use super::target::Target;
use super::targets_file::{self, TARGETS_MAX};
use crate::backend::net::is_refused;
use crate::stamp::Stamp;

/// How long the system's resolver, or a disk, may take.
const RESOLVING_MAX: Duration = Duration::from_secs(5);
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What a source says.
#[derive(Debug, Default)]
pub(in crate::backend) struct Resolved {
    pub(in crate::backend) targets: Vec<Target>,
    /// For how long that is valid, if the source says so.
    pub(super) ttl: Option<Duration>,
}

impl Resolved {
    /// Without the servers to which no source may lead. If that leaves none, the answer is none.
    pub(super) fn guarded(mut self) -> Result<Self, String> {
        let named = self.targets.len();
        self.targets.retain(|target| {
            let addr = target.host.parse::<IpAddr>();
            target.is_literal || !addr.is_ok_and(is_refused)
        });
        if self.targets.is_empty() && named > 0 {
            return Err("it names link-local addresses, which are refused".into());
        }
        Ok(self)
    }
}

/// Asks sources. The name server is that of the configuration, if it names one.
pub(in crate::backend) struct Resolver {
    nameserver: Option<SocketAddr>,
    seed: u64,
    /// What the file said, as long as it is certain that it still does.
    known: Option<(Stamp, Vec<Target>)>,
}

impl Resolver {
    pub(in crate::backend) fn new(nameserver: Option<SocketAddr>, seed: u64) -> Self {
        Resolver {
            nameserver,
            seed,
            known: None,
        }
    }

    /// The servers that a source lists now: each once.
    pub(in crate::backend) async fn resolve(
        &mut self,
        source: &Source,
    ) -> Result<Resolved, String> {
        let mut resolved = match source {
            Source::Fixed(target) => Resolved {
                targets: vec![target.clone()],
                ttl: None,
            },
            Source::File { path, .. } => Resolved {
                targets: self.of_file(path).await?,
                ttl: None,
            },
            Source::Srv { name } => {
                let records = self.name_servers().await?.service(name).await?;
                Resolved {
                    targets: records.found,
                    ttl: records.ttl,
                }
            }
            Source::Dns { host, port } => self.addresses(host, *port).await?,
        };
        let targets = &mut resolved.targets;
        targets.sort();
        targets.dedup_by(|one, other| one.is_same(other));
        if targets.len() > TARGETS_MAX {
            return Err(format!("more than {TARGETS_MAX} servers"));
        }
        Ok(resolved)
    }

    /// The servers that a file lists. It is read again only if it may have changed.
    async fn of_file(&mut self, path: &Path) -> Result<Vec<Target>, String> {
        let before = self.known.take();
        let stamp = before.as_ref().map(|(stamp, _)| stamp.clone());
        let path = path.to_owned();
        let reading = elsewhere(move || {
            let metadata = std::fs::metadata(&path).map_err(|err| err.to_string())?;
            let now = Stamp::of(&metadata);
            if stamp.as_ref() == Some(&now) {
                return Ok(None);
            }
            Ok::<_, String>(Some((now, targets_file::read(&path)?)))
        });
        let Some((stamp, text)) = reading.await? else {
            let targets = before.as_ref().map(|(_, targets)| targets.clone());
            self.known = before;
            return Ok(targets.unwrap_or_default());
        };
        let targets = targets_file::parse(&text)?;
        self.known = stamp.is_settled().then(|| (stamp, targets.clone()));
        Ok(targets)
    }

    async fn addresses(&mut self, host: &str, port: u16) -> Result<Resolved, String> {
        let (found, ttl) = if self.nameserver.is_some() {
            let records = self.name_servers().await?.addresses(host).await?;
            (records.found, records.ttl)
        } else {
            // The system's resolver also knows the file of hosts and search domains.
            let looked_up = timeout(RESOLVING_MAX, lookup_host((host, port))).await;
            let looked_up = looked_up.map_err(|_elapsed| "no answer of the system's resolver")?;
            let found = looked_up.map_err(|err| err.to_string())?;
            let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            (found, None)
        };
        let target = |address: IpAddr| Target {
            certified: Some(host.to_owned()),
            ..Target::new(address.to_string(), port)
        };
        Ok(Resolved {
            targets: found.into_iter().map(target).collect(),
            ttl,
        })
    }

    async fn name_servers(&mut self) -> Result<NameServers, String> {
        self.seed = self.seed.wrapping_add(1);
        if let Some(server) = self.nameserver {
            return Ok(NameServers::new(vec![server], self.seed));
        }
        let conf = elsewhere(|| targets_file::read(Path::new(RESOLV_CONF))).await;
        let conf = conf.unwrap_or_default();
        let servers = of_system(&String::from_utf8_lossy(&conf));
        Ok(NameServers::new(servers, self.seed))
    }
}

/// Reads something on another thread.
async fn elsewhere<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let read = timeout(RESOLVING_MAX, tokio::task::spawn_blocking(read)).await;
    let read = read.map_err(|_elapsed| "the file can't be read in time")?;
    read.map_err(|err| err.to_string())?
}
