//! Reads `[admin]`: the port for operators, which is closed unless it is configured.

use super::listener::read_listen;
use super::section::Section;

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// The address for probes and scrapes; port 0 takes a free one. It has no default, so that the port is never open by
    /// accident.
    pub listen: String,
    /// Whether the port may be told to remove cached answers. Default: if its address is one of this machine only.
    pub purge: Option<bool>,
}

/// Reads `[admin]` from the whole file.
pub(crate) fn read_admin(root: &mut Section<'_>) -> Option<AdminConfig> {
    let mut section = root.section("admin")?;
    let listen = if section.has("listen") {
        read_listen(&mut section)
    } else {
        section
            .required_string("listen", "listen = \"127.0.0.1:9091\"")
            .map(|(listen, _)| listen)
    };
    let purge = section.bool("purge");
    section.finish();
    listen.map(|listen| AdminConfig { listen, purge })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    /// What is read, and the messages of its problems.
    fn read(text: &str) -> (Option<String>, Vec<String>) {
        let document = document(text);
        let read = read_admin(&mut whole(&document)).map(|admin| admin.listen);
        let problems = document.problems.into_vec();
        let messages = problems.into_iter().map(|problem| problem.message);
        (read, messages.collect())
    }

    #[test]
    fn there_is_a_port_only_if_one_is_configured() {
        assert_eq!(read(""), (None, vec![]));
        let (listen, problems) = read("[admin]\nlisten = \"[::1]:0\"");
        assert_eq!(listen.as_deref(), Some("[::1]:0"));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(read("[admin]").1, ["`listen` is missing"]);
        assert_eq!(read("admin = true").1.len(), 1);
        assert_eq!(
            read("[admin]\nlisten = \"9091\"").1,
            ["`9091` is not an address"]
        );
        assert_eq!(read("[admin]\nport = 9091").1.len(), 2);
    }
}
