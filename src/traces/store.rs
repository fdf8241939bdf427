//! Says of a store what the semantic conventions of OpenTelemetry ask for: its system and its address.

use super::span::{Span, SpanKind};
use crate::recorder::StoreAbout;

/// The value of `db.system.name`, if the kind is one of databases.
fn system(kind: &str) -> Option<&'static str> {
    match kind {
        "postgres" => Some("postgresql"),
        "mysql" => Some("mysql"),
        "sqlite" => Some("sqlite"),
        "redis" => Some("redis"),
        "memcached" => Some("memcached"),
        _ => None,
    }
}

/// Whether questions to a store of this kind leave the process.
pub(super) fn kind(store: Option<&StoreAbout>) -> SpanKind {
    match store.map(|store| store.kind) {
        None | Some("file" | "sqlite") => SpanKind::Internal,
        Some(_) => SpanKind::Client,
    }
}

/// Adds the attributes of a lookup that say which store it asks: `endpoint`, if that has several.
pub(super) fn describe<'c>(span: &mut Span<'c>, store: &'c StoreAbout, endpoint: Option<&'c str>) {
    if let Some(system) = system(store.kind) {
        span.text("db.system.name", system);
    }
    if store.kind == "thrift" {
        span.text("rpc.system.name", "thrift");
    }
    let only = store.address.as_ref();
    let address = only.map(|(host, port)| (host.as_str(), *port));
    if let Some((host, port)) = endpoint.and_then(address_of).or(address) {
        span.text("server.address", host);
        span.int("server.port", port);
    }
}

/// `host:port`, or `[address]:port`.
fn address_of(endpoint: &str) -> Option<(&str, u16)> {
    let (host, port) = endpoint.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    Some((bare.unwrap_or(host), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_that_was_asked_counts_more_than_the_address_that_is_configured() {
        let store = StoreAbout::new("crews", "thrift", Some(("crews.internal".into(), 9090)));
        let of = |endpoint| {
            let mut span = Span::blank();
            describe(&mut span, &store, endpoint);
            let text = span
                .attributes
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"));
            text.collect::<Vec<_>>().join(" ")
        };
        assert!(
            of(None).contains(r#"server.address=Text("crews.internal") server.port=Int(9090)"#)
        );
        let at = of(Some("[::1]:9191"));
        assert!(
            at.contains(r#"server.address=Text("::1") server.port=Int(9191)"#),
            "{at}"
        );
        assert!(of(Some("crews")).contains("crews.internal"));
    }
}
