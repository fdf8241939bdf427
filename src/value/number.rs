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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
