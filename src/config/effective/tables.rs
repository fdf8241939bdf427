//! Finds the manual's tables that have the defaults of a table of the file.

use crate::manual::defaults;

/// The keys with a default that belong to the table at `path`, as Markdown. `kind` is that of its backend; `balances`: it has
/// endpoints, and so what is about them.
pub(super) fn rows(
    path: &str,
    kind: Option<&str>,
    balances: bool,
) -> Vec<(&'static str, &'static str)> {
    if let Some((_, inner)) = path
        .strip_prefix("services[")
        .and_then(|rest| rest.split_once("]."))
    {
        return rows(inner, kind, balances);
    }
    let parts: Vec<&str> = path.split('.').collect();
    let of_kind = |tables: std::ops::Range<usize>| {
        let kind = kind.unwrap_or_default();
        tables.map(move |at| (kind, at)).collect::<Vec<_>>()
    };
    let last = parts.last().copied().unwrap_or_default();
    let pages: Vec<(&str, usize)> = match parts[0].split('[').next().unwrap_or_default() {
        "services" => vec![("server", 0)],
        "admin" if parts.len() == 1 => vec![("admin", 0)],
        "admin" if last == "tls" => vec![("listeners", 1)],
        "admin" => vec![("admin", 1)],
        "callers" => vec![("callers", 0)],
        "log" if parts.len() == 1 => vec![("watching", 0)],
        "traces" if parts.len() == 1 => vec![("tracing", 0)],
        "server" => match last.split('[').next().unwrap_or_default() {
            "server" => vec![("server", 0)],
            "limits" => vec![("server", 1)],
            "listeners" => vec![("listeners", 0)],
            "tls" => vec![("listeners", 1)],
            _ => Vec::new(),
        },
        "backends" => match (parts.len(), last) {
            (_, "tls") => vec![("backends", 2)],
            (_, "breaker") => vec![("breaker", 0)],
            (_, "retry") => vec![("endpoints", 1)],
            (2, _) => {
                let mut pages = of_kind(0..2);
                // What both have is as the endpoints have it: a breaker, which each of them has by default.
                pages.extend(balances.then_some(("endpoints", 0)));
                pages.extend([("backends", 0), ("backends", 1)]);
                pages
            }
            _ => Vec::new(),
        },
        "lookups" => match (parts.len(), last) {
            (3, "cache") => vec![("caching", 0)],
            (3, "hedge") => vec![("endpoints", 2)],
            (3, "inject") => vec![("lookups", 1)],
            (2, _) => {
                let mut pages = vec![("lookups", 0)];
                pages.extend(of_kind(1..3));
                pages
            }
            _ => Vec::new(),
        },
        "views" => match parts.get(2) {
            None => vec![("views", 0)],
            Some(&"lookups") if parts.len() == 4 => vec![("views", usize::MAX)],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let mut rows: Vec<(&'static str, &'static str)> = Vec::new();
    for (page, at) in pages {
        let tables = defaults(page);
        let at = at.min(tables.len().saturating_sub(1));
        for row in tables.get(at).into_iter().flatten() {
            if rows.iter().all(|known| known.0 != row.0) {
                rows.push(*row);
            }
        }
    }
    rows
}
