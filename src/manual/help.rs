//! Names the page of the manual that helps with a problem of a configuration.
//!
//! In: the problem's code and key, and the configuration it was found in, which determines the kind of a store. Out: a
//! topic. The code decides first, then the first line of [`KEYS`] that the key begins with.

use super::pages::{Page as ManualPage, page};
use crate::error::Code;

/// Where a key leads.
#[derive(Clone, Copy)]
enum Leads {
    /// To this page.
    Page(&'static str),
    /// To the page of the backend's kind; to this page if the kind is unknown.
    Kind(&'static str),
}

use Leads::{Kind, Page};

/// Stars stand for names. The first line all of whose parts begin the key applies.
const KEYS: &[(&[&str], Leads)] = &[
    (&["server", "idl"], Page("idl")),
    (&["server", "idl_path"], Page("idl")),
    (&["server", "service"], Page("idl")),
    (&["server", "tokens"], Page("listeners")),
    (&["server", "inject"], Page("lookups")),
    (&["server", "listeners"], Page("listeners")),
    (&["server"], Page("server")),
    (&["admin", "tls"], Page("listeners")),
    (&["admin"], Page("admin")),
    (&["traces"], Page("tracing")),
    (&["log"], Page("watching")),
    (&["callers"], Page("callers")),
    (&["backends", "*", "kind"], Page("backends")),
    (&["backends", "*", "in_flight_max"], Page("backends")),
    (&["lookups", "*", "in_flight_max"], Page("lookups")),
    (&["backends", "*", "waiting_max"], Page("backends")),
    (&["backends", "*", "batch_max"], Page("backends")),
    (&["backends", "*", "tls"], Page("backends")),
    (&["backends", "*", "breaker"], Page("breaker")),
    (&["backends", "*", "endpoints"], Page("endpoints")),
    (&["backends", "*", "balance"], Page("endpoints")),
    (&["backends", "*", "hash_on"], Page("endpoints")),
    (&["backends", "*", "refresh"], Page("endpoints")),
    (&["backends", "*", "nameserver"], Page("endpoints")),
    (&["backends", "*", "retry"], Page("endpoints")),
    (&["backends", "*"], Kind("backends")),
    (&["backends"], Page("backends")),
    (&["lookups", "*", "backend"], Page("lookups")),
    (&["lookups", "*", "timeout"], Page("lookups")),
    (&["lookups", "*", "parse_text"], Page("lookups")),
    (&["lookups", "*", "inject"], Page("lookups")),
    (&["lookups", "*"], Kind("lookups")),
    (&["lookups"], Page("lookups")),
    (&["views", "*", "allow"], Page("listeners")),
    (&["views", "*", "throws"], Page("error-codes")),
    (&["views"], Page("views")),
];

/// The page that helps with a problem; `text` is the configuration, or whatever else it was found in.
pub fn topic(code: Code, key: &str, text: Option<&str>) -> &'static str {
    match code {
        Code::IdlSyntax | Code::IdlInvalid => return "idl",
        Code::ConfigSyntax => return "configuration",
        Code::ConfigType | Code::MergeType | Code::MergeMissingField => return "conversions",
        _ => {}
    }
    // `listeners[1]` is one of `listeners`.
    let parts = key
        .split('.')
        .map(|part| part.split('[').next().unwrap_or(part));
    let mut parts: Vec<&str> = parts.collect();
    // A service of `[[services]]` has the keys of `[server]` that are about one, and its views.
    match parts[..] {
        ["services", "views", ..] => drop(parts.remove(0)),
        ["services", ..] => parts[0] = "server",
        _ => {}
    }
    let begins = |pattern: &[&str]| {
        let pairs = pattern.iter().zip(&parts);
        pattern.len() <= parts.len()
            && pairs
                .into_iter()
                .all(|(want, is)| *want == "*" || want == is)
    };
    match KEYS.iter().find(|(pattern, _)| begins(pattern)) {
        Some((_, Page(page))) => page,
        Some((_, Kind(page))) => {
            let kind = text.and_then(|text| kind(parts[0], parts[1], text));
            kind.unwrap_or(page)
        }
        None => "configuration",
    }
}

/// The kind of the backend `[section.name]`, or of the backend that a lookup of that name asks.
fn kind(section: &str, name: &str, text: &str) -> Option<&'static str> {
    let config: toml::Table = toml::from_str(text).ok()?;
    let backend = match section {
        "lookups" => config.get("lookups")?.get(name)?.get("backend")?.as_str()?,
        _ => name,
    };
    let kind = config
        .get("backends")?
        .get(backend)?
        .get("kind")?
        .as_str()?;
    page(kind)
        .filter(|page| is_kind(page))
        .map(|page| page.topic)
}

/// Whether it is the page of a kind of store, as its title says.
fn is_kind(page: &ManualPage) -> bool {
    let title = page.text.lines().next().unwrap_or_default();
    title.contains(&format!("`kind = \"{}\"`", page.topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[backends.cache]\nkind = 'redis'\n[lookups.visits]\nbackend = 'cache'\n\
        [backends.odd]\nkind = 'views'\n";

    #[track_caller]
    fn leads(code: Code, key: &str, to: &str) {
        assert_eq!(topic(code, key, Some(CONFIG)), to, "{code} {key}");
    }

    #[test]
    fn a_key_leads_to_the_page_of_its_section() {
        leads(Code::ConfigUnknownKey, "", "configuration");
        leads(Code::ConfigUnknownKey, "serverr", "configuration");
        leads(Code::ConfigBadValue, "server.idl", "idl");
        leads(Code::ConfigBadValue, "server.limits.depth_max", "server");
        leads(Code::ConfigBadValue, "traces.share", "tracing");
        leads(Code::ConfigClash, "server.listeners[1].listen", "listeners");
        leads(Code::ConfigBadValue, "backends.cache.batch_max", "backends");
        leads(Code::ConfigReference, "views.get.lookups.a.with", "views");
        leads(Code::ConfigUnknownName, "views.get.throws", "error-codes");
        leads(Code::ConfigFile, "services[1].idl", "idl");
        leads(Code::ConfigClash, "services[1]", "server");
        leads(
            Code::ConfigBadValue,
            "services[1].views.get.allow",
            "listeners",
        );
    }

    #[test]
    fn a_key_of_a_store_leads_to_the_page_of_its_kind() {
        leads(Code::ConfigBadValue, "backends.cache.url", "redis");
        leads(Code::LookupUnavailable, "backends.cache", "redis");
        leads(Code::ConfigMissingKey, "lookups.visits.get", "redis");
        leads(Code::ConfigMissingKey, "lookups.other.get", "lookups");
        leads(Code::ConfigMissingKey, "backends.other", "backends");
        leads(Code::ConfigBadValue, "backends.odd.url", "backends");
    }

    #[test]
    fn some_codes_lead_to_a_page_whatever_the_key() {
        leads(Code::IdlSyntax, "", "idl");
        leads(Code::ConfigSyntax, "backends.cache", "configuration");
        leads(
            Code::MergeMissingField,
            "views.get.lookups.a",
            "conversions",
        );
    }

    #[test]
    fn all_pages_it_leads_to_exist() {
        for (_, leads) in KEYS {
            let (Page(topic) | Kind(topic)) = leads;
            assert!(page(topic).is_some(), "{topic}");
        }
    }
}
