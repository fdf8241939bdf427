//! Reads `breaker`: when a store or one of its endpoints gets no lookups because it failed too often.

use std::time::Duration;

use super::guard_mode::GuardMode;
use super::section::Section;
use crate::breaker::Settings;
use crate::error::Code;

/// `breaker = { mode = "enforce", consecutive = 5, success_min = 0.8, window = "30s" }`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    /// With the table and without the key: enforce.
    pub mode: GuardMode,
    /// When it opens, and for how long.
    pub settings: Settings,
}

impl Default for BreakerConfig {
    /// Without the key: it does nothing.
    fn default() -> Self {
        BreakerConfig {
            mode: GuardMode::Off,
            settings: Settings::default(),
        }
    }
}

impl BreakerConfig {
    /// Takes the key `breaker`. Without it, the mode is `otherwise`.
    pub fn read(section: &mut Section<'_>, otherwise: GuardMode) -> Self {
        let mut config = BreakerConfig {
            mode: otherwise,
            settings: Settings::default(),
        };
        let place = section.place_of("breaker");
        let (Some(mut table), Some(place)) = (section.section("breaker"), place) else {
            return config;
        };
        let settings = &mut config.settings;
        config.mode = GuardMode::read(&mut table);
        let count =
            |read: Option<i64>, default| read.and_then(|n| n.try_into().ok()).unwrap_or(default);
        settings.consecutive = count(
            table.integer("consecutive", 0..=10_000),
            settings.consecutive,
        );
        settings.calls_min = count(
            table.integer("calls_min", 1..=1_000_000),
            settings.calls_min,
        );
        let success_min = table.number("success_min", 0.0..=1.0);
        settings.success_min = success_min.unwrap_or(settings.success_min);
        let time = |table: &mut Section<'_>, key, default| table.timeout(key).unwrap_or(default);
        settings.window = time(&mut table, "window", settings.window);
        settings.open_min = time(&mut table, "open_min", settings.open_min);
        let open_max = table.timeout("open_max");
        // A longer first time is no mistake by itself.
        settings.open_max = open_max.unwrap_or(settings.open_max.max(settings.open_min));
        if settings.open_max < settings.open_min {
            let message = "`open_max` is shorter than `open_min`";
            let help = Some("raise `open_max`, or leave it out".into());
            table
                .document()
                .problem(&place, Code::ConfigClash, message, help);
        }
        if config.mode != GuardMode::Off && !config.can_open() {
            let message = "this breaker can never open";
            let help = "raise `consecutive` or `success_min`, or leave `breaker` out";
            table
                .document()
                .problem(&place, Code::ConfigClash, message, Some(help.into()));
        }
        table.finish();
        config
    }

    /// Whether there are outcomes that open it.
    fn can_open(&self) -> bool {
        // No share of successes is smaller than nothing.
        self.settings.consecutive > 0 || self.settings.success_min > 0.0
    }

    /// Describes it to the operator.
    pub fn describe(&self) -> String {
        let settings = &self.settings;
        let mut when = Vec::new();
        if settings.consecutive > 0 {
            when.push(format!("{} failures in a row", settings.consecutive));
        }
        if settings.success_min > 0.0 {
            when.push(format!(
                "under {} % success of at least {} in {}",
                settings.success_min * 100.0,
                settings.calls_min,
                humantime::format_duration(settings.window)
            ));
        }
        let time = |time: Duration| humantime::format_duration(time);
        let (least, most) = (time(settings.open_min), time(settings.open_max));
        format!("opens for {least} to {most} after {}", when.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    fn read(text: &str) -> (BreakerConfig, Vec<String>) {
        let document = document(text);
        let mut section = whole(&document);
        let config = BreakerConfig::read(&mut section, GuardMode::Off);
        section.finish();
        let problems = document.problems.into_vec();
        let problems = problems
            .into_iter()
            .map(|of| format!("{}: {}", of.key, of.message));
        (config, problems.collect())
    }

    #[test]
    fn without_the_table_it_is_off_and_with_it_on() {
        assert_eq!(read("").0, BreakerConfig::default());
        let (config, problems) = read("breaker = {}");
        assert_eq!((config.mode, problems.len()), (GuardMode::Enforce, 0));
        assert_eq!(config.settings, Settings::default());
        let text = "breaker = { mode = 'measure', consecutive = 0, success_min = 0.5, window = '10s', calls_min = 7, open_min = '2s', open_max = '3s' }";
        let (config, problems) = read(text);
        assert_eq!((config.mode, problems.len()), (GuardMode::Measure, 0));
        let seconds = Duration::from_secs;
        assert_eq!(
            config.settings,
            Settings {
                consecutive: 0,
                success_min: 0.5,
                window: seconds(10),
                calls_min: 7,
                open_min: seconds(2),
                open_max: seconds(3),
            }
        );
        let (config, problems) = read("breaker = { open_min = '2m' }");
        assert_eq!(
            (config.settings.open_max, problems.len()),
            (seconds(120), 0)
        );
    }

    #[test]
    fn a_breaker_that_can_never_open_or_makes_no_sense_is_a_problem() {
        for (text, problem) in [
            (
                "breaker = { consecutive = 0, success_min = 0.0 }",
                "breaker: this breaker can never open",
            ),
            (
                "breaker = { open_min = '2s', open_max = '1s' }",
                "breaker: `open_max` is shorter than `open_min`",
            ),
            (
                "breaker = { succes_min = 0.5 }",
                "breaker.succes_min: unknown key",
            ),
            (
                "breaker = { success_min = 80 }",
                "breaker.success_min: 80 is out of range",
            ),
            (
                "breaker = { mode = 'on' }",
                "breaker.mode: `on` is not known here",
            ),
        ] {
            assert_eq!(read(text).1, [problem], "{text}");
        }
        let off = "breaker = { mode = 'off', consecutive = 0, success_min = 0 }";
        assert_eq!(read(off).1.len(), 0);
    }
}
