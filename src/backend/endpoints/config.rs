//! Reads the keys `endpoints`, `balance`, `hash_on`, `refresh`, `nameserver` and `breaker`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::retry::RetryConfig;
use super::source::Source;
use super::targets_file;
use crate::config::{BreakerConfig, GuardMode, Place, Section};
use crate::diagnostic::suggest;
use crate::error::Code;

const EXAMPLE: &str = "such as `\"dns:users.internal:9090\"`, `\"srv:_thrift._tcp.users.internal\"`, \
                       `\"file:users.json\"` or `\"10.0.0.1:9090\"`";
/// No source is asked more often, however short the time for which its answer is valid.
pub(super) const REFRESH_MIN: Duration = Duration::from_secs(1);
const FILE_HELP: &str = "a list such as `[{\"targets\": [\"10.0.0.1:9090\"]}]`; its path is relative to this file's folder";
const REFRESH: Duration = Duration::from_secs(30);
const BALANCES: &[&str] = &["p2c", "ewma", "round_robin", "hash"];

/// Several equal servers, and how questions are divided among them.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Config {
    pub(in crate::backend) sources: Arc<[Source]>,
    /// How long an answer of a source is used, at most.
    pub(super) refresh: Duration,
    /// The name server to ask; by default those of the system.
    pub(in crate::backend) nameserver: Option<SocketAddr>,
    pub(in crate::backend) balance: Balance,
    /// Of each endpoint.
    pub(in crate::backend) breaker: BreakerConfig,
    /// Whether a question that failed is asked once more.
    pub(in crate::backend) retry: Option<RetryConfig>,
    /// Sources may not lead to addresses that are [refused](crate::backend::net::is_refused).
    pub(super) is_guarded: bool,
}

/// How the next endpoint is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) enum Balance {
    /// Of two drawn at random, the one with fewer questions in flight.
    LeastLoaded,
    /// Of two drawn at random, the one that is expected to answer first.
    Fastest,
    /// One after the other.
    RoundRobin,
    /// Always the same one for the same value of this parameter.
    Hash(Arc<str>),
}

impl Config {
    /// Takes the keys. `Ok(None)`: the backend has no endpoints. `Err`: they have problems.
    pub(in crate::backend) fn read(section: &mut Section<'_>) -> Result<Option<Self>, ()> {
        let before = section.document().problems.len();
        if !section.has("endpoints") {
            section.take("endpoints"); // so that it is suggested for a misspelt key
            let mut clean = true;
            for key in ["balance", "hash_on", "refresh", "nameserver", "retry"] {
                if let Some((_, place)) = section.take(key) {
                    clean = false;
                    let help = format!("add `endpoints`, or leave `{key}` out");
                    let message = format!("`{key}` needs `endpoints`");
                    let document = section.document();
                    document.problem(&place, Code::ConfigClash, message, Some(help));
                }
            }
            return if clean { Ok(None) } else { Err(()) };
        }
        let sources = read_sources(section);
        let balance = read_balance(section);
        let refresh = section.duration("refresh").map(|(refresh, place)| {
            if refresh < REFRESH_MIN {
                section.bad(&place, "too often", Some("at least `\"1s\"`".into()));
            }
            refresh
        });
        let nameserver = read_nameserver(section);
        let breaker = BreakerConfig::read(section, GuardMode::Enforce);
        let retry = RetryConfig::read(section);
        if section.document().problems.len() > before {
            return Err(());
        }
        Ok(Some(Config {
            sources: sources.into(),
            refresh: refresh.unwrap_or(REFRESH),
            nameserver,
            balance,
            breaker,
            retry,
            is_guarded: false,
        }))
    }

    /// Sources lead nowhere but to servers that a name may lead to.
    pub(in crate::backend) fn guarded(self) -> Self {
        Config {
            is_guarded: true,
            ..self
        }
    }

    /// Which of a lookup's parameters decides about the endpoint. A lookup without that parameter is reported.
    pub(in crate::backend) fn hash_on(
        &self,
        section: &Section<'_>,
        params: &[Arc<str>],
    ) -> Option<usize> {
        let Balance::Hash(on) = &self.balance else {
            return None;
        };
        let at = params.iter().position(|name| name == on);
        if at.is_none() {
            let message = format!(
                "its backend has `hash_on = \"{on}\"`, and the lookup has no such parameter"
            );
            let known = params.iter().map(|name| &**name);
            let help = suggest(on, known, || "the lookup has no parameters".into());
            let document = section.document();
            document.problem(
                section.place(),
                Code::ConfigUnknownName,
                message,
                Some(help),
            );
        }
        at
    }

    /// How long an attempt to connect may take if the configuration does not say it. With retries, some time must be left.
    pub(in crate::backend) fn connect_timeout(endpoints: Option<&Self>) -> Duration {
        if endpoints.is_some_and(|endpoints| endpoints.retry.is_some()) {
            Duration::from_millis(250)
        } else {
            Duration::from_secs(1)
        }
    }

    /// Describes it to the operator.
    pub(in crate::backend) fn describe(&self) -> String {
        let sources: Vec<String> = self.sources.iter().map(ToString::to_string).collect();
        let balance = match &self.balance {
            Balance::LeastLoaded => "p2c".to_owned(),
            Balance::Fastest => "ewma".to_owned(),
            Balance::RoundRobin => "round_robin".to_owned(),
            Balance::Hash(on) => format!("hash on {on}"),
        };
        let mut words = format!("endpoints {} by {balance}", sources.join(", "));
        if self.breaker.mode != GuardMode::Off {
            let (mode, opens) = (self.breaker.mode.as_str(), self.breaker.describe());
            words = format!("{words}, breaker ({mode}) of each {opens}");
        }
        if let Some(retry) = &self.retry {
            words = format!("{words}, {}", retry.describe());
        }
        words
    }
}

/// One source or several.
fn read_sources(section: &mut Section<'_>) -> Vec<Source> {
    let Some((value, place)) = section.take("endpoints") else {
        return Vec::new();
    };
    let items = match &value {
        DeValue::String(text) => vec![(text.as_ref(), place.clone())],
        DeValue::Array(items) if !items.is_empty() => {
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                let (key, span) = (place.key.clone(), item.span());
                let place = Place { key, span };
                match item.get_ref() {
                    DeValue::String(text) => texts.push((text.as_ref(), place)),
                    other => section.expected(&place, "a string", other),
                }
            }
            texts
        }
        DeValue::Array(_) => {
            section.bad(&place, "no endpoint is named", Some(EXAMPLE.into()));
            Vec::new()
        }
        other => {
            section.expected(&place, "a string or an array of strings", other);
            Vec::new()
        }
    };
    let mut sources = Vec::with_capacity(items.len());
    for (text, place) in items {
        match Source::parse(text, |path| section.relative(path)) {
            Ok(source) if sources.contains(&source) => {
                section.bad(&place, "it is listed twice", None);
            }
            Ok(source) => {
                if let Source::File { path, .. } = &source
                    && let Err(why) = targets_file::look_at(path)
                {
                    // It may be written later, and changes at any time.
                    let message = format!("no endpoints are in `{}`: {why}", path.display());
                    let document = section.document();
                    document.warning(&place, Code::ConfigFile, message, Some(FILE_HELP.into()));
                }
                sources.push(source);
            }
            Err(_) => section.bad(&place, "not a source of endpoints", Some(EXAMPLE.into())),
        }
    }
    sources
}

fn read_balance(section: &mut Section<'_>) -> Balance {
    let word = section.word("balance", BALANCES);
    let on = section.string("hash_on");
    match (word, on) {
        (Some(("hash", _)), Some((on, _))) => Balance::Hash(on.into()),
        (Some(("hash", place)), None) => {
            let help = "add `hash_on = \"id\"`: a parameter of every lookup of this backend";
            section.bad(&place, "nothing says what to hash", Some(help.into()));
            Balance::LeastLoaded
        }
        (_, Some((_, place))) => {
            let help = Some("add `balance = \"hash\"`, or leave `hash_on` out".into());
            let document = section.document();
            let message = "`hash_on` needs `balance = \"hash\"`";
            document.problem(&place, Code::ConfigClash, message, help);
            Balance::LeastLoaded
        }
        (Some(("ewma", _)), None) => Balance::Fastest,
        (Some(("round_robin", _)), None) => Balance::RoundRobin,
        _ => Balance::LeastLoaded,
    }
}

fn read_nameserver(section: &mut Section<'_>) -> Option<SocketAddr> {
    let (text, place) = section.string("nameserver")?;
    let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    let address = text.parse::<SocketAddr>().or(address);
    if address.is_err() {
        let help = Some("such as `\"127.0.0.1:8600\"`".into());
        section.bad(&place, "not the address of a name server", help);
    }
    address.ok()
}
