//! A MySQL server's address and our account there: `mysql://user:password@host:3306/database`.
//!
//! In: a URL as other MySQL clients write it. Out: [`Options`] to connect with. Problems never show the URL: it may carry a
//! password.

use flate2::Compression;

use crate::backend::net::{Address, Secure, percent_decoded};

/// The port of a URL without one.
const PORT: u16 = 3306;

/// A server, our account, and how a session begins.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) address: Address,
    /// TLS, which is then not optional.
    pub(super) secure: Option<Secure>,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: Option<String>,
    pub(super) compression: Option<Compression>,
    /// The statements that begin a session.
    pub(super) session: Vec<String>,
}

impl Options {
    /// The options of a URL, or what is wrong with it.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("mysql://");
        let rest = rest.ok_or("it does not begin with `mysql://`")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        // A password may contain an `@`.
        let (who, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        let mut options = Options {
            address: tcp(place)?,
            secure: None,
            user: percent_decoded(user)?,
            password: percent_decoded(password)?,
            database: Some(percent_decoded(database)?).filter(|name| !name.is_empty()),
            compression: None,
            session: Vec::new(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("socket", path) => options.address = Address::Unix(percent_decoded(path)?),
                ("compression", level) => options.compression = Some(compression(level)?),
                (key, _) => return Err(format!("`{key}` is unknown")),
            }
        }
        if [&options.user, &options.password]
            .iter()
            .any(|text| text.contains('\0'))
        {
            return Err("its user or its password contains a zero".into());
        }
        Ok(options)
    }

    /// The host whose certificate is verified.
    pub(super) fn host(&self) -> &str {
        match &self.address {
            Address::Tcp(host, _) => host,
            Address::Unix(_) => "localhost",
        }
    }

    /// Whether the server is asked over a Unix socket.
    pub(super) fn is_unix(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }
}

/// `host`, `host:port` or `[address]:port`.
fn tcp(place: &str) -> Result<Address, String> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("its address is never closed")?,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => PORT,
        None | Some("") => return Err("invalid port number".into()),
        Some(digits) => digits.parse().map_err(|_| "invalid port number")?,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    if !host.bytes().all(is_plain) {
        return Err("its host has an invalid character".into());
    }
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    Ok(Address::Tcp(host.to_owned(), port))
}

fn compression(level: &str) -> Result<Compression, &'static str> {
    match level {
        "fast" => Ok(Compression::fast()),
        "on" | "true" => Ok(Compression::default()),
        "best" => Ok(Compression::best()),
        digit if digit.len() == 1 => {
            let level = digit
                .parse()
                .map_err(|_| "`compression` has no such value")?;
            Ok(Compression::new(level))
        }
        _ => Err("`compression` has no such value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_an_address_an_account_and_a_database() {
        let options = Options::parse("mysql://an%6e:p%40s:s@db-1:7000/crm?compression=best");
        let options = options.expect("a URL");
        assert_eq!(options.address, Address::Tcp("db-1".into(), 7000));
        assert_eq!((&*options.user, &*options.password), ("ann", "p@s:s"));
        assert_eq!(options.database.as_deref(), Some("crm"));
        assert_eq!(options.compression, Some(Compression::best()));
        let address = |url| Options::parse(url).map(|options| options.address);
        let tcp = |host: &str, port| Ok(Address::Tcp(host.into(), port));
        assert_eq!(address("mysql://h"), tcp("h", 3306));
        assert_eq!(address("mysql://"), tcp("127.0.0.1", 3306));
        assert_eq!(address("mysql://[::1]:7/x"), tcp("::1", 7));
        assert_eq!(address("mysql://u:a@b@h:7"), tcp("h", 7));
        let socket = "mysql://h/db?socket=/run/a%20b.sock";
        assert_eq!(address(socket), Ok(Address::Unix("/run/a b.sock".into())));
        assert!(
            Options::parse("mysql://u@h")
                .expect("a URL")
                .database
                .is_none()
        );
    }

    #[test]
    fn invalid_urls() {
        for (url, expected) in [
            ("mysql://h:x", "port"),
            ("mysql://h:", "port"),
            ("mysql://[::1", "never closed"),
            ("mysql://[::1]x", "port"),
            ("mysql://a b", "invalid character"),
            ("mysql://u%ff@h", "UTF-8"),
            ("mysql://u%00@h", "zero"),
            ("mysql://h?compression=12", "`compression`"),
            ("postgres://h", "`mysql://`"),
        ] {
            let Err(why) = Options::parse(url) else {
                panic!("{url}")
            };
            assert!(why.contains(expected), "{url}: {why}");
        }
    }
}
