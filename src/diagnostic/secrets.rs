//! Judges by names what is a secret: by the key of a value, by a name in a query or a body.
//!
//! When in doubt, it is one. Looks at no value, so that references (`env:NAME`, `file:PATH`) are the caller's to know.

/// Keys of this program whose values are secrets.
const KEYS: &[&str] = &["password", "sentinel_password", "token"];
/// Parts of names that name secrets, in keys of this program too, if someone mistook one.
const PARTS: &[&str] = &[
    "pass",
    "pwd",
    "secret",
    "token",
    "auth",
    "cred",
    "api_key",
    "apikey",
    "jwt",
    "cookie",
    "session",
    "assertion",
];
/// Parts that name secrets only in names which the operator or another program has chosen.
const CHOSEN_PARTS: &[&str] = &["sig", "key"];
/// Whole words of names, as they are parts of other words: `pin` of `shipping`.
const WORDS: &[&str] = &["pin", "otp"];
/// Words that are misspelt, and the number of mistakes in one that is still recognised.
const MISSPELT: &[(&str, usize)] = &[
    ("password", 2),
    ("passwd", 1),
    ("secret", 1),
    ("token", 1),
    ("tokens", 1),
    ("authorization", 2),
    ("credential", 2),
    ("cookie", 1),
    ("session", 1),
];
/// Headers that are none.
const PLAIN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "user-agent",
];
/// Tables whose tables have names that the operator chose.
const NAMED: &[&str] = &["backends", "lookups", "callers"];

/// Whether the value at the key path `key` of a valid configuration is a secret.
pub fn is_secret(key: &str) -> bool {
    let name = last(key);
    let is_token = key.contains("server.tokens.");
    let is_header = key.contains(".headers.") && !is_plain_header(name);
    KEYS.contains(&name) || is_token || is_header || is_chosen_secret(key)
}

/// Whether a name in a query or a body, which the operator or another program has chosen, names a secret, well spelt or not.
pub fn names_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    resembles_secret(name) || CHOSEN_PARTS.iter().any(|part| lower.contains(part))
}

/// Whether the value at the key path `key` of a configuration with mistakes is a secret, or would be in the place or by the
/// name that was meant.
pub(super) fn may_be_secret(key: &str) -> bool {
    if is_secret(key) {
        return true;
    }
    let mut parts: Vec<&str> = key.split('.').collect();
    if parts.len() > 1 && parts[0] == "services" {
        parts.remove(0);
    }
    let first_chosen = match parts[0] {
        // The values of a view are names of lookups and parameters.
        "views" => return false,
        table if NAMED.contains(&table) && parts.len() > 2 => 2,
        _ => 0,
    };
    let name = last(key);
    parts[first_chosen..].iter().any(|part| {
        let is_headers = part.starts_with('h') && is_near(part, "headers", 2) && *part != "header";
        resembles_secret(part) || (is_headers && !is_plain_header(name))
    })
}

/// Whether a name that is not one of a secret was perhaps meant to be.
pub(super) fn resembles_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    PARTS.iter().any(|part| lower.contains(part))
        || is_misspelt(&lower)
        || words(name).any(|word| WORDS.contains(&&*word) || is_misspelt(&word))
}

/// Whether a name that the operator chose, not this program, names a secret.
fn is_chosen_secret(key: &str) -> bool {
    let chosen = |table: &str| key.split_once(table).map(|(_, names)| names);
    let names = chosen(".headers.")
        .or(chosen(".body."))
        .or(chosen(".default."));
    // Of `with`, only `{ value = ... }` is no reference.
    let with = chosen(".with.").filter(|names| names.contains(".value"));
    names.or(with).is_some_and(names_secret)
}

fn is_plain_header(name: &str) -> bool {
    PLAIN_HEADERS.contains(&&*name.to_ascii_lowercase())
}

fn is_misspelt(lower: &str) -> bool {
    MISSPELT
        .iter()
        .any(|&(word, mistakes)| is_near(lower, word, mistakes))
}

fn is_near(name: &str, word: &str, mistakes: usize) -> bool {
    // Names may be long, and the distance takes the product of both lengths.
    name.len() <= word.len() + mistakes && strsim::osa_distance(name, word) <= mistakes
}

/// The words of a name, in lower case: `user_pin`, `user-pin` and `userPin` have two.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut spaced = String::with_capacity(name.len());
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && was_lower {
            spaced.push(' ');
        }
        was_lower = c.is_ascii_lowercase();
        spaced.push(if c.is_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            ' '
        });
    }
    let words: Vec<String> = spaced.split_whitespace().map(Into::into).collect();
    words.into_iter()
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_judged_by_its_parts_and_words_and_with_mistakes() {
        for name in [
            "jwt",
            "pin",
            "userPin",
            "otp",
            "PHPSESSION",
            "cookie",
            "client_assertion",
            "pasword",
            "tokne",
            "db_pasword",
            "api-key",
            "X-Sig",
        ] {
            assert!(names_secret(name), "{name}");
        }
        for name in ["shipping", "ping", "page", "version", "options", "id", ""] {
            assert!(!names_secret(name), "{name}");
        }
    }

    #[test]
    fn a_key_may_be_secret_that_is_misspelt_or_misplaced() {
        for key in [
            "backends.a.passwrd",
            "backends.a.pasword",
            "backends.a.heders.x",
            "backends.a.headers",
            "traces.headers.a",
            "server.tokns.batch",
            "services.server.tokens.batch",
            "password",
        ] {
            assert!(may_be_secret(key), "{key}");
        }
        for key in [
            "backends.token.url",
            "backends.readers.kind",
            "backends.a.tls.key",
            "lookups.x.batch.key",
            "lookups.passengers.sql",
            "lookups.x.headers.accept",
            "views.v.lookups.passengers",
            "views.v.lookups.x.with.auth",
            "server.listen",
        ] {
            assert!(!may_be_secret(key), "{key}");
        }
    }
}
