//! Reads who may call a method: `allow` of a view, and the tokens of `[server]`.
//!
//! A caller is known by the names in its verified certificate, or by a token. `[server.tokens]` gives each token a name;
//! the token itself is a secret, read with the configuration.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use super::section::{Place, Section};

/// The minimum length of a token in bytes: a shorter one could be guessed.
pub(super) const TOKEN_BYTES_MIN: usize = 16;

/// Who may call a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow(Vec<AllowEntry>);

/// A caller, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowEntry {
    /// `token:NAME`
    Token(String),
    /// A name in a certificate.
    Name(String),
    /// `spiffe://prod/*`: every name with this prefix.
    Prefix(String),
}

impl AllowEntry {
    /// The callers that `word` means, if it means any.
    pub(super) fn read(word: &str) -> Option<Self> {
        if let Some(name) = word.strip_prefix("token:") {
            return Some(AllowEntry::Token(name.to_owned()));
        }
        let wrong = word.is_empty() || word == "/*" || word.trim_end_matches("/*").contains('*');
        if wrong {
            return None;
        }
        Some(match word.strip_suffix('*') {
            Some(start) => AllowEntry::Prefix(start.to_owned()),
            None => AllowEntry::Name(word.to_owned()),
        })
    }

    /// Whether it means the holder of any of these names of a certificate.
    pub fn has_name(&self, names: &[String]) -> bool {
        names.iter().any(|name| match self {
            AllowEntry::Name(allowed) => allowed == name,
            AllowEntry::Prefix(start) => name.starts_with(start),
            AllowEntry::Token(_) => false,
        })
    }

    /// The holder of a token, if it means one.
    pub fn token(&self) -> Option<&str> {
        match self {
            AllowEntry::Token(name) => Some(name),
            AllowEntry::Name(_) | AllowEntry::Prefix(_) => None,
        }
    }
}

impl Allow {
    /// Whether any of these names of a certificate is allowed.
    pub fn has_name(&self, names: &[String]) -> bool {
        self.0.iter().any(|entry| entry.has_name(names))
    }

    /// Whether the holder of a token is allowed.
    pub fn has_token(&self, holder: &str) -> bool {
        self.tokens().any(|allowed| allowed == holder)
    }

    /// Whether any name of a certificate is allowed.
    pub(crate) fn names_certificates(&self) -> bool {
        self.0.iter().any(|entry| entry.token().is_none())
    }

    /// The holders of tokens that are allowed.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().filter_map(AllowEntry::token)
    }
}

/// `allow` of a view.
#[derive(Clone, Debug)]
pub struct AllowKey {
    /// Who may call the method.
    pub allow: Allow,
    /// The tokens in it, each with its place.
    pub tokens: Vec<(String, Place)>,
    /// Its place.
    pub place: Place,
}

/// Who may ask for faults: `inject` of `[server]`.
#[derive(Debug)]
pub enum InjectKey {
    /// Every caller.
    Everyone,
    /// These callers.
    Callers(AllowKey),
}

/// Takes the key `inject` of `[server]`.
pub(super) fn read_inject_from(section: &mut Section<'_>) -> Option<InjectKey> {
    let (words, place) = section.strings("inject")?;
    if let [(word, _)] = &words[..]
        && word == "*"
    {
        return Some(InjectKey::Everyone);
    }
    if words.is_empty() {
        let help = "to allow no one, remove `inject`; to allow everyone, write `[\"*\"]`";
        section.bad(&place, "no caller could inject a fault", Some(help.into()));
    }
    Some(InjectKey::Callers(read_entries(section, words, place)))
}

/// Takes the key `allow` of a view.
pub(super) fn read_allow(section: &mut Section<'_>) -> Option<AllowKey> {
    let (words, place) = section.strings("allow")?;
    if words.is_empty() {
        let help = "to allow everyone, remove `allow`; to allow no one, list the method in `server.unserved`";
        section.bad(&place, "no caller could call the method", Some(help.into()));
    }
    Some(read_entries(section, words, place))
}

fn read_entries(section: &Section<'_>, words: Vec<(String, Place)>, place: Place) -> AllowKey {
    let mut tokens = Vec::new();
    let entries = words.into_iter().filter_map(|(word, place)| {
        let entry = AllowEntry::read(&word);
        match entry.as_ref().map(AllowEntry::token) {
            None => {
                let help = "a name as certificates have it, all names below one (`\"spiffe://prod/*\"`), or `\"token:NAME\"`";
                section.bad(&place, format!("`{word}` does not name a caller"), Some(help.into()));
            }
            Some(Some(name)) => tokens.push((name.to_owned(), place)),
            Some(None) => {}
        }
        entry
    });
    let allow = Allow(entries.collect());
    AllowKey {
        allow,
        tokens,
        place,
    }
}

/// Tokens and their holders.
#[derive(Clone, Default)]
pub struct Tokens(Vec<(Arc<str>, Box<[u8]>)>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Tokens {
    /// The holder of a token. Takes the same time whichever token it resembles.
    pub fn holder(&self, token: &[u8]) -> Option<&str> {
        let mut found = None;
        for (name, secret) in &self.0 {
            if bool::from(secret.ct_eq(token)) {
                found = Some(&**name);
            }
        }
        found
    }

    /// The holders of all tokens.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|(name, _)| &**name)
    }
}

/// Takes the key `tokens` of `[server]`.
pub(super) fn read_tokens(section: &mut Section<'_>) -> Tokens {
    let Some(mut table) = section.section("tokens") else {
        return Tokens::default();
    };
    let mut tokens = Vec::new();
    for name in table.keys() {
        let Some((value, place)) = table.take_named(&name) else {
            continue;
        };
        let Some(text) = value.as_str() else {
            table.expected(&place, "a reference such as `\"env:TOKEN\"`", &value);
            continue;
        };
        if !text.starts_with("env:") && !text.starts_with("file:") {
            let help = "write `\"env:NAME\"` or `\"file:PATH\"`";
            let message = "a token must not be written in the file itself";
            table.bad(&place, message, Some(help.into()));
            continue;
        }
        let Some(secret) = table.resolve_secret(text.to_owned(), &place) else {
            continue;
        };
        if secret.len() < TOKEN_BYTES_MIN {
            let message = format!("the token has fewer than {TOKEN_BYTES_MIN} bytes");
            let help = "make one with `openssl rand -hex 32`";
            table.bad(&place, message, Some(help.into()));
        }
        tokens.push((Arc::from(name), secret.into_bytes().into()));
    }
    table.finish();
    Tokens(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_exactly_or_by_prefix() {
        let allow = Allow(vec![
            AllowEntry::Name("web.test".into()),
            AllowEntry::Prefix("spiffe://prod/".into()),
            AllowEntry::Token("batch".into()),
        ]);
        let has = |name: &str| allow.has_name(&[name.to_owned()]);
        assert!(has("web.test") && has("spiffe://prod/web") && has("spiffe://prod/a/b"));
        for stranger in [
            "Web.test",
            "web.test.evil",
            "spiffe://prod",
            "spiffe://prod2/web",
        ] {
            assert!(!has(stranger), "{stranger}");
        }
        // A name in a certificate is not a token.
        assert!(!has("batch") && !has("token:batch"));
        assert!(allow.has_token("batch") && !allow.has_token("web.test"));
        assert!(!allow.has_name(&[]));
        assert!(allow.has_name(&["other".into(), "web.test".into()]));
    }

    #[test]
    fn tokens_are_whole() {
        let tokens = Tokens(vec![
            ("one".into(), (*b"0123456789abcdef").into()),
            ("two".into(), (*b"0123456789abcdeg").into()),
        ]);
        assert_eq!(tokens.holder(b"0123456789abcdef"), Some("one"));
        assert_eq!(tokens.holder(b"0123456789abcdeg"), Some("two"));
        for wrong in [&b""[..], b"0123456789abcde", b"0123456789abcdef0"] {
            assert_eq!(tokens.holder(wrong), None);
        }
        assert_eq!(format!("{tokens:?}"), r#"["one", "two"]"#);
    }
}
