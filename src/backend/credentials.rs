//! Finds credentials in a URL that had to be percent-encoded: parsers take parts of them for the host, the port or the path.

/// How to write them.
pub(super) const HELP: &str = "percent-encode them there: `@` is `%40`, `/` is `%2F`, `:` is `%3A`, `?` is `%3F`, `#` is `%23`";

/// Says what is wrong if the user or the password of `url` has characters that mean something else there. Never shows them.
/// The last `@` may end them, or, for PostgreSQL's client, the first.
pub(super) fn unencoded(url: &str, ends_at_first: bool) -> Option<&'static str> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (path, _) = rest.split_once(['?', '#']).unwrap_or((rest, ""));
    // A query has an `@` only in a value.
    let (before_values, _) = rest.split_once('=').unwrap_or((rest, ""));
    // Without an `@`, this is not a port but the beginning of a password.
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) || port.ends_with(']');
    let is_cut = path.contains('@')
        || before_values.contains('@')
        || (!authority.contains('@') && !is_port && rest.contains('@'));
    if is_cut {
        return Some("the user or password in the URL has a `/`, `?` or `#`");
    }
    let ats = authority.matches('@').count();
    (ends_at_first && ats > 1).then_some("the user or password in the URL has an `@`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_are_not_encoded_are_found() {
        let at = Some("an `@`");
        let cut = Some("a `/`, `?` or `#`");
        for (url, expected) in [
            ("postgresql://u:p@ss@db.internal:5432/ops", at),
            ("postgresql://me@corp:pw@db/ops", at),
            ("mysql://u:pa/ss@db:3306/crm", cut),
            ("mysql://u:12/34@db:3306/crm", cut),
            ("redis://:p?ss@cache:6379/0", cut),
            ("redis://:p#ss@cache:6379/0", cut),
            // Before the `/`, there is an `@` too: a part of the password would be the host.
            ("postgresql://u:p@ss/w#rd@db:5432/ops", cut),
            ("mysql://u:p@ss/word@db:3306/crm", cut),
            ("postgresql://u:p@ss?w@db:5432/ops", cut),
            ("redis://u:p%40@cache:6379/0#a", None),
            ("mysql://u@[::1]/crm?socket=a@b", None),
            ("mysql://u:pw@db/crm?socket=a@b", None),
            ("postgresql://u:p%40ss@db:5432/ops?options=a@b", None),
            ("postgresql://db:5432/ops?options=a@b", None),
            ("postgresql://[::1]/ops?options=a@b", None),
            ("postgresql:///ops?host=/run/pg", None),
            ("unix:///run/redis.sock?user=u&pass=p", None),
            ("redis://cache", None),
        ] {
            match (unencoded(url, true), expected) {
                (Some(said), Some(words)) => assert!(said.contains(words), "{url}: {said}"),
                (said, expected) => assert_eq!(said, expected, "{url}"),
            }
        }
        assert_eq!(unencoded("mysql://u:p@ss@db:3306/crm", false), None);
    }
}
