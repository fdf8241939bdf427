//! The typed values of a [`Section`]: words, numbers, lengths of time, sizes; each says what would be right.

use std::time::Duration;

use toml::de::DeValue;

use super::problem::nearest;
use super::section::{Place, Section, article, list};
use crate::value::Value;

/// No length of time is longer, so that adding one to now never overflows.
const DURATION_MAX: Duration = Duration::from_hours(365 * 24);

impl Section<'_> {
    /// One of a fixed set of words.
    pub fn word(
        &mut self,
        key: &'static str,
        words: &[&'static str],
    ) -> Option<(&'static str, Place)> {
        let (text, place) = self.string(key)?;
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Some((word, place));
        }
        let help = match nearest(&text, words.iter().copied()) {
            Some(near) => format!("did you mean `\"{near}\"`?"),
            None => format!("one of {}", list(words.iter().copied())),
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
        let Some(number) = integer(&value) else {
            self.expected(&place, "an integer (without quotes)", &value);
            return None;
        };
        if !range.contains(&number) {
            let (low, high) = range.into_inner();
            self.bad(
                &place,
                format!("{number} is out of range"),
                Some(format!("{low} to {high}")),
            );
            return None;
        }
        Some(number)
    }

    /// A count of at least one and at most `max`; `default` without the key.
    pub fn count(&mut self, key: &'static str, default: usize, max: i64) -> usize {
        let read = self.integer(key, 1..=max);
        read.and_then(|number| usize::try_from(number).ok())
            .unwrap_or(default)
    }

    /// A number within `range`; integers are numbers.
    pub fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Option<f64> {
        let (value, place) = self.take(key)?;
        let number = match &value {
            DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
            #[expect(clippy::cast_precision_loss, reason = "configured numbers are small")]
            _ => integer(&value).map(|number| number as f64),
        };
        let Some(number) = number else {
            self.expected(&place, "a number", &value);
            return None;
        };
        if !range.contains(&number) {
            let (low, high) = range.into_inner();
            self.bad(
                &place,
                format!("{number} is out of range"),
                Some(format!("{low} to {high}")),
            );
            return None;
        }
        Some(number)
    }

    /// A length of time with a unit, at most a year: `"250ms"`, `"5m"`.
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

    /// A length of time that something may take: a [`Section::duration`] that is not zero.
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

    /// An array of strings.
    pub fn strings(&mut self, key: &'static str) -> Option<(Vec<String>, Place)> {
        let (value, place) = self.take(key)?;
        let texts = value.as_array().and_then(|array| {
            array
                .iter()
                .map(|item| item.get_ref().as_str().map(ToOwned::to_owned))
                .collect()
        });
        match texts {
            Some(texts) => Some((texts, place)),
            None => {
                self.expected(&place, "an array of strings", &value);
                None
            }
        }
    }
}

/// A TOML value as a [`Value`]; dates become text.
pub fn to_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Integer(_) => integer(value).map_or(Value::Null, Value::I64),
        DeValue::Float(float) => float
            .as_str()
            .replace('_', "")
            .parse()
            .map_or(Value::Null, Value::Double),
        DeValue::Boolean(bit) => Value::Bool(*bit),
        DeValue::Datetime(when) => Value::from(when.to_string()),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| to_value(item.get_ref())).collect())
        }
        DeValue::Table(table) => Value::Map(
            table
                .iter()
                .map(|(key, item)| (Value::from(&**key.get_ref()), to_value(item.get_ref())))
                .collect(),
        ),
    }
}

/// The integer of a TOML value, whatever its radix.
pub fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

fn parse_size(text: &str) -> Option<usize> {
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
