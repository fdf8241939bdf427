//! Reads the typed values of a [`Section`]: enumerations, numbers, durations, sizes. Each problem says what is allowed.

use std::time::Duration;

use toml::de::DeValue;

use super::section::{Place, Section, article};
use crate::diagnostic::{list, nearest};
use crate::value::{Value, parse_size};

/// The longest duration, so that adding one to the current time never overflows.
const DURATION_MAX: Duration = Duration::from_hours(365 * 24);

/// The smallest and the largest integer.
const I64_RANGE: (&str, &str) = ("-9223372036854775808", "9223372036854775807");

/// The smallest and the largest floating-point number.
const F64_RANGE: (&str, &str) = ("-1.7976931348623157e308", "1.7976931348623157e308");

impl Section<'_> {
    /// One of a fixed set of strings.
    pub fn word(
        &mut self,
        key: &'static str,
        words: &[&'static str],
    ) -> Option<(&'static str, Place)> {
        let (value, place) = self.take(key)?;
        let one_of = || format!("one of {}", list(words.iter().copied()));
        let DeValue::String(text) = value else {
            let message = format!("expected a string, found {}", article(&value));
            self.bad(&place, message, Some(one_of()));
            return None;
        };
        if let Some(word) = words.iter().find(|word| ***word == *text) {
            return Some((word, place));
        }
        let help = match nearest(&text, words.iter().copied()) {
            Some(near) => format!("did you mean `\"{near}\"`?"),
            None => one_of(),
        };
        self.bad(&place, format!("`{text}` is not known here"), Some(help));
        None
    }

    /// A bool.
    pub fn bool(&mut self, key: &'static str) -> Option<bool> {
        let (value, place) = self.take(key)?;
        match value {
            DeValue::Boolean(bit) => Some(bit),
            other => {
                self.expected(&place, "`true` or `false`", &other);
                None
            }
        }
    }

    /// An integer within `range`.
    pub fn integer(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let (value, place) = self.take(key)?;
        if !matches!(value, DeValue::Integer(_)) {
            self.expected(&place, "an integer (without quotes)", &value);
            return None;
        }
        let number = integer(&value);
        if !number.is_some_and(|number| range.contains(&number)) {
            let (low, high) = range.into_inner();
            self.bad(
                &place,
                format!("{} is out of range", written(&value)),
                Some(format!("{low} to {high}")),
            );
            return None;
        }
        number
    }

    /// A count from one to `max`; `default` if the key is missing.
    pub fn count(&mut self, key: &'static str, default: usize, max: i64) -> usize {
        self.whole(key, max).unwrap_or(default)
    }

    /// A positive number of at most `max`, if it is there.
    pub fn whole(&mut self, key: &'static str, max: i64) -> Option<usize> {
        let read = self.integer(key, 1..=max);
        read.and_then(|number| usize::try_from(number).ok())
    }

    /// A number within `range`; an integer is a number too.
    pub fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Option<f64> {
        let (value, place) = self.take(key)?;
        if !matches!(value, DeValue::Float(_) | DeValue::Integer(_)) {
            self.expected(&place, "a number", &value);
            return None;
        }
        let number = match &value {
            DeValue::Float(_) => float(&value),
            #[expect(clippy::cast_precision_loss, reason = "configured numbers are small")]
            _ => integer(&value).map(|number| number as f64),
        };
        if !number.is_some_and(|number| range.contains(&number)) {
            let (low, high) = range.into_inner();
            self.bad(
                &place,
                format!("{} is out of range", written(&value)),
                Some(format!("{low} to {high}")),
            );
            return None;
        }
        number
    }

    /// A duration of at most a year: `"250ms"`, `"5m"`.
    pub fn duration(&mut self, key: &'static str) -> Option<(Duration, Place)> {
        let (value, place) = self.take(key)?;
        let example = || Some("a number with a unit in quotes, such as `\"250ms\"`".to_owned());
        let DeValue::String(text) = &value else {
            let message = format!("expected a duration, found {}", article(&value));
            self.bad(&place, message, example());
            return None;
        };
        match humantime::parse_duration(text) {
            Ok(duration) if duration > DURATION_MAX => {
                self.bad(
                    &place,
                    format!("{text} is out of range"),
                    Some("at most a year".into()),
                );
                None
            }
            Ok(duration) => Some((duration, place)),
            Err(err) => {
                self.bad(
                    &place,
                    format!("`{text}` is not a duration: {err}"),
                    example(),
                );
                None
            }
        }
    }

    /// A timeout: a [`Section::duration`] that is not zero.
    pub fn timeout(&mut self, key: &'static str) -> Option<Duration> {
        let (duration, place) = self.duration(key)?;
        if duration.is_zero() {
            let help = Some("such as `\"250ms\"`; leave the key out for the default".into());
            self.bad(&place, "nothing can be done in no time", help);
            return None;
        }
        Some(duration)
    }

    /// A size in bytes: `"16MiB"`, `"64KiB"`, `"512B"`.
    pub fn size(&mut self, key: &'static str) -> Option<usize> {
        let (value, place) = self.take(key)?;
        let DeValue::String(text) = &value else {
            self.expected(&place, "a size such as `\"16MiB\"`", &value);
            return None;
        };
        let size = parse_size(text);
        if size.is_none() {
            self.bad(
                &place,
                format!("`{text}` is not a size"),
                Some("a whole number with `B`, `KiB`, `MiB` or `GiB`, such as `\"16MiB\"`".into()),
            );
        }
        size
    }

    /// An array of strings, each with its place, and the place of the array.
    pub fn strings(&mut self, key: &'static str) -> Option<(Vec<(String, Place)>, Place)> {
        let (value, place) = self.take(key)?;
        let texts = self.as_strings(&value, &place)?;
        Some((texts, place))
    }

    /// The strings of an array. Reports a value that is no array of strings.
    pub(super) fn as_strings(
        &self,
        value: &DeValue<'_>,
        place: &Place,
    ) -> Option<Vec<(String, Place)>> {
        let Some(items) = value.as_array() else {
            self.expected(place, "an array of strings", value);
            return None;
        };
        let items = items.iter().enumerate().map(|(at, item)| {
            let place = Place {
                key: format!("{}[{at}]", place.key),
                span: item.span(),
            };
            if let Some(text) = item.get_ref().as_str() {
                return Some((text.to_owned(), place));
            }
            self.expected(&place, "a string", item.get_ref());
            None
        });
        // Reads all items even after a bad one, so that every bad one is reported.
        let items: Vec<Option<_>> = items.collect();
        items.into_iter().collect()
    }

    /// The TOML value at `place` as a [`Value`]; dates become text. Reports numbers that no IDL type can hold, and is
    /// `None` then.
    pub fn to_value(&self, value: &DeValue<'_>, place: &Place) -> Option<Value> {
        Some(match value {
            DeValue::String(text) => Value::from(&**text),
            DeValue::Integer(_) => {
                Value::I64(integer(value).or_else(|| self.beyond(value, place, I64_RANGE))?)
            }
            DeValue::Float(_) => {
                Value::Double(float(value).or_else(|| self.beyond(value, place, F64_RANGE))?)
            }
            DeValue::Boolean(bit) => Value::Bool(*bit),
            DeValue::Datetime(when) => Value::from(when.to_string()),
            DeValue::Array(items) => {
                let items = items.iter().enumerate().map(|(at, item)| {
                    let key = format!("{}[{at}]", place.key);
                    let span = item.span();
                    self.to_value(item.get_ref(), &Place { key, span })
                });
                // Reads all values even after a bad one, so that every bad one is reported.
                let items: Vec<Option<Value>> = items.collect();
                Value::List(items.into_iter().collect::<Option<_>>()?)
            }
            DeValue::Table(table) => {
                let pairs = table.iter().map(|(name, item)| {
                    let key = format!("{}.{}", place.key, name.get_ref());
                    let span = item.span();
                    let value = self.to_value(item.get_ref(), &Place { key, span })?;
                    Some((Value::from(&**name.get_ref()), value))
                });
                let pairs: Vec<Option<(Value, Value)>> = pairs.collect();
                Value::Map(pairs.into_iter().collect::<Option<_>>()?)
            }
        })
    }

    fn beyond<T>(
        &self,
        value: &DeValue<'_>,
        place: &Place,
        (low, high): (&str, &str),
    ) -> Option<T> {
        let number = written(value);
        let bound = if number.starts_with('-') {
            format!("smaller than {low}")
        } else {
            format!("larger than {high}")
        };
        let help = "a string in quotes holds any number of digits";
        self.bad(place, format!("{number} is {bound}"), Some(help.into()));
        None
    }
}

/// The integer of a TOML value in any radix.
pub fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

/// The double of a TOML value; `None` if it is out of range.
fn float(value: &DeValue<'_>) -> Option<f64> {
    let text = value.as_float()?.as_str();
    let number: f64 = text.replace('_', "").parse().ok()?;
    (number.is_finite() || !text.contains(|c: char| c.is_ascii_digit())).then_some(number)
}

/// A number as it is written in the file, without the prefix of its radix.
fn written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        other => article(other),
    }
}
