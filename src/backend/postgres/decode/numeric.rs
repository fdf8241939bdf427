//! Writes a `numeric` as decimal text, with as many decimals as were stored.
//!
//! Its bytes are digits of base 10000, the position of the first one (`weight`: how many precede the decimal
//! point, minus one), the sign, and the number of decimals.

use std::fmt::Write as _;

use super::bytes::Reader;

/// The text of the number that comes next.
pub(super) fn text(from: &mut Reader<'_>) -> Result<String, String> {
    let count = from.i16()?;
    let weight = from.i16()?;
    let sign = u16::from_be_bytes(from.array()?);
    let decimals = usize::try_from(from.i16()?).map_err(|_| "negative decimals")?;
    let digits: Vec<i16> = (0..count).map(|_| from.i16()).collect::<Result<_, _>>()?;
    if digits.iter().any(|digit| !(0..10_000).contains(digit)) {
        return Err("a digit out of range".into());
    }
    match sign {
        0x0000 => Ok(plain("", &digits, weight, decimals)),
        0x4000 => Ok(plain("-", &digits, weight, decimals)),
        0xC000 => Ok("NaN".into()),
        0xD000 => Ok("Infinity".into()),
        0xF000 => Ok("-Infinity".into()),
        _ => Err("an unknown sign".into()),
    }
}

fn plain(sign: &str, digits: &[i16], weight: i16, decimals: usize) -> String {
    let weight = i32::from(weight);
    // Missing digits are zero.
    let digit = |position: i32| {
        let at = usize::try_from(weight - position).ok();
        at.and_then(|at| digits.get(at)).copied().unwrap_or(0)
    };
    let mut text = String::from(sign);
    write!(text, "{}", digit(weight.max(0))).expect("text has room");
    for position in (0..weight.max(0)).rev() {
        write!(text, "{:04}", digit(position)).expect("text has room");
    }
    if decimals > 0 {
        text.push('.');
        let end = text.len() + decimals;
        let mut position = -1;
        while text.len() < end {
            write!(text, "{:04}", digit(position)).expect("text has room");
            position -= 1;
        }
        text.truncate(end);
    }
    text
}
