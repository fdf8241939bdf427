//! Keeps out of the configuration file what is secret or differs from host to host: reads what `env:NAME` and `file:PATH`
//! refer to.

use super::bytes::text_of;
use super::section::{Place, Section};
use crate::error::Code;

impl Section<'_> {
    /// A string that may refer to a secret: `env:NAME`, or `file:PATH` whose trailing line ends are cut.
    pub fn secret(&mut self, key: &'static str, example: &str) -> Option<(String, Place)> {
        let (text, place) = self.required_string(key, example)?;
        let secret = self.resolve_secret(text, &place)?;
        Some((secret, place))
    }

    /// What `text` refers to if it is `env:NAME` or `file:PATH`; otherwise `text` itself.
    pub fn resolve_secret(&self, text: String, place: &Place) -> Option<String> {
        if let Some(name) = text.strip_prefix("env:") {
            return match std::env::var(name) {
                Ok(secret) => {
                    self.document().note(secret.as_bytes());
                    Some(secret)
                }
                Err(_) => {
                    self.bad(
                        place,
                        format!("the environment variable `{name}` is not set"),
                        Some(format!("set `{name}` in the server's environment")),
                    );
                    None
                }
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            let full = self.relative(path);
            self.document().reads(&full);
            return match text_of(&full) {
                Ok(secret) => {
                    self.document().note(secret.as_bytes());
                    Some(secret.trim_end_matches(['\r', '\n']).to_owned())
                }
                Err(err) => {
                    self.document().problem(
                        place,
                        Code::ConfigFile,
                        format!("can't read `{}`: {err}", full.display()),
                        Some("the path is relative to this file's folder".into()),
                    );
                    None
                }
            };
        }
        Some(text)
    }
}
