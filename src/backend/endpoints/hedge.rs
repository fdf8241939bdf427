//! Reads `hedge` of a lookup: when its question goes to a second endpoint because the first one is slow.

use std::time::Duration;

use toml::de::DeValue;

use super::config::Config;
use super::endpoint::hash_of;
use super::source::Source;
use crate::config::{GuardMode, Place, Section, article};
use crate::error::Code;

/// A shorter time than that of a timer would hedge questions that are about to be answered.
const AFTER_MIN: Duration = Duration::from_millis(1);
const PERCENTILES: &[u8] = &[50, 99];
/// What `hedge` may be.
const HEDGES: &str = "`true` for the defaults, or a table such as `{ after = \"p95\" }`";
/// What `after` may be.
const AFTERS: &str = "a whole percentile from `\"p50\"` to `\"p99\"`, or a time such as `\"20ms\"`";

/// `hedge = { after = "p95", after_min = "1ms", budget = 0.05, min_per_second = 1 }`
#[derive(Clone, Debug, PartialEq)]
pub struct Hedge {
    /// Whether a second question is sent, or only counted.
    pub(super) mode: GuardMode,
    /// How long the first endpoint has.
    pub(super) after: After,
    /// How many second questions there may be per question.
    pub(super) budget: f64,
    /// How many there may be in any case.
    pub(super) min_per_second: u32,
    /// What is measured for it is found under this number.
    pub(super) id: u64,
}

/// How long the first endpoint has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum After {
    /// So long.
    Fixed(Duration),
    /// Longer than this share of all questions take, and never less than that.
    Measured(f64, Duration),
}

impl Hedge {
    /// Takes the key of a lookup. `endpoints` are those of its backend. `once`: why it can't be asked twice, and what to do.
    pub(in crate::backend) fn read(
        section: &mut Section<'_>,
        endpoints: Option<&Config>,
        once: Option<(&str, &str)>,
    ) -> Option<Self> {
        let key = section.place().key.clone();
        let (value, place) = section.take("hedge")?;
        let mut table = match value {
            DeValue::Boolean(false) => return None,
            DeValue::Boolean(true) => {
                let empty = toml::de::DeTable::new();
                Section::new(section.document(), place.clone(), empty)
            }
            DeValue::Table(table) => Section::new(section.document(), place.clone(), table),
            other => {
                let message = format!(
                    "expected `true`, `false` or a table, found {}",
                    article(&other)
                );
                section.bad(&place, message, Some(HEDGES.into()));
                return None;
            }
        };
        let hedge = Hedge::read_table(&mut table, &key);
        table.finish();
        let hedge = hedge.filter(|hedge| hedge.mode != GuardMode::Off)?;
        check((section, &place), endpoints, once);
        Some(hedge)
    }

    fn read_table(table: &mut Section<'_>, key: &str) -> Option<Self> {
        let mode = GuardMode::read(table);
        let after = read_after(table);
        let after_min = table.place_of("after_min");
        let least = table.timeout("after_min").unwrap_or(AFTER_MIN);
        let budget = table.number("budget", 0.0..=1.0).unwrap_or(0.05);
        let min_per_second = table.integer("min_per_second", 0..=10_000);
        let min_per_second = min_per_second.and_then(|least| least.try_into().ok());
        let mut hedge = Hedge {
            mode,
            after: after?,
            budget,
            min_per_second: min_per_second.unwrap_or(1),
            id: 0,
        };
        match (&mut hedge.after, after_min) {
            (After::Measured(_, shortest), _) => *shortest = least,
            (After::Fixed(_), Some(place)) => {
                let message = "`after_min` is for an `after` that is measured";
                let help = Some("leave `after_min` out".into());
                let document = table.document();
                document.problem(&place, Code::ConfigClash, message, help);
            }
            (After::Fixed(_), None) => {}
        }
        if hedge.budget <= 0.0 && hedge.min_per_second == 0 && mode != GuardMode::Off {
            let help = "raise `budget` or `min_per_second`, or leave `hedge` out";
            let place = table.place().clone();
            table.bad(&place, "this budget allows no hedge", Some(help.into()));
        }
        hedge.id = hash_of(format!("{key} {hedge:?}").as_bytes());
        Some(hedge)
    }

    /// How long the first endpoint has at least.
    pub fn after_min(&self) -> Duration {
        match self.after {
            After::Fixed(after) | After::Measured(_, after) => after,
        }
    }

    /// Describes it to the operator.
    pub fn describe(&self) -> String {
        let acts = match self.mode {
            GuardMode::Measure => "would be asked",
            GuardMode::Off | GuardMode::Enforce => "asked",
        };
        let after = match self.after {
            After::Fixed(after) => humantime::format_duration(after).to_string(),
            After::Measured(share, least) => {
                let least = humantime::format_duration(least);
                format!("its p{:.0}, at least {least},", share * 100.0)
            }
        };
        let (share, least) = (self.budget * 100.0, self.min_per_second);
        format!(
            "{acts} of a second endpoint after {after} for up to {share} % of the questions and {least} a second"
        )
    }
}

/// Reports what makes it useless or harmful.
fn check(
    (section, place): (&Section<'_>, &Place),
    endpoints: Option<&Config>,
    once: Option<(&str, &str)>,
) {
    let (message, help) = match (endpoints, once) {
        (_, Some((why, help))) => (why, help),
        (None, None) => (
            "`hedge` needs several endpoints, and its backend has none",
            "add `endpoints` to the backend, or leave `hedge` out",
        ),
        (Some(of), None) if matches!(&*of.sources, [Source::Fixed(_)]) => (
            "`hedge` needs several endpoints, and its backend has a single one",
            "add another one to `endpoints` of the backend, or leave `hedge` out",
        ),
        (Some(_), None) => return,
    };
    let document = section.document();
    document.problem(place, Code::ConfigClash, message, Some(help.into()));
}

fn read_after(table: &mut Section<'_>) -> Option<After> {
    let percentile = match table.peek("after") {
        None => Some(95),
        Some(DeValue::String(text)) => match percentile(text) {
            Ok(percentile) => percentile,
            Err(NoPercentile) => return no_after(table),
        },
        Some(_) => return no_after(table),
    };
    let Some(percentile) = percentile else {
        return table.timeout("after").map(After::Fixed);
    };
    if !(PERCENTILES[0]..=PERCENTILES[1]).contains(&percentile) {
        return no_after(table);
    }
    table.take("after");
    Some(After::Measured(f64::from(percentile) / 100.0, AFTER_MIN))
}

/// Reports an `after` that is neither a time nor a percentile.
fn no_after(table: &mut Section<'_>) -> Option<After> {
    let (value, place) = table.take("after")?;
    let message = match &value {
        DeValue::String(text) => {
            format!("`{text}` is neither a percentile that is measured nor a time")
        }
        other => format!("expected a percentile or a time, found {}", article(other)),
    };
    table.bad(&place, message, Some(AFTERS.into()));
    None
}

/// It is meant as a percentile, and is none.
struct NoPercentile;

/// `95` of `p95`; `None` if it may be a time.
fn percentile(text: &str) -> Result<Option<u8>, NoPercentile> {
    let digits = text.strip_prefix(['p', 'P']);
    let is_number = |text: &str| {
        let mut all = text.bytes();
        !text.is_empty() && all.all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    match digits {
        None if is_number(text) || text.ends_with('%') => Err(NoPercentile),
        None => Ok(None),
        Some(digits) if text.starts_with('p') => digits.parse().map(Some).map_err(|_| NoPercentile),
        Some(_) => Err(NoPercentile),
    }
}
