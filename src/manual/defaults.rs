//! Reads the tables of keys in the pages: which default each key has.

use super::pages::page;

/// The keys of each table of a page, with their defaults as Markdown; those without a default are left out.
pub fn defaults(topic: &str) -> Vec<Vec<(&'static str, &'static str)>> {
    let text = page(topic).map_or("", |page| page.text);
    let mut tables = Vec::new();
    let mut is_table = false;
    for line in text.lines() {
        if line.starts_with("|---") {
            continue;
        }
        let Some(row) = line.strip_prefix("| ") else {
            is_table = false;
            continue;
        };
        let mut cells = row.split(" | ").map(str::trim);
        let (Some(key), Some(default)) = (cells.next(), cells.next()) else {
            continue;
        };
        if key.starts_with("key") && default == "default" {
            is_table = true;
            tables.push(Vec::new());
        } else if let Some(table) = tables.last_mut().filter(|_| is_table) {
            add(table, key, default);
        }
    }
    tables
}

/// Adds a row, which may have several keys.
fn add(table: &mut Vec<(&'static str, &'static str)>, key: &'static str, default: &'static str) {
    let keys: Vec<&str> = key.split(", ").map(|key| key.trim_matches('`')).collect();
    let each: Vec<&str> = default.split(", ").collect();
    for (at, key) in keys.iter().enumerate() {
        let default = match each.get(at) {
            Some(own) if keys.len() > 1 && each.len() == keys.len() => own,
            _ => default,
        };
        if !default.is_empty() && !default.starts_with('|') {
            table.push((key, default));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_of_a_row_has_its_default_and_a_required_key_none() {
        let redis = defaults("redis");
        let of_lookups = &redis[2];
        assert!(of_lookups.contains(&("stop", "-1")), "{of_lookups:?}");
        assert!(of_lookups.contains(&("with_scores", "`false`")));
        assert!(redis[0].contains(&("connections", "`1`")));
        assert!(redis[0].iter().all(|(key, _)| *key != "url"));
        assert!(defaults("admin")[1].contains(&("for", "`\"10s\"`")));
    }
}
