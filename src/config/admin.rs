//! Reads `[admin]`: the port for operators, which is not there unless it is asked for.

use super::section::Section;
use super::server::read_listen;

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where operators' probes and scrapes connect; port 0 takes a free one. It has no default: nobody is to
    /// find it open without knowing.
    pub listen: String,
}

/// Reads `[admin]` from the whole file.
pub(super) fn read_admin(root: &mut Section<'_>) -> Option<AdminConfig> {
    let mut section = root.section("admin")?;
    let listen = if section.has("listen") {
        read_listen(&mut section)
    } else {
        section
            .required_string("listen", "listen = \"127.0.0.1:9091\"")
            .map(|(listen, _)| listen)
    };
    section.finish();
    listen.map(|listen| AdminConfig { listen })
}
