//! Computes which of a cluster's 16384 slots a key is in: the CRC16 of the key, or of its hash tag.
//!
//! A hash tag is the text between the first `{` and the first `}` after it, unless it is empty. Source:
//! redis.io, "Redis cluster specification", "Key distribution model" and "Hash tags".

/// How many slots there are.
pub(super) const SLOTS: usize = 16_384;

/// The slot of `key`.
pub(in crate::backend::redis) fn of(key: &[u8]) -> u16 {
    // A power of two, so the mask is the remainder.
    crc16(tag(key).unwrap_or(key)) & 0x3fff
}

/// The hash tag of `key`.
fn tag(key: &[u8]) -> Option<&[u8]> {
    let start = key.iter().position(|&byte| byte == b'{')? + 1;
    let length = key[start..].iter().position(|&byte| byte == b'}')?;
    (length > 0).then(|| &key[start..start + length])
}

/// CRC16/XMODEM: polynomial 0x1021, nothing reflected, starting from zero.
fn crc16(bytes: &[u8]) -> u16 {
    let step = |crc: u16, &byte: &u8| {
        let at = crc.to_be_bytes()[0] ^ byte;
        (crc << 8) ^ TABLE[usize::from(at)]
    };
    bytes.iter().fold(0, step)
}

const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    let mut byte = 0_u16;
    while at < table.len() {
        let mut crc = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with `CLUSTER KEYSLOT` of a server; the first is the specification's own example.
    #[test]
    fn slots_are_those_of_the_server() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(of(b"foo"), 12_182);
        assert_eq!(of(b"bar"), 5061);
        assert_eq!(of(b""), 0);
    }

    #[test]
    fn a_tag_decides_alone() {
        assert_eq!(of(b"{user:1}:name"), of(b"user:1"));
        assert_eq!(of(b"a{user:1}{b}"), of(b"user:1"));
        assert_eq!(of(b"a{{x}}"), of(b"{x"));
        for whole in [&b"a{}b"[..], b"a{b", b"a}b{", b"{}{a}"] {
            assert_eq!(tag(whole), None, "{whole:?}");
        }
    }
}
