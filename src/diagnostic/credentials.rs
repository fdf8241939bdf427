//! Finds secrets inside a string: in a URL, in a query, in words as libpq takes them.
//!
//! The string may be malformed. Its own key is not known here.

use std::ops::Range;

use super::secrets::{names_secret, resembles_secret};

/// The secrets in a string: credentials of a URL, well-formed or not, and values that have the name of a secret.
pub(super) fn credentials(string: &str) -> Vec<Range<usize>> {
    let mut found = named(string);
    found.extend(of_url(string));
    found
}

/// The password in a URL, `//user:PASSWORD@`, and over HTTP also the user, which may be a token.
fn of_url(string: &str) -> Option<Range<usize>> {
    let scheme = string.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))?;
    if scheme == 0 || !string[scheme..].starts_with([':', '/']) {
        return None;
    }
    let slashes = string[scheme..].find(|c| c != ':' && c != '/');
    // `redis://:PASSWORD@`: the user name is empty, so the last colon starts the password.
    let user = slashes.map_or(string.len(), |count| scheme + count);
    let user = if string[..user].ends_with("/:") {
        user - 1
    } else {
        user
    };
    let authority = string[user..].find(['/', '?', '#']);
    let authority = authority.map_or(string.len(), |end| user + end);
    if string.starts_with("http")
        && let Some(at) = string[user..authority].rfind('@')
    {
        return Some(user..user + at);
    }
    let at = user + string[user..].rfind('@')?;
    let colon = string[user..at].find(':')?;
    Some(user + colon + 1..at)
}

/// The values after `=` whose names are those of secrets: in a query, and in words as libpq takes them. A parameter is none.
fn named(string: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (equals, _) in string.match_indices('=') {
        let before = string[..equals].trim_end();
        let start = before.rfind(|c: char| !c.is_alphanumeric() && !"_-.[]%".contains(c));
        let length = start.map_or(0, |at| {
            before[at..].chars().next().map_or(0, char::len_utf8)
        });
        let name = &before[start.unwrap_or(0) + length..];
        let is_query = start.is_some_and(|at| matches!(before.as_bytes()[at], b'?' | b'&'));
        let value = equals + string[equals..].len() - string[equals + 1..].trim_start().len();
        let value = value.min(string.len());
        let is_parameter = string[value..].starts_with(['{', ':', '$', '?', '@', '=']);
        if name.is_empty() || is_parameter || found.last().is_some_and(|last| equals < last.end) {
            continue;
        }
        let is_secret = if is_query {
            names_secret(name)
        } else {
            resembles_secret(name)
        };
        if is_secret {
            found.push(value..end_of_value(string, value, is_query));
        }
    }
    found
}

fn end_of_value(string: &str, start: usize, is_query: bool) -> usize {
    let rest = &string[start..];
    if rest.starts_with('\'') {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\'' => return start + at,
                _ => {}
            }
        }
        return string.len();
    }
    let end = rest.find(|c: char| c == '&' || (c.is_whitespace() && !is_query));
    end.map_or(string.len(), |end| start + end)
}
