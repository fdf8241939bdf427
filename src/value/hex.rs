//! Hexadecimal forms: bytes as digits, and UUIDs as text.

use std::fmt::Write as _;

use uuid::Uuid;

/// Two lower-case digits per byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String can't fail");
    }
    text
}

/// The hyphenated form of a UUID, in lower case.
pub fn uuid_text(uuid: &[u8; 16]) -> String {
    Uuid::from_bytes(*uuid).hyphenated().to_string()
}

/// A UUID from its hyphenated form, or from 32 digits without hyphens. Braces and `urn:uuid:` are refused.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let uuid = Uuid::try_parse(text).ok();
    let uuid = uuid.filter(|_| matches!(text.len(), 32 | 36));
    uuid.map(Uuid::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: [u8; 16] = [
        0x2f, 0x1d, 0x1c, 0x3e, 0x7a, 0x0b, 0x4b, 0x1e, 0x9c, 0x8d, 0x01, 0x23, 0x45, 0x67, 0x89,
        0xab,
    ];

    #[test]
    fn a_uuid_is_written_with_hyphens() {
        assert_eq!(uuid_text(&UUID), "2f1d1c3e-7a0b-4b1e-9c8d-0123456789ab");
    }

    #[test]
    fn a_uuid_is_read_with_or_without_hyphens() {
        for text in [
            "2f1d1c3e-7a0b-4b1e-9c8d-0123456789ab",
            "2F1D1C3E-7A0B-4B1E-9C8D-0123456789AB",
            "2f1d1c3e7a0b4b1e9c8d0123456789ab",
        ] {
            assert_eq!(parse_uuid(text), Some(UUID), "{text}");
        }
        for text in [
            "",
            "{2f1d1c3e-7a0b-4b1e-9c8d-0123456789ab}",
            "urn:uuid:2f1d1c3e-7a0b-4b1e-9c8d-0123456789ab",
            "2f1d1c3e7-a0b-4b1e-9c8d-0123456789ab",
            "2f1d1c3e-7a0b-4b1e-9c8d0123456789ab",
            "2f1d1c3e7a0b4b1e9c8d0123456789ag",
        ] {
            assert_eq!(parse_uuid(text), None, "{text}");
        }
    }
}
