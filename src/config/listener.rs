//! Reads where clients connect: `server.listen` and `[[server.listeners]]`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::limits::LimitsConfig;
use super::section::{Place, Section};
use super::tls::{ListenerTls, read_tls};
use crate::diagnostic::list;
use crate::thrift::{Protocol, Transport, WireFormats};

/// The longest path of a Unix socket that every system accepts.
const PATH_BYTES_MAX: usize = 100;
/// The most listeners of a server.
const LISTENERS_MAX: usize = 32;

/// An endpoint where clients connect, and its settings.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The address or the path.
    pub endpoint: Endpoint,
    /// The most open connections per loop; additional ones are closed immediately. The default is that of
    /// `[server.limits]`, which bounds all listeners together.
    pub connections_max: usize,
    /// How long a connection may be idle. The default is that of `[server.limits]`.
    pub idle_timeout: Duration,
    /// The wire formats that clients may use. Default: all.
    pub wire_formats: WireFormats,
    /// TLS, for a port only. Default: none.
    pub tls: Option<ListenerTls>,
    /// Tokens are accepted although the connection is not encrypted. Default false.
    pub plain_tokens: bool,
    /// The `Tributary` service is served here. The default is that of `[server]`, which is true.
    pub meta: bool,
    /// The only service that is served here. Default: all of them.
    pub service: Option<(String, Place)>,
    /// The table that it is read from: `server`, or for example `server.listeners[0]`.
    pub table: String,
    /// The keys of [`INHERITED`] that its table sets.
    sets: Vec<&'static str>,
}

/// Keys of a listener whose default another key sets.
const INHERITED: [(&str, &str); 3] = [
    ("connections_max", "server.limits.connections_max"),
    ("idle_timeout", "server.limits.idle_timeout"),
    ("meta", "server.meta"),
];

impl ListenerConfig {
    /// The paths of the keys in which `now` differs and that a reload can't change: all but the files of `tls`.
    pub fn changed_keys(&self, now: &Self) -> Vec<String> {
        let service = |config: &Self| config.service.as_ref().map(|(name, _)| name.clone());
        let [mode, listen] = self.endpoint.differences(&now.endpoint);
        let [transports, protocols] = self.wire_formats.differences(now.wire_formats);
        let changed = [
            ("listen", listen),
            ("mode", mode),
            (
                "connections_max",
                self.connections_max != now.connections_max,
            ),
            ("idle_timeout", self.idle_timeout != now.idle_timeout),
            ("transports", transports),
            ("protocols", protocols),
            ("tls", self.tls.is_some() != now.tls.is_some()),
            ("plain_tokens", self.plain_tokens != now.plain_tokens),
            ("meta", self.meta != now.meta),
            ("service", service(self) != service(now)),
        ];
        let changed = changed.into_iter().filter(|(_, differs)| *differs);
        changed
            .map(|(key, _)| {
                let mut inherited = INHERITED.into_iter();
                match inherited.find(|(own, _)| *own == key) {
                    Some((_, from)) if !self.sets.contains(&key) && !now.sets.contains(&key) => {
                        from.to_owned()
                    }
                    _ => format!("{}.{key}", self.table),
                }
            })
            .collect()
    }

    /// Whether tokens are accepted here.
    pub fn takes_tokens(&self) -> bool {
        let private = self.tls.is_some() || matches!(self.endpoint, Endpoint::Unix { .. });
        private || self.plain_tokens
    }
}

/// An address or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A host and a port; port 0 takes a free one.
    Tcp(String),
    /// A Unix socket.
    Unix {
        /// Its path, ready to be opened.
        path: PathBuf,
        /// Its permissions. Default 0600: this user only.
        mode: u32,
    },
    /// A socket that the service manager opened, by its name.
    Inherited(String),
}

impl Endpoint {
    /// Whether only `mode` differs, and whether `listen` does.
    fn differences(&self, other: &Self) -> [bool; 2] {
        let listen = match (self, other) {
            (Endpoint::Unix { path, .. }, Endpoint::Unix { path: now, .. }) => path != now,
            _ => self != other,
        };
        [!listen && self != other, listen]
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(addr) => f.write_str(addr),
            Endpoint::Unix { path, .. } => write!(f, "unix://{}", path.display()),
            Endpoint::Inherited(name) => write!(f, "{INHERITED_PREFIX}{name}"),
        }
    }
}

/// Begins a `listen` that names a socket of the service manager.
const INHERITED_PREFIX: &str = "systemd:";
/// The longest name of such a socket (`FileDescriptorName` of systemd.socket(5)).
const NAME_BYTES_MAX: usize = 255;
const DEFAULT_LISTEN: &str = "127.0.0.1:9090";
const DEFAULT_MODE: u32 = 0o600;

/// Reads the listeners of `[server]`. `limits` gives their defaults.
pub(super) fn read_listeners(
    section: &mut Section<'_>,
    limits: &LimitsConfig,
) -> Vec<ListenerConfig> {
    let simple = read_endpoint(section);
    let meta = section.bool("meta").unwrap_or(true);
    let further = section.tables("listeners", LISTENERS_MAX);
    let default = simple.is_none() && further.is_empty();
    let first = simple.or(default.then(|| Endpoint::Tcp(DEFAULT_LISTEN.into())));
    let first = first.map(|endpoint| ListenerConfig {
        endpoint,
        connections_max: limits.connections_max,
        idle_timeout: limits.idle_timeout,
        wire_formats: WireFormats::default(),
        tls: None,
        plain_tokens: false,
        meta,
        service: None,
        table: section.place().key.clone(),
        sets: vec!["meta"],
    });
    let further = further
        .into_iter()
        .filter_map(|section| read_listener(section, limits, meta));
    first.into_iter().chain(further).collect()
}

fn read_listener(
    mut section: Section<'_>,
    limits: &LimitsConfig,
    meta: bool,
) -> Option<ListenerConfig> {
    if !section.has("listen") {
        section.missing("listen", "listen = \"127.0.0.1:9090\"");
    }
    let keys = INHERITED.iter().map(|(key, _)| *key);
    let sets = keys.filter(|key| section.has(key)).collect();
    let endpoint = read_endpoint(&mut section);
    let mode = read_mode(&mut section);
    let listener = ListenerConfig {
        endpoint: Endpoint::Tcp(String::new()),
        connections_max: section.count("connections_max", limits.connections_max, 1_000_000),
        idle_timeout: section
            .timeout("idle_timeout")
            .unwrap_or(limits.idle_timeout),
        wire_formats: read_wire_formats(&mut section),
        tls: None,
        plain_tokens: section.bool("plain_tokens").unwrap_or(false),
        meta: section.bool("meta").unwrap_or(meta),
        service: section.string("service"),
        table: section.place().key.clone(),
        sets,
    };
    let tls_place = section.place_of("tls");
    let tls = read_tls(&mut section);
    if let (Some(Endpoint::Unix { .. }), Some(place)) = (&endpoint, tls_place) {
        let help = "who may connect to a Unix socket is for `mode` to say";
        section.bad(&place, "a Unix socket has no TLS", Some(help.into()));
    }
    let endpoint = match (endpoint, mode) {
        (Some(Endpoint::Unix { path, .. }), Some((mode, _))) => Some(Endpoint::Unix { path, mode }),
        (Some(Endpoint::Tcp(_) | Endpoint::Inherited(_)), Some((_, place))) => {
            let help = "`mode` is for `listen = \"unix:///path\"`; systemd has `SocketMode`";
            section.bad(
                &place,
                "only a Unix socket has permissions",
                Some(help.into()),
            );
            None
        }
        (endpoint, _) => endpoint,
    };
    section.finish();
    Some(ListenerConfig {
        endpoint: endpoint?,
        tls,
        ..listener
    })
}

/// The endpoint in `listen`. `None` if it is missing or bad.
fn read_endpoint(section: &mut Section<'_>) -> Option<Endpoint> {
    let (text, place) = section.string("listen")?;
    let text = section.resolve_secret(text, &place)?;
    if let Some(name) = text.strip_prefix(INHERITED_PREFIX) {
        return is_name(section, name, &place).then(|| Endpoint::Inherited(name.to_owned()));
    }
    let Some(path) = text.strip_prefix("unix://") else {
        return is_address(section, &text, &place).then_some(Endpoint::Tcp(text));
    };
    let path = section.relative(path);
    let length = path.as_os_str().len();
    if text.ends_with('/') || length > PATH_BYTES_MAX {
        let message = if length > PATH_BYTES_MAX {
            format!(
                "a Unix socket's path has at most {PATH_BYTES_MAX} bytes, this one has {length}"
            )
        } else {
            format!("`{text}` names no file")
        };
        let help = "a path, such as `\"unix:///run/tributary.sock\"`";
        section.bad(&place, message, Some(help.into()));
        return None;
    }
    Some(Endpoint::Unix {
        path,
        mode: DEFAULT_MODE,
    })
}

/// Whether `name` can be that of a socket of the service manager; reports it if not.
fn is_name(section: &Section<'_>, name: &str, place: &Place) -> bool {
    let of_name = |c: char| c.is_ascii() && !c.is_ascii_control() && c != ':';
    let good = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(of_name);
    if !good {
        let message = format!("`{name}` cannot be the name of a socket");
        let help =
            "the `FileDescriptorName` of a systemd socket unit: printable ASCII without colons";
        section.bad(place, message, Some(help.into()));
    }
    good
}

/// Whether `addr` is a host and a port; reports it if not. Whether the host is local shows when it is bound.
fn is_address(section: &Section<'_>, addr: &str, place: &Place) -> bool {
    let port = addr.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let good = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !good {
        let help = "a host and a port, such as `\"127.0.0.1:9090\"` or `\"[::]:9090\"`";
        let message = format!("`{addr}` is not an address");
        section.bad(place, message, Some(help.into()));
    }
    good
}

fn read_mode(section: &mut Section<'_>) -> Option<(u32, Place)> {
    let (text, place) = section.string("mode")?;
    let mode = u32::from_str_radix(&text, 8).ok();
    let Some(mode) = mode.filter(|mode| *mode <= 0o777 && text.len() >= 3) else {
        let help = "three octal digits, such as `\"0660\"`";
        section.bad(
            &place,
            format!("`{text}` is no permission"),
            Some(help.into()),
        );
        return None;
    };
    Some((mode, place))
}

const TRANSPORTS: [(&str, Transport); 3] = [
    ("framed", Transport::Framed),
    ("unframed", Transport::Unframed),
    ("header", Transport::Header),
];

fn read_wire_formats(section: &mut Section<'_>) -> WireFormats {
    let transports = read_words(section, "transports", &TRANSPORTS);
    let known = Protocol::ALL.iter();
    let known: Vec<_> = known.map(|&protocol| (protocol.name(), protocol)).collect();
    let protocols = read_words(section, "protocols", &known);
    WireFormats::of(&transports, &protocols)
}

/// The values that the strings in `key` name; all known values if the key is missing.
fn read_words<T: Copy>(
    section: &mut Section<'_>,
    key: &'static str,
    known: &[(&'static str, T)],
) -> Vec<T> {
    let all = known.iter().map(|(_, meaning)| *meaning);
    let Some((words, place)) = section.strings(key) else {
        return all.collect();
    };
    let words_known = || list(known.iter().map(|(word, _)| *word));
    if words.is_empty() {
        section.bad(
            &place,
            "nothing would be taken",
            Some(format!("some of {}", words_known())),
        );
    }
    let mut meanings = Vec::new();
    for (word, place) in &words {
        match known.iter().find(|(known, _)| known == word) {
            Some((_, meaning)) => meanings.push(*meaning),
            None => section.bad(
                place,
                format!("`{word}` is not known here"),
                Some(format!("one of {}", words_known())),
            ),
        }
    }
    meanings
}

/// The address in `listen`, even if it is bad, which is reported.
pub(super) fn read_listen(section: &mut Section<'_>) -> Option<String> {
    let (addr, place) = section.string("listen")?;
    let addr = section.resolve_secret(addr, &place)?;
    is_address(section, &addr, &place);
    Some(addr)
}
