//! Reads `cache` and `coalesce` of a lookup: how calls share its answers and its questions.

use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use crate::backend::{AnyConfig, AnyLookup, Invalidate, Unshared};
use crate::config::{Document, GuardMode, Place, Section};
use crate::diagnostic::{nearest, suggest};
use crate::error::Code;

/// An entry takes more than its value: its key, its times, its place in the index.
const ENTRY_BYTES_MIN: usize = 1024;
const ENTRIES_MAX: i64 = 1_000_000;
const DEFAULT_ENTRIES: usize = 10_000;
const DEFAULT_BYTES: usize = 16 << 20;
/// PostgreSQL cuts longer names off.
const CHANNEL_BYTES_MAX: usize = 63;

/// How calls share a lookup.
#[derive(Clone, Debug, Default)]
pub struct Sharing {
    /// Its cache, unless that is off.
    pub cache: Option<CachePolicy>,
    /// Which of its questions join an equal one that is under way.
    pub coalesce: Coalesce,
}

/// `cache = { ttl = "30s", ... }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachePolicy {
    /// Whether it answers, or only counts what it would answer.
    pub mode: GuardMode,
    /// How long an answer is fresh.
    pub ttl: Duration,
    /// How long after that it is still served, while it is asked again in the background. Default: not at all.
    pub stale: Duration,
    /// How long after that it is served if the store fails. Default: not at all.
    pub stale_if_error: Duration,
    /// How long it is remembered that there is nothing. Default: not at all.
    pub negative_ttl: Duration,
    /// How the store says that answers are no longer right. Default: not at all.
    pub invalidate: Option<Invalidate>,
    /// The most answers, per loop. Default 10,000.
    pub entries: usize,
    /// The most memory, per loop. Default 16 MiB.
    pub bytes: usize,
}

/// `coalesce`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coalesce {
    /// Each question is asked.
    #[default]
    No,
    /// A question joins an equal one that has no answer yet.
    UnderWay,
    /// A question joins an equal one that was not sent to the store yet.
    Unsent,
}

/// What `invalidate` says, and where. The parameter is found once they are known.
#[derive(Debug)]
struct InvalidateKey {
    place: Place,
    /// The parameter that writers name.
    key: Option<(String, Place)>,
}

/// The places of the keys, for problems that only the rest of the lookup shows.
pub(super) struct SharingKeys {
    cache: Option<Place>,
    coalesce: Option<Place>,
    invalidate: Option<InvalidateKey>,
}

impl Sharing {
    /// Whether calls share anything.
    pub fn is_any(&self) -> bool {
        self.cache.is_some() || self.coalesce != Coalesce::No
    }

    /// Whether its cache answers questions.
    pub fn answers(&self) -> bool {
        let mode = self.cache.as_ref().map(|cache| cache.mode);
        mode == Some(GuardMode::Enforce)
    }

    /// How the store says that kept answers are no longer right.
    pub fn invalidate(&self) -> Option<&Invalidate> {
        self.cache.as_ref()?.invalidate.as_ref()
    }

    /// Takes the keys of a lookup.
    pub(super) fn read(section: &mut Section<'_>) -> (Self, SharingKeys) {
        let mut keys = SharingKeys {
            cache: section.place_of("cache"),
            coalesce: section.place_of("coalesce"),
            invalidate: None,
        };
        let cache = section.section("cache");
        let cache = cache.and_then(|cache| CachePolicy::read(cache, &mut keys.invalidate));
        let said = read_coalesce(section);
        let answers = matches!(&cache, Some(cache) if cache.mode == GuardMode::Enforce);
        if let (true, Some(Coalesce::No), Some(place)) = (answers, said, &keys.coalesce) {
            section.document().problem(
                place,
                Code::ConfigClash,
                "a cache asks once for an answer that several calls miss",
                Some("leave `coalesce` out, or the cache".into()),
            );
        }
        let otherwise = if answers {
            Coalesce::UnderWay
        } else {
            Coalesce::No
        };
        let sharing = Sharing {
            cache: cache.filter(|cache| cache.mode != GuardMode::Off),
            coalesce: said.unwrap_or(otherwise),
        };
        (sharing, keys)
    }
}

impl SharingKeys {
    /// Reports what the lookup itself does not allow. `kind` is that of its backend.
    pub(super) fn check(&self, document: &Document, (lookup, kind): (&AnyLookup, &str)) {
        let keys = [("cache", &self.cache), ("coalesce", &self.coalesce)];
        for (key, place) in keys {
            let Some(place) = place else { continue };
            let (message, help) = match lookup.unshared() {
                None => continue,
                Some(Unshared::Writes) => (
                    "the statement writes, so each call has to run it",
                    format!("leave `{key}` out, or ask with a `select`"),
                ),
                Some(Unshared::ReadsContext) => (
                    "the method gets a `tributary.Context`, so its answer may be another one for each call",
                    format!("leave `{key}` out, or call a method without such a parameter"),
                ),
            };
            document.problem(place, Code::ConfigClash, message, Some(help));
        }
        if let (Some(place), "file") = (&self.cache, kind) {
            document.warning(
                place,
                Code::ConfigClash,
                "the rows of a file are in memory already: a cache only makes them old",
                Some("leave `cache` out".into()),
            );
        }
    }
}

impl Sharing {
    /// Finds the parameter that `invalidate` names, and reports what the store does not offer.
    pub(super) fn resolve(
        &mut self,
        (document, keys): (&Document, &SharingKeys),
        (config, lookup): (&AnyConfig, &AnyLookup),
        params: &[Arc<str>],
    ) {
        let cache = self.cache.as_mut();
        let how = cache.and_then(|cache| cache.invalidate.as_mut());
        let (Some(how), Some(said)) = (how, &keys.invalidate) else {
            return;
        };
        if let Err((message, help)) = config.is_heard(lookup, how) {
            let help = Some(help.to_owned());
            document.problem(&said.place, Code::ConfigClash, message, help);
            return;
        }
        if let Some((message, help)) = config.hears_too_much(lookup, how) {
            let help = Some(help.to_owned());
            document.warning(&said.place, Code::ConfigClash, message, help);
        }
        let Invalidate::Channel { key, .. } = how else {
            return;
        };
        let Some((name, place)) = &said.key else {
            // If there is only one, it needs no name.
            *key = (params.len() == 1).then_some(0);
            return;
        };
        *key = params.iter().position(|param| **param == **name);
        if key.is_none() {
            let message = format!("the lookup has no parameter `{name}`");
            let known = params.iter().map(|name| &**name);
            let help = suggest(name, known, || "it has no parameters".into());
            document.problem(place, Code::ConfigUnknownName, message, Some(help));
        }
    }
}

impl CachePolicy {
    fn read(mut section: Section<'_>, key: &mut Option<InvalidateKey>) -> Option<Self> {
        if !section.has("ttl") {
            section.missing("ttl", "ttl = \"30s\"");
        }
        let ttl = section.duration("ttl");
        let mut none_if_missing = |key| {
            let duration = section.duration(key);
            duration.map_or(Duration::ZERO, |(duration, _)| duration)
        };
        let stale = none_if_missing("stale");
        let stale_if_error = none_if_missing("stale_if_error");
        let negative_ttl = none_if_missing("negative_ttl");
        let bytes_place = section.place_of("bytes");
        let bytes = section.size("bytes").unwrap_or(DEFAULT_BYTES);
        let entries = section.count("entries", DEFAULT_ENTRIES, ENTRIES_MAX);
        let mode = GuardMode::read(&mut section);
        let invalidate = read_invalidate(&mut section);
        if let Some(place) = bytes_place.filter(|_| bytes < ENTRY_BYTES_MIN) {
            let help = format!("at least `\"{ENTRY_BYTES_MIN}B\"`, such as `\"16MiB\"`");
            section.bad(&place, "no answer fits in so little", Some(help));
        }
        if let Some((_, place)) = ttl.as_ref().filter(|(ttl, _)| ttl.is_zero()) {
            let help =
                "such as `\"30s\"`; to share only questions under way, use `coalesce = true`";
            section.bad(place, "no answer is ever fresh", Some(help.into()));
        }
        section.finish();
        let (ttl, _) = ttl?;
        let (invalidate, of_key) = invalidate.unzip();
        *key = of_key;
        Some(CachePolicy {
            mode,
            ttl,
            stale,
            stale_if_error,
            negative_ttl,
            invalidate,
            entries,
            bytes,
        })
    }
}

fn read_invalidate(section: &mut Section<'_>) -> Option<(Invalidate, InvalidateKey)> {
    let (value, place) = section.take("invalidate")?;
    match value {
        DeValue::Boolean(false) => None,
        DeValue::Boolean(true) => Some((Invalidate::Keys, InvalidateKey { place, key: None })),
        DeValue::Table(table) => {
            let mut table = Section::new(section.document(), place.clone(), table);
            let name = table.required_string("listen", "listen = \"planes\"");
            let key = table.string("key");
            table.finish();
            let (name, at) = name?;
            if name.is_empty() || name.len() > CHANNEL_BYTES_MAX || name.contains('\0') {
                let help = format!("1 to {CHANNEL_BYTES_MAX} bytes, such as `\"planes\"`");
                section.bad(&at, "not the name of a channel", Some(help));
                return None;
            }
            let name = name.into();
            let invalidate = Invalidate::Channel { name, key: None };
            Some((invalidate, InvalidateKey { place, key }))
        }
        other => {
            let expected = "`true`, `false` or a table such as `{ listen = \"planes\" }`";
            section.expected(&place, expected, &other);
            None
        }
    }
}

fn read_coalesce(section: &mut Section<'_>) -> Option<Coalesce> {
    let (value, place) = section.take("coalesce")?;
    match value {
        DeValue::Boolean(false) => Some(Coalesce::No),
        DeValue::Boolean(true) => Some(Coalesce::UnderWay),
        DeValue::String(word) if word == "fresh" => Some(Coalesce::Unsent),
        other => {
            let meant = other.as_str().and_then(|word| nearest(word, ["fresh"]));
            let expected = "`true`, `false` or `\"fresh\"`";
            section.expected_meaning(&place, expected, &other, meant);
            None
        }
    }
}

#[cfg(test)]
mod tests;
