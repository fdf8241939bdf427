//! Reads the query of a URL: `name=value&name=value`.

use percent_encoding::percent_decode_str;

/// The pairs of a query, each name once.
pub(super) fn pairs(query: &str) -> Result<Vec<(&str, String)>, String> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.replace('+', " ");
        let value = percent_decode_str(&value).decode_utf8();
        let value = value.map_err(|_| format!("`{name}` is not UTF-8"))?;
        if pairs.iter().any(|(known, _)| *known == name) {
            return Err(format!("`{name}` is there twice"));
        }
        pairs.push((name, value.into_owned()));
    }
    Ok(pairs)
}
