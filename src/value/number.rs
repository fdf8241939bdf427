//! Reads numbers from text without changing them.

/// The double that `text` stands for: the nearest one. `None` if it is not a number, or larger than any double.
/// `inf` and `NaN` are read as such.
pub fn parse_double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let is_overflow = number.is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
    (!is_overflow).then_some(number)
}

/// Whether `text` is an integer that no `i64` holds.
pub fn is_beyond_i64(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // Of digits only, so that the one way to fail is to be out of range.
    digits.len() >= 19 && is_integer && text.parse::<i64>().is_err()
}

/// The double with the digits of `text`, an integer beyond `i64`. `None` if no double prints as these digits do, exactly
/// or in its shortest form: 1e23 is written `100000000000000000000000` and is 99999999999999991611392.
pub fn double_of_integer(text: &str) -> Option<f64> {
    let number = parse_double(text)?;
    let digits = text.strip_prefix('+').unwrap_or(text);
    let prints_so = number.to_string() == digits || format!("{number:.0}") == digits;
    prints_so.then_some(number)
}

/// The bytes of a size such as `16MiB`.
pub fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: usize = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// The digits of an integer, without an allocation or a formatter.
pub(crate) struct IntegerText {
    /// The text is at the end.
    bytes: [u8; IntegerText::BYTES_MAX],
    start: usize,
}

impl IntegerText {
    /// Nineteen digits and a sign.
    const BYTES_MAX: usize = 20;

    /// The text of `number`, as it is displayed.
    #[inline]
    pub(crate) fn new(number: i64) -> Self {
        let mut bytes = [b'0'; IntegerText::BYTES_MAX];
        let mut start = bytes.len();
        let mut rest = number.unsigned_abs();
        while rest > 0 || start == bytes.len() {
            let [digit, ..] = (rest % 10).to_le_bytes();
            start -= 1;
            bytes[start] += digit;
            rest /= 10;
        }
        if number < 0 {
            start -= 1;
            bytes[start] = b'-';
        }
        IntegerText { bytes, start }
    }

    /// The text.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The text.
    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("digits and a sign")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_text_of_an_integer_is_what_is_displayed(number in any::<i64>(), less in 0_u32..64) {
            for number in [number, number >> less, 0, i64::MIN, i64::MAX] {
                let (text, displayed) = (IntegerText::new(number), number.to_string());
                prop_assert_eq!(text.as_bytes(), displayed.as_bytes());
            }
        }
    }

    #[test]
    fn a_number_beyond_every_double_is_none() {
        for text in ["1e400", "-1e400", "", "1_0", "x"] {
            assert_eq!(parse_double(text), None, "{text}");
        }
        assert_eq!(parse_double("inf"), Some(f64::INFINITY));
        assert!(parse_double("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn integers_become_doubles_only_with_all_their_digits() {
        let kept = [
            "18446744073709551616",
            "18446744073709552000",
            "100000000000000000000000",
        ];
        for text in kept {
            assert!(double_of_integer(text).is_some(), "{text}");
        }
        for text in ["18446744073709551617", "-9223372036854775809"] {
            assert_eq!(double_of_integer(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn printed_doubles_are_read_back(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            let read = parse_double(&number.to_string()).unwrap();
            prop_assert!(read.to_bits() == number.to_bits() || read.is_nan() && number.is_nan());
        }

        #[test]
        fn integers_are_beyond_exactly_when_they_do_not_fit(number in any::<i128>(), less in 0_u32..128) {
            let number = number >> less;
            prop_assert_eq!(is_beyond_i64(&number.to_string()), i64::try_from(number).is_err());
        }
    }
}
