//! Writes dates, times and intervals as ISO 8601 text.
//!
//! PostgreSQL counts days and microseconds from 1 January 2000. Fractions of a second have as many digits
//! as needed; years before Christ end in ` BC`, as PostgreSQL writes them.

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `2013-01-31`
pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".into(),
        i32::MIN => "-infinity".into(),
        days => with_era(days.into(), ""),
    }
}

/// `05:17:00`, `05:17:00.25`
pub(super) fn time(micros: i64) -> String {
    let (hours, minutes) = (micros / HOUR, micros % HOUR / MINUTE);
    let fraction = fraction(micros % SECOND);
    format!(
        "{hours:02}:{minutes:02}:{:02}{fraction}",
        micros % MINUTE / SECOND
    )
}

/// `05:17:00+02:00`. The zone comes as seconds west of Greenwich.
pub(super) fn time_zoned(micros: i64, west: i32) -> String {
    let sign = if west > 0 { '-' } else { '+' };
    let seconds = west.unsigned_abs();
    let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    let rest = if rest == 0 {
        String::new()
    } else {
        format!(":{rest:02}")
    };
    format!("{}{sign}{hours:02}:{minutes:02}{rest}", time(micros))
}

/// `2013-01-31T05:17:00`, followed by `zone`.
pub(super) fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".into(),
        i64::MIN => "-infinity".into(),
        micros => {
            let time = time(micros.rem_euclid(DAY));
            with_era(micros.div_euclid(DAY), &format!("T{time}{zone}"))
        }
    }
}

/// `P1Y2M3DT4H5M6.5S`; each part may have its own sign, as in PostgreSQL.
pub(super) fn interval(micros: i64, days: i32, months: i32) -> String {
    let part = |number: i64, unit: &str| match number {
        0 => String::new(),
        number => format!("{number}{unit}"),
    };
    let date = [
        part((months / 12).into(), "Y"),
        part((months % 12).into(), "M"),
        part(days.into(), "D"),
    ]
    .concat();
    let seconds = micros % MINUTE;
    let sign = if seconds < 0 { "-" } else { "" };
    let seconds = match seconds {
        0 => String::new(),
        _ => {
            let whole = (seconds / SECOND).abs();
            format!("{sign}{whole}{}S", fraction((seconds % SECOND).abs()))
        }
    };
    let clock = [
        part(micros / HOUR, "H"),
        part(micros % HOUR / MINUTE, "M"),
        seconds,
    ]
    .concat();
    match (date.is_empty(), clock.is_empty()) {
        (true, true) => "PT0S".into(),
        (_, true) => format!("P{date}"),
        _ => format!("P{date}T{clock}"),
    }
}

fn fraction(micros: i64) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

/// A date, then `rest`, then ` BC` if the date is before Christ.
fn with_era(days: i64, rest: &str) -> String {
    let (year, month, day) = civil(days);
    match year {
        1.. => format!("{year:04}-{month:02}-{day:02}{rest}"),
        // There is no year 0: the year before 1 is 1 BC.
        _ => format!("{:04}-{month:02}-{day:02}{rest} BC", 1 - year),
    }
}

/// Days of the months, from March on: a leap day is then the last day of its year, and all cycles (of 400,
/// 100, 4 years and one) start the same way.
const MONTHS: [i64; 12] = [31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 29];

/// Year, month and day, this many days after 1 January 2000.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 1 March 2000.
    let days = days - 60;
    let cycle = days.div_euclid(146_097);
    let mut rest = days.rem_euclid(146_097);
    // The last century of four and the last year of four have one more day: hence at most 3.
    let century = (rest / 36_524).min(3);
    rest -= century * 36_524;
    let four = rest / 1461;
    rest -= four * 1461;
    let one = (rest / 365).min(3);
    rest -= one * 365;
    let year = 2000 + cycle * 400 + century * 100 + four * 4 + one;
    let mut month = 3;
    for length in MONTHS {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    if month > 12 {
        (year + 1, month - 12, rest + 1)
    } else {
        (year, month, rest + 1)
    }
}
