//! TLS to PostgreSQL: when it is used, and how.
//!
//! The URL's `sslmode` has libpq's values but is stricter: `require` verifies as `verify-full` does, unless
//! `tls = { verify = "none" }` says otherwise. `prefer` verifies nothing, as in libpq: an attacker who could impersonate
//! the server could also pretend that it has no TLS. Passwords are bound to the server's certificate
//! (`tls-server-end-point`) if the server supports that.

mod stream;

use std::borrow::Cow;
use std::sync::Arc;

use tokio_postgres::config::{Host, SslMode};

pub(super) use self::stream::Secure;
use crate::backend::tls::{Reported, Tls};
use crate::config::{Place, Section};

/// The `sslmode` of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// Not given: TLS with the key `tls`, otherwise none.
    Silent,
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

/// Files that libpq's URLs may name, and the keys that name them here.
const FILES: &[(&str, &str)] = &[
    ("sslrootcert", "ca"),
    ("sslcert", "certificate"),
    ("sslkey", "key"),
];

impl TlsMode {
    pub(super) fn read(section: &Section<'_>, url: &str, place: &Place) -> Option<Self> {
        let options = || url.split(['?', '&', ' ']);
        for (option, key) in FILES {
            let named = |it: &str| it.split_once('=').is_some_and(|(name, _)| name == *option);
            if options().any(named) {
                let message = format!("`{option}` in the URL is not known here");
                let help = format!("add `tls = {{ {key} = \"..\" }}` beside `url`");
                section.bad(place, message, Some(help));
                return None;
            }
        }
        let mut modes = options().filter_map(|option| option.strip_prefix("sslmode="));
        let (message, help) = match modes.next_back() {
            None => return Some(TlsMode::Silent),
            Some("disable") => return Some(TlsMode::Disable),
            Some("prefer") => return Some(TlsMode::Prefer),
            Some("require") => return Some(TlsMode::Require),
            Some("verify-full") => return Some(TlsMode::VerifyFull),
            Some("verify-ca") => (
                "`sslmode=verify-ca` is not known here",
                "use `verify-full`; `tls = { server_name = \"..\" }` is for a certificate with another name",
            ),
            Some(_) => (
                "`sslmode` has no such value here",
                "`disable`, `prefer`, `require` or `verify-full`",
            ),
        };
        section.bad(place, message, Some(help.into()));
        None
    }

    /// The URL with a mode that the client supports.
    pub(super) fn known(self, url: &str) -> Cow<'_, str> {
        match self {
            TlsMode::VerifyFull => url.replace("sslmode=verify-full", "sslmode=require").into(),
            _ => url.into(),
        }
    }

    /// Configures TLS on `client`, as this and the key `tls` say.
    pub(super) fn choose(
        self,
        section: &Section<'_>,
        (client, place): (&mut tokio_postgres::Config, &Place),
        tls: Option<Tls>,
    ) -> Result<Option<Secure>, Reported> {
        let refuse = |message: &str, help: &str| {
            section.bad(place, message, Some(help.into()));
            Err(Reported)
        };
        let (mode, tls) = match (self, tls) {
            (TlsMode::Silent | TlsMode::Disable, None) => {
                client.ssl_mode(SslMode::Disable);
                return Ok(None);
            }
            (TlsMode::Prefer, None) => (SslMode::Prefer, Tls::unverified()),
            (TlsMode::Disable | TlsMode::Prefer, Some(_)) => {
                let help = "leave `sslmode` out of the URL, or `tls`";
                return refuse("with `tls` nothing is sent without TLS", help);
            }
            (TlsMode::VerifyFull, Some(tls)) if !tls.verifies() => {
                let help = "leave out one of them";
                return refuse("`sslmode=verify-full` and `verify = \"none\"`", help);
            }
            (TlsMode::Require | TlsMode::VerifyFull, None) => (SslMode::Require, Tls::verified()),
            (_, Some(tls)) => (SslMode::Require, tls),
        };
        let socket = |host: &Host| matches!(host, Host::Unix(_));
        if mode == SslMode::Require {
            if client.get_hosts().iter().any(socket) {
                let help = "leave `sslmode` and `tls` out";
                return refuse("there is no TLS over a Unix socket", help);
            }
            if client.get_hosts().is_empty() {
                let help = "add `host`, which is what is verified, to `hostaddr`";
                return refuse("TLS needs a host's name", help);
            }
        }
        client.ssl_mode(mode);
        Ok(Some(Secure::new(Arc::new(tls))))
    }
}
