//! Says what to write instead of a value of a wrong type: an example of the table, or the same value in another form.

use toml::de::DeValue;

/// What the table of a key may look like, by the last name of its path.
const TABLES: [(&str, &str); 18] = [
    (
        "addresses",
        "`addresses = { \"10.0.0.1:6379\" = \"127.0.0.1:7001\" }`",
    ),
    ("batch", "`batch = { key = \"id\" }`"),
    (
        "breaker",
        "`breaker = {}` for its defaults, `breaker = { mode = \"off\" }` for none",
    ),
    ("brownout", "`brownout = {}` for its defaults"),
    ("cache", "`cache = { ttl = \"30s\" }`"),
    ("headers", "`headers = { x-team = \"shop\" }`"),
    ("hedge", "`hedge = {}` for its defaults"),
    ("inject", "`inject = { delay = \"50ms\" }`"),
    ("invalidate", "`invalidate = { listen = \"planes\" }`"),
    ("limits", "`limits = { calls_max = 1000 }`"),
    (
        "overload",
        "`overload = { mode = \"measure\" }`, or \"off\" or \"enforce\"",
    ),
    ("resource", "`resource = { team = \"shop\" }`"),
    ("retry", "`retry = {}` for its defaults"),
    (
        "throws",
        "`throws = { \"call.required_empty\" = \"missing\" }`",
    ),
    ("tokens", "`tokens = { batch = \"env:BATCH_TOKEN\" }`"),
    ("types", "`types = { altitude = \"i64\" }`"),
    (
        "unready_refusals",
        "`unready_refusals = {}` for its defaults; without it, refusals make no server unready",
    ),
    ("with", "`with = { id = \"flight.plane\" }`"),
];

/// The tables whose tables have names that the operator chose.
const OF_NAMES: [&str; 4] = ["backends", "lookups", "views", "callers"];

/// What to write at the key path `key`, where `expected` belongs and `found` is. The value itself is not repeated: it may be a
/// secret.
pub(super) fn instead(key: &str, expected: &str, found: &DeValue<'_>) -> Option<String> {
    if expected.starts_with("a table") || expected.ends_with("a table") {
        return table(key);
    }
    let is_list = expected.ends_with("an array of strings");
    let help = match found {
        DeValue::String(_) if is_list => "put it in brackets: `[\"...\"]`",
        DeValue::String(text) => {
            let fits = match expected {
                "`true` or `false`" => matches!(&**text, "true" | "false"),
                _ => expected.contains("integer") && text.parse::<i64>().is_ok(),
            };
            if !fits {
                return None;
            }
            "write it without quotes"
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_)
            if expected == "a string" =>
        {
            "put it in quotes"
        }
        _ => return None,
    };
    Some(help.to_owned())
}

fn table(key: &str) -> Option<String> {
    let mut path = key.split('.');
    let (first, second) = (path.next()?, path.next());
    if second.is_none() || (OF_NAMES.contains(&first) && path.next().is_none()) {
        return Some(format!(
            "begin a table with the line `[{key}]`, and write its keys below"
        ));
    }
    let last = key.rsplit('.').next()?;
    let example = TABLES.iter().find(|(name, _)| *name == last);
    Some(format!("such as {}", example?.1))
}

#[cfg(test)]
mod tests {
    use crate::config::{document, whole};

    #[test]
    fn a_value_of_a_wrong_type_is_met_with_what_would_be_right() {
        let help = |line: &str, read: fn(&mut crate::config::Section<'_>)| {
            let document = document(line);
            read(&mut whole(&document));
            let problems = document.problems.into_vec();
            problems[0].help.clone()
        };
        let table = |line: &str| {
            help(line, |root| {
                let mut server = root.section("server").expect("it is a table");
                drop(server.section("overload"));
            })
        };
        for line in ["overload = 'measure'", "overload = true"] {
            let said = table(&format!("[server]\n{line}")).expect("an example");
            assert!(said.contains("overload = { mode = \"measure\" }"), "{said}");
        }
        let said = help("admin = true", |root| drop(root.section("admin")));
        assert!(said.expect("an example").contains("`[admin]`"));
        let said = help("use = 'w3c'", |root| drop(root.strings("use")));
        assert_eq!(said.as_deref(), Some("put it in brackets: `[\"...\"]`"));
        let said = help("use = 5", |root| drop(root.string("use")));
        assert_eq!(said.as_deref(), Some("put it in quotes"));
        let said = help("use = '5'", |root| {
            let _none = root.integer("use", 0..=9);
        });
        assert_eq!(said.as_deref(), Some("write it without quotes"));
        let said = help("use = 'true'", |root| {
            let _none = root.bool("use");
        });
        assert_eq!(said.as_deref(), Some("write it without quotes"));
        assert_eq!(help("use = []", |root| drop(root.string("use"))), None);
    }
}
