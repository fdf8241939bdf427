//! The table of protocols. A new protocol is one folder that implements [`Codec`], and one line here.

use super::codec::Codec;

/// Makes [`Protocol`] and `with_codec!` from the table; `$d` is a dollar sign for the inner macro.
macro_rules! protocols {
    ($d:tt $($(#[$doc:meta])* $name:ident => $codec:ty,)*) => {
        /// How values become bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Protocol {
            $($(#[$doc])* $name,)*
        }

        impl Protocol {
            /// Every protocol.
            pub const ALL: &[Protocol] = &[$(Protocol::$name,)*];
        }

        /// Evaluates an expression in which a type name stands for the [`Codec`] of a protocol. The expression is
        /// compiled once per protocol: the only dispatch is one `match`.
        macro_rules! with_codec {
            ($d protocol:expr, $d codec:ident => $d then:expr) => {
                match $d protocol {
                    $($crate::thrift::Protocol::$name => {
                        type $d codec = $codec;
                        $d then
                    })*
                }
            };
        }
    };
}

protocols! { $
    /// Binary with a version in each message's head ("strict").
    Binary => crate::thrift::binary::Strict,
    /// Binary as it was before it had a version ("non-strict"). Only the head differs.
    BinaryOld => crate::thrift::binary::Old,
    /// Compact.
    Compact => crate::thrift::compact::Compact,
}

pub(crate) use with_codec;

impl Protocol {
    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        with_codec!(self, C => C::NAME)
    }

    /// The protocol's number in a `THeader` frame.
    pub(super) fn header_id(self) -> u32 {
        with_codec!(self, C => C::HEADER_ID)
    }

    /// The first byte of every message.
    pub(super) fn first_byte(self) -> u8 {
        with_codec!(self, C => C::FIRST_BYTE)
    }

    /// Whether a message that starts with these two bytes is of this protocol and of a known version.
    pub(super) fn is_start(self, start: [u8; 2]) -> bool {
        with_codec!(self, C => C::is_start(start))
    }
}
