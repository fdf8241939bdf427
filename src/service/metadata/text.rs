//! Decides which text from a caller may appear in logs and in headers. Pure.

/// Longer values are ignored.
pub(super) const VALUE_BYTES_MAX: usize = 8 * 1024;
/// A traceparent has 55 bytes today; later versions may append to it.
const TRACEPARENT_MAX: usize = 256;
/// The longest text that is taken into a context. Longer text is cut, so that logs stay readable.
const TEXT_BYTES_MAX: usize = 256;

/// The part of `text` that is taken into a context.
pub(in crate::service) fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// Whether `text` may be written to logs and to headers of other protocols.
pub(super) fn is_plain(text: &str) -> bool {
    (1..=VALUE_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether `text` is a traceparent of W3C Trace Context: `00-<32 hex digits>-<16>-<2>`, neither id all zeros. Later
/// versions may append more after a dash.
pub(super) fn is_traceparent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((known, rest)) = bytes.split_at_checked(55) else {
        return false;
    };
    let parts: Vec<&[u8]> = known.split(|byte| *byte == b'-').collect();
    let hex = |part: &[u8]| {
        part.iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let [version, trace, parent, flags] = parts[..] else {
        return false;
    };
    let lengths = [version.len(), trace.len(), parent.len(), flags.len()];
    lengths == [2, 32, 16, 2]
        && parts.iter().all(|part| hex(part))
        && version != b"ff"
        && !zero(trace)
        && !zero(parent)
        && (rest.is_empty() || (version != b"00" && rest[0] == b'-'))
        && bytes.len() <= TRACEPARENT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn traceparents_are_strict() {
        let later = format!("01{}-more", &TRACE[2..]);
        for good in [TRACE, &later] {
            assert!(is_traceparent(good), "{good}");
        }
        let bad = [
            "",
            &TRACE[1..],
            &format!("{TRACE}-more"),
            &format!("01{}more", &TRACE[2..]),
            &format!("ff{}", &TRACE[2..]),
            &TRACE.to_uppercase(),
            &TRACE.replace('-', "_"),
            &TRACE.replacen("-0af", "0-af", 1),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ];
        for bad in bad {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
