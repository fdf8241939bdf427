//! An account at memcached servers that ask for one (`memcached -Y`): `user` and `password`.
//!
//! With the text protocol, the first command of a connection is a `set` whose value is the account, whatever its key. Its
//! lifetime is negative: on a server that asks for no account, the value is gone as soon as it is stored.

use std::fmt;

use crate::config::Section;

/// The longest user and the longest password, which is memcached's own limit for both together.
const BYTES_MAX: usize = 255;

/// A user and a password.
pub(super) struct Account {
    user: String,
    password: String,
}

/// Without the password.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

impl Account {
    /// Takes `user` and `password`; problems go to the section.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        const EXAMPLE: &str = "password = \"env:CACHE_PASSWORD\"";
        let both = [section.has("user"), section.has("password")];
        let user = section.string("user");
        let password = match both {
            [_, true] => section.secret("password", EXAMPLE),
            [has_user, false] => {
                section.take("password");
                if has_user {
                    section.missing("password", EXAMPLE);
                }
                None
            }
        };
        if both == [false, true] {
            section.missing("user", "user = \"reader\"");
        }
        let ((user, user_at), (password, password_at)) = (user?, password?);
        let before = section.document().problems.len();
        if !is_word(&user) || user.contains([' ', ':']) {
            let help = "1 to 255 characters, no blank and no `:` among them";
            section.bad(
                &user_at,
                "memcached can't have such a user",
                Some(help.into()),
            );
        }
        if !is_word(&password) || password.contains(' ') {
            let help = "1 to 255 characters, no blank and no line end among them";
            let message = "memcached can't have such a password";
            section.bad(&password_at, message, Some(help.into()));
        }
        (section.document().problems.len() == before).then_some(Account { user, password })
    }

    /// Appends the command that logs in, for which `key` stands in the place of a key.
    pub(super) fn put(&self, key: &str, out: &mut Vec<u8>) {
        let length = self.user.len() + 1 + self.password.len();
        out.extend_from_slice(format!("set {key} 0 -1 {length}\r\n").as_bytes());
        out.extend_from_slice(self.user.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.password.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn is_word(text: &str) -> bool {
    (1..=BYTES_MAX).contains(&text.len()) && !text.bytes().any(|byte| byte.is_ascii_control())
}
