//! The combination of transport and protocol that a client uses, and sets of such combinations.

use std::fmt;

use super::protocol::Protocol;

/// How a stream is cut into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A length comes before each message.
    Framed,
    /// Messages follow each other directly; only reading a message shows where it ends.
    Unframed,
    /// `THeader`: framed, with a header before each message that names the message's protocol.
    Header,
}

impl Transport {
    /// Every transport.
    pub const ALL: &[Transport] = &[Transport::Framed, Transport::Unframed, Transport::Header];
}

/// Transport and protocol of a client. A reply has the wire format of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WireFormat {
    /// How the stream is cut into messages.
    pub transport: Transport,
    /// How values become bytes.
    pub protocol: Protocol,
}

impl fmt::Display for WireFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Framed => "framed",
            Transport::Unframed => "unframed",
            Transport::Header => "THeader",
        };
        let protocol = self.protocol.name().replace('_', " ");
        write!(f, "{transport} {protocol}")
    }
}

/// A set of wire formats; by default, all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireFormats(u32);

/// The bits of one transport.
const PROTOCOL_BITS: u32 = 8;
const _: () = assert!(
    Protocol::ALL.len() <= PROTOCOL_BITS as usize,
    "each protocol has a bit"
);

impl Default for WireFormats {
    fn default() -> Self {
        WireFormats::ALL
    }
}

impl WireFormats {
    /// Every wire format.
    pub const ALL: WireFormats = WireFormats(u32::MAX);

    /// Each of these transports with each of these protocols.
    pub fn of(transports: &[Transport], protocols: &[Protocol]) -> Self {
        let mut bits = 0;
        for &transport in transports {
            for &protocol in protocols {
                bits |= bit(WireFormat {
                    transport,
                    protocol,
                });
            }
        }
        WireFormats(bits)
    }

    /// Whether the set contains `wire_format`.
    pub fn has(self, wire_format: WireFormat) -> bool {
        self.0 & bit(wire_format) != 0
    }

    /// Whether the sets have different transports, and whether they have different protocols.
    pub fn differences(self, other: Self) -> [bool; 2] {
        let has_protocol = |set: Self, protocol| {
            let mut all = Transport::ALL.iter().map(|&transport| WireFormat {
                transport,
                protocol,
            });
            all.any(|wire_format| set.has(wire_format))
        };
        let mut transports = Transport::ALL.iter();
        let mut protocols = Protocol::ALL.iter();
        [
            transports.any(|&it| self.has_transport(it) != other.has_transport(it)),
            protocols.any(|&it| has_protocol(self, it) != has_protocol(other, it)),
        ]
    }

    /// Whether the set contains any wire format with this transport.
    pub fn has_transport(self, transport: Transport) -> bool {
        Protocol::ALL.iter().any(|&protocol| {
            self.has(WireFormat {
                transport,
                protocol,
            })
        })
    }
}

fn bit(wire_format: WireFormat) -> u32 {
    1 << (wire_format.transport as u32 * PROTOCOL_BITS + wire_format.protocol as u32)
}
