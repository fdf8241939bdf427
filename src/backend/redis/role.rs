//! Asks a server for its role with `ROLE`. An ACL user must be allowed to run that command.

use std::fmt;
use std::time::Duration;

use super::multiplexed::Multiplexed;
use super::resp::{Reply, one, put_command};
use crate::backend::LookupError;
use crate::backend::format::bad_answer;
use crate::error::Code;

/// How often a connection asks whether its server still has the role it had.
pub(super) const CHECK_EVERY: Duration = Duration::from_millis(250);

/// A server's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Master,
    /// Follows a master as it changes.
    Replica,
    /// Has lost its master, or has not caught up with it yet.
    LateReplica,
    /// Such as a sentinel.
    Other,
}

impl Role {
    /// Asks the server at the other end of `redis`.
    pub(super) async fn ask(redis: &Multiplexed) -> Result<Self, LookupError> {
        let mut packed = Vec::new();
        put_command(&mut packed, &[b"ROLE"]);
        let replies = redis.ask(&packed, 1).await?.unwrap_or_default();
        Role::read(&one(replies)?).ok_or_else(|| bad_answer("the reply to `ROLE` is not a role"))
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
            // After the master's host and port comes the state of the replica's connection to it.
            b"slave" if word(3) == Some(b"connected") => Role::Replica,
            b"slave" => Role::LateReplica,
            _ => Role::Other,
        })
    }

    /// The error of a server that has this role instead of the wanted one.
    pub(super) fn is_not(self, wanted: &str) -> LookupError {
        let why = format!("a server that is listed as {wanted} says that it is {self}");
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
