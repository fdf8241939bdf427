//! Reads `unserved`: the methods of an IDL that are answered as unknown.

use toml::de::DeValue;

use super::section::{Place, Section};

/// The methods that have no view, and need none.
#[derive(Clone, Debug, Default)]
pub struct Unserved {
    /// Methods by name, each with its place.
    pub methods: Vec<(String, Place)>,
    /// `"*"`: all methods without a view.
    pub others: bool,
}

impl Unserved {
    /// Whether the method called `name` needs no view.
    pub fn covers(&self, name: &str) -> bool {
        self.others || self.named(name).is_some()
    }

    /// The place where the method called `name` is listed.
    pub fn named(&self, name: &str) -> Option<&Place> {
        let found = self.methods.iter().find(|(method, _)| method == name);
        found.map(|(_, place)| place)
    }
}

/// Takes `unserved`.
pub(super) fn read_unserved(section: &mut Section<'_>) -> Unserved {
    let Some((value, place)) = section.take("unserved") else {
        return Unserved::default();
    };
    if let DeValue::String(text) = &value {
        if text != "*" {
            let message = format!("`{text}` is neither `\"*\"` nor a list of methods");
            let help = format!("write `[\"{text}\"]`, or `\"*\"` for all methods without a view");
            section.bad(&place, message, Some(help));
        }
        return Unserved {
            methods: Vec::new(),
            others: true,
        };
    }
    let methods = section.as_strings(&value, &place).unwrap_or_default();
    for (_, place) in methods.iter().filter(|(method, _)| method == "*") {
        let help = "write `unserved = \"*\"`, without brackets";
        section.bad(place, "`*` stands alone", Some(help.into()));
    }
    Unserved {
        others: methods.iter().any(|(method, _)| method == "*"),
        methods: methods
            .into_iter()
            .filter(|(method, _)| method != "*")
            .collect(),
    }
}
