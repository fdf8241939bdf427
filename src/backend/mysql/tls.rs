//! TLS to MySQL and MariaDB: when it is used, and with which options.
//!
//! The URL's `ssl-mode` has MySQL's values. `REQUIRED` verifies as `VERIFY_IDENTITY` does, unless
//! `tls = { verify = "none" }` says otherwise; modes that may fall back to plain text are refused.

use super::options::Options;
use crate::backend::net::Secure;
use crate::backend::tls::Tls;
use crate::config::{Place, Section};

/// The `ssl-mode` of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// Not given: TLS with the key `tls`, otherwise none.
    Silent,
    Disabled,
    Required,
    VerifyIdentity,
}

impl TlsMode {
    /// Removes `ssl-mode` from the URL.
    pub(super) fn take(section: &Section<'_>, url: &str, place: &Place) -> Option<(String, Self)> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (modes, rest): (Vec<&str>, Vec<&str>) = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .partition(|pair| pair.starts_with("ssl-mode="));
        let mode = match modes.last() {
            None => TlsMode::Silent,
            Some(pair) => Self::read(section, pair, place)?,
        };
        let mark = if rest.is_empty() { "" } else { "?" };
        Some((format!("{base}{mark}{}", rest.join("&")), mode))
    }

    fn read(section: &Section<'_>, pair: &str, place: &Place) -> Option<Self> {
        let word = pair.trim_start_matches("ssl-mode=").to_ascii_uppercase();
        let (message, help) = match &*word {
            "DISABLED" => return Some(TlsMode::Disabled),
            "REQUIRED" => return Some(TlsMode::Required),
            "VERIFY_IDENTITY" => return Some(TlsMode::VerifyIdentity),
            "PREFERRED" => (
                "`ssl-mode=PREFERRED` would fall back to plain text",
                "use `REQUIRED` or `DISABLED`",
            ),
            "VERIFY_CA" => (
                "`ssl-mode=VERIFY_CA` is not known here",
                "use `VERIFY_IDENTITY`; `tls = { server_name = \"..\" }` is for a certificate with another name",
            ),
            _ => (
                "`ssl-mode` has no such value here",
                "`DISABLED`, `REQUIRED` or `VERIFY_IDENTITY`",
            ),
        };
        section.bad(place, message, Some(help.into()));
        None
    }

    /// Adds TLS to the options, as this and the key `tls` say.
    pub(super) fn secure(
        self,
        section: &Section<'_>,
        (options, place): (Options, &Place),
        tls: Option<Tls>,
    ) -> Option<Options> {
        let refuse = |message: &str, help: &str| {
            section.bad(place, message, Some(help.into()));
            None
        };
        let tls = match (self, tls) {
            (TlsMode::Silent | TlsMode::Disabled, None) => return Some(options),
            (TlsMode::Disabled, Some(_)) => {
                let help = "leave `ssl-mode` out of the URL, or `tls`";
                return refuse("with `tls` nothing is sent without TLS", help);
            }
            (TlsMode::VerifyIdentity, Some(tls)) if !tls.verifies() => {
                let help = "leave out one of them";
                return refuse("`ssl-mode=VERIFY_IDENTITY` and `verify = \"none\"`", help);
            }
            (TlsMode::Required | TlsMode::VerifyIdentity, None) => Tls::verified(),
            (_, Some(tls)) => tls,
        };
        if options.is_unix() {
            let help = "leave `ssl-mode` and `tls` out";
            return refuse("there is no TLS over a Unix socket", help);
        }
        if tls.name(options.host()).is_err() {
            let help = "add `tls = { server_name = \"..\" }` beside `url`";
            return refuse(
                "the URL's host is not a name that a certificate could have",
                help,
            );
        }
        Some(Options {
            secure: Some(Secure::new(tls)),
            ..options
        })
    }
}
