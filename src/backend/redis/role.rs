//! What a server says it is: `ROLE`, which an ACL user has to be allowed.

use std::fmt;

use super::connection::one;
use super::pipe::Pipe;
use super::resp::{Reply, put_command};
use crate::backend::{LookupError, format::bad_answer};
use crate::error::Code;

/// A server's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Master,
    /// Follows a master as it changes.
    Replica,
    /// Has lost its master, or has not caught up with it yet.
    LateReplica,
    /// A sentinel, for one.
    Other,
}

impl Role {
    /// Asks the server at the other end of `pipe`.
    pub(super) async fn ask(pipe: &Pipe) -> Result<Self, LookupError> {
        let mut packed = Vec::new();
        put_command(&mut packed, &[b"ROLE"]);
        let replies = pipe.ask(&packed, 1).await?.unwrap_or_default();
        Role::read(&one(replies)?).ok_or_else(|| bad_answer("`ROLE` is answered with no role"))
    }

    fn read(reply: &Reply) -> Option<Self> {
        let Reply::Array(words) = reply else {
            return None;
        };
        let word = |at: usize| match words.get(at) {
            Some(Reply::String(word)) => Some(&**word),
            _ => None,
        };
        Some(match word(0)? {
            b"master" => Role::Master,
            // After its master's host and port it says how it is connected to it.
            b"slave" if word(3) == Some(b"connected") => Role::Replica,
            b"slave" => Role::LateReplica,
            _ => Role::Other,
        })
    }

    /// That a server with this role is not who was looked for.
    pub(super) fn is_not(self, wanted: &str) -> LookupError {
        let why = format!("a server that is named as {wanted} says it is {self}");
        LookupError::new(Code::LookupUnavailable, why)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Master => "a master",
            Role::Replica => "a replica",
            Role::LateReplica => "a replica that is not in sync",
            Role::Other => "neither master nor replica",
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::backend::redis::resp::Parser;

    fn role(text: &str) -> Option<Role> {
        let mut bytes = BytesMut::from(text);
        let reply = Parser::default().next(&mut bytes).expect("a reply");
        Role::read(&reply.expect("a whole one"))
    }

    #[test]
    fn replies_to_role() {
        let master = "*3\r\n$6\r\nmaster\r\n:14\r\n*0\r\n";
        assert_eq!(role(master), Some(Role::Master));
        let slave = |state: &str| {
            let length = state.len();
            format!("*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:6379\r\n${length}\r\n{state}\r\n:14\r\n")
        };
        assert_eq!(role(&slave("connected")), Some(Role::Replica));
        for late in ["connect", "connecting", "sync"] {
            assert_eq!(role(&slave(late)), Some(Role::LateReplica));
        }
        assert_eq!(role("*2\r\n$8\r\nsentinel\r\n*0\r\n"), Some(Role::Other));
        for none in ["*0\r\n", ":1\r\n", "*1\r\n:1\r\n"] {
            assert_eq!(role(none), None, "{none:?}");
        }
    }
}
