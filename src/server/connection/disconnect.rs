//! Why a connection ended other than by its client or by a drain.

use std::io;

use crate::error::Code;
use crate::thrift::WireError;

pub(super) enum Disconnect {
    /// Reading or writing failed.
    Io(io::Error),
    /// The client's bytes can't be read as messages.
    Wire(WireError),
    /// The client sent nothing for `idle_timeout`.
    Idle,
    /// The client did not send or take bytes in time.
    Slow(Code),
    /// There was no memory for the rest of a message.
    Overloaded,
}

impl From<io::Error> for Disconnect {
    fn from(err: io::Error) -> Self {
        Disconnect::Io(err)
    }
}
