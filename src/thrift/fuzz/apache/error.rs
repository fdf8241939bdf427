//! Converts errors between Apache's traits and this codec.

use thrift::{ProtocolError, ProtocolErrorKind};

use crate::error::Code;
use crate::thrift::WireError;

impl From<WireError> for thrift::Error {
    fn from(err: WireError) -> Self {
        let kind = match err.code {
            Code::WireFrameTooLarge => ProtocolErrorKind::SizeLimit,
            Code::WireTooDeep => ProtocolErrorKind::DepthLimit,
            Code::WireUnrecognized => ProtocolErrorKind::BadVersion,
            Code::ServerInternal => ProtocolErrorKind::Unknown,
            _ => ProtocolErrorKind::InvalidData,
        };
        thrift::Error::Protocol(ProtocolError::new(kind, err.detail))
    }
}

impl From<thrift::Error> for WireError {
    fn from(err: thrift::Error) -> Self {
        // thrift's own `Display` prints the kind and leaves the message out.
        let (code, detail) = match err {
            thrift::Error::Transport(err) => (Code::WireTruncated, err.message),
            thrift::Error::Protocol(err) => match err.kind {
                ProtocolErrorKind::SizeLimit => (Code::WireFrameTooLarge, err.message),
                ProtocolErrorKind::DepthLimit => (Code::WireTooDeep, err.message),
                _ => (Code::WireInvalid, err.message),
            },
            thrift::Error::Application(err) => (Code::WireInvalid, err.message),
            thrift::Error::User(err) => (Code::WireInvalid, err.to_string()),
        };
        WireError { code, detail }
    }
}
