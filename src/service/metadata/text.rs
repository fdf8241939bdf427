//! Decides which text from a caller may appear in logs and in headers. Pure.

/// Longer values are ignored.
pub(super) const VALUE_BYTES_MAX: usize = 8 * 1024;
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
