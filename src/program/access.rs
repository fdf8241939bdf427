//! Checks `allow` of every view, and the names of `[callers]`, against the listeners and the tokens of the server.

use super::file::ConfigFile;
use crate::config::{AllowEntry, AllowKey, Document, InjectKey, ListenerConfig, Place, Tokens};
use crate::diagnostic::suggest;
use crate::error::Code;

/// Reports an `allow` that no caller can match, and limits for a caller that can't be recognised. Only called if there are no other problems, so that one mistake is one
/// problem.
pub(super) fn check_access(document: &Document, config: &ConfigFile) {
    let listeners = &config.server.listeners;
    let knows = |listener: &ListenerConfig| {
        let tls = listener.tls.as_ref();
        tls.is_some_and(|tls| tls.knows_clients)
    };
    let knows_clients = listeners.iter().any(knows);
    let takes_tokens = listeners.iter().any(ListenerConfig::takes_tokens);
    let tokens = &config.server.tokens;
    let injects = match &config.server.inject {
        Some(InjectKey::Callers(callers)) => Some(callers),
        _ => None,
    };
    let views = config.server.services.iter().flat_map(|entry| &entry.views);
    let unrecognised = |has_names: bool, has_tokens: bool| {
        if has_names && !knows_clients {
            Some((
                "no listener asks its clients for certificates",
                "add `client_ca` to the `tls` of a listener",
            ))
        } else if has_tokens && !takes_tokens {
            Some((
                "no listener takes tokens",
                "listeners with `tls` and Unix sockets do; a plain port does with `plain_tokens = true`",
            ))
        } else {
            None
        }
    };
    let mut missing = Vec::new();
    for caller in &config.callers {
        let Some(who) = &caller.who else {
            continue;
        };
        if let Some(name) = who.token() {
            check_token(document, tokens, name, &caller.place);
        }
        let is_token = matches!(who, AllowEntry::Token(_));
        missing.push((&caller.place, unrecognised(!is_token, is_token)));
    }
    for AllowKey {
        allow,
        tokens: named,
        place,
    } in views.filter_map(|view| view.allow.as_ref()).chain(injects)
    {
        for (name, place) in named {
            check_token(document, tokens, name, place);
        }
        let has_names = allow.names_certificates();
        missing.push((place, unrecognised(has_names, !has_names)));
    }
    for (place, missing) in missing {
        if let Some((message, help)) = missing {
            document.problem(place, Code::ConfigReference, message, Some(help.into()));
        }
    }
}

/// Reports the name of a token that there is not.
fn check_token(document: &Document, tokens: &Tokens, name: &str, place: &Place) {
    if tokens.names().any(|known| known == name) {
        return;
    }
    let message = format!("there is no token `{name}`");
    let help = suggest(name, tokens.names(), || {
        format!("add `tokens = {{ {name} = \"env:TOKEN\" }}` to `[server]`")
    });
    document.problem(place, Code::ConfigUnknownName, message, Some(help));
}
