//! Reads `[callers.*]`: how much each caller may use.

use std::sync::Arc;
use std::time::Duration;

use super::access::AllowEntry;
use super::guard_mode::GuardMode;
use super::section::{Place, Section};

/// The largest rate and burst.
const CALLS_MAX: u32 = 10_000_000;

/// `[callers."token:batch"]`
#[derive(Clone, Debug)]
pub struct CallerConfig {
    /// The caller as the file writes it.
    pub label: Arc<str>,
    /// Whom it means; `None` means all that no other entry means, together.
    pub who: Option<AllowEntry>,
    /// How often it may call. Default: as often as it likes.
    pub rate: Option<Rate>,
    /// The share of all calls in flight that may be its own. Default: all of them.
    pub share: Option<f64>,
    /// Whether more is refused, or only counted.
    pub mode: GuardMode,
    /// Its place.
    pub place: Place,
}

/// A number of calls in a time, and how many of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time between two calls at this rate.
    pub interval: Duration,
    /// How many calls may come at once after a pause.
    pub burst: u32,
}

/// Reads `[callers]` from the whole file.
pub(crate) fn read_callers(root: &mut Section<'_>) -> Vec<CallerConfig> {
    let Some(section) = root.section("callers") else {
        return Vec::new();
    };
    let entries = section.sections().into_iter();
    entries
        .map(|(name, section)| read_caller(&name, section))
        .collect()
}

fn read_caller(name: &str, mut section: Section<'_>) -> CallerConfig {
    let place = section.place().clone();
    let who = match name {
        "*" => None,
        name => {
            let entry = AllowEntry::read(name);
            if entry.is_none() {
                let message = format!("`{name}` does not name a caller");
                section.bad(&place, message, Some(WHO.into()));
            }
            entry
        }
    };
    if !section.has("rate") && !section.has("share") {
        let help = "add `rate = \"100/s\"`, or `share = 0.25` of all calls in flight";
        section.bad(&place, "it limits nothing", Some(help.into()));
    }
    let has_rate = section.has("rate");
    let per_second = read_rate(&mut section);
    let burst_place = section.place_of("burst");
    let burst = section.whole("burst", CALLS_MAX.into());
    let rate = per_second.map(|(interval, a_second)| Rate {
        interval,
        burst: burst
            .and_then(|burst| u32::try_from(burst).ok())
            .unwrap_or(a_second),
    });
    if let (false, Some(place)) = (has_rate, burst_place) {
        let help = Some("add `rate = \"100/s\"`".into());
        section.bad(&place, "a burst of no rate", help);
    }
    let share = section.number("share", 0.001..=1.0);
    let mode = GuardMode::read(&mut section);
    section.finish();
    CallerConfig {
        label: name.into(),
        who,
        rate,
        share,
        mode,
        place,
    }
}

const WHO: &str = "`\"token:NAME\"`, a name as certificates have it, all names below one (`\"spiffe://prod/*\"`), or `\"*\"` \
    for all other callers together";

/// Takes `rate`: the time between two calls, and how many there are in a second, at least one.
fn read_rate(section: &mut Section<'_>) -> Option<(Duration, u32)> {
    let (text, place) = section.string("rate")?;
    let read = parse_rate(&text);
    if read.is_none() {
        let message = format!("`{text}` is not a rate");
        let help = "a number of calls per second, minute or hour, such as `\"100/s\"`, `\"30/min\"` or `\"500/h\"`";
        section.bad(&place, message, Some(help.into()));
    }
    read
}

fn parse_rate(text: &str) -> Option<(Duration, u32)> {
    let (calls, unit) = text.split_once('/')?;
    let calls: u32 = calls.trim().parse().ok()?;
    let time = Duration::from_secs(match unit.trim() {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        _ => return None,
    });
    if !(1..=CALLS_MAX).contains(&calls) {
        return None;
    }
    let a_second = u64::from(calls) / time.as_secs();
    Some((
        time / calls,
        u32::try_from(a_second).unwrap_or(calls).max(1),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    fn read(text: &str) -> (Vec<CallerConfig>, Vec<String>) {
        let document = document(text);
        let read = read_callers(&mut whole(&document));
        let problems = document.problems.into_vec().into_iter();
        (read, problems.map(|problem| problem.message).collect())
    }

    #[test]
    fn a_rate_is_a_number_per_time() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("100/s", Some((ms(10), 100))),
            ("30/min", Some((ms(2000), 1))),
            ("7200/h", Some((ms(500), 2))),
            ("0/s", None),
            ("-1/s", None),
            ("1.5/s", None),
            ("100", None),
            ("100/ms", None),
            ("99999999999/s", None),
        ] {
            assert_eq!(parse_rate(text), expected, "{text}");
        }
    }

    #[test]
    fn callers_are_named_as_in_allow() {
        let text = r#"
            [callers."token:batch"]
            rate = "200/s"
            burst = 50
            [callers."spiffe://prod/*"]
            share = 0.5
            mode = "measure"
            [callers."*"]
            rate = "10/s"
        "#;
        let (callers, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        let [batch, prod, others] = &callers[..] else {
            panic!("{callers:?}");
        };
        let rate = Rate {
            interval: Duration::from_millis(5),
            burst: 50,
        };
        assert_eq!((batch.rate, batch.mode), (Some(rate), GuardMode::Enforce));
        assert_eq!((prod.share, prod.mode), (Some(0.5), GuardMode::Measure));
        assert_eq!(
            (&others.who, others.rate.map(|rate| rate.burst)),
            (&None, Some(10))
        );
    }

    #[test]
    fn an_entry_that_limits_nothing_is_a_mistake() {
        for (entry, expected) in [
            ("", "it limits nothing"),
            ("burst = 5\nshare = 0.5", "a burst of no rate"),
            ("rate = \"fast\"", "`fast` is not a rate"),
            ("share = 0", "0 is out of range"),
            ("share = 2", "2 is out of range"),
        ] {
            let (_, problems) = read(&format!("[callers.\"token:a\"]\n{entry}"));
            assert_eq!(
                problems.first().map(String::as_str),
                Some(expected),
                "{entry}"
            );
        }
        let (_, problems) = read("[callers.\"a*b\"]\nshare = 0.5");
        assert_eq!(problems, ["`a*b` does not name a caller"]);
    }
}
