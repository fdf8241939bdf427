//! Describes faults that are caused on purpose: by the configuration of a lookup, or by the caller of one call.

use std::time::Duration;

use crate::error::Code;
use crate::value::parse_size;

/// The longest description of a caller's faults that is read, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// The codes that an injected error may have.
pub const CODES: &[Code] = &[
    Code::LookupInjected,
    Code::LookupUnavailable,
    Code::LookupTimeout,
    Code::LookupRefused,
    Code::LookupBadAnswer,
    Code::LookupFailed,
    Code::LookupShed,
];

/// What happens to lookups on their way to the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// How long they wait before they are sent.
    pub delay: Option<Duration>,
    /// The share of them that waits, 0.0 to 1.0.
    pub delay_rate: f64,
    /// How many bytes of their answers arrive in a second.
    pub trickle: Option<u64>,
    /// The share of them whose answer arrives so slowly.
    pub trickle_rate: f64,
    /// The share of them that never gets an answer.
    pub hang_rate: f64,
    /// The share of them that fails.
    pub error_rate: f64,
    /// How they fail: one of [`CODES`].
    pub error: Code,
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            delay: None,
            delay_rate: 1.0,
            trickle: None,
            trickle_rate: 1.0,
            hang_rate: 0.0,
            error_rate: 0.0,
            error: Code::LookupInjected,
        }
    }
}

impl Faults {
    /// Whether nothing happens.
    pub fn is_empty(&self) -> bool {
        self.delay.is_none()
            && self.trickle.is_none()
            && self.hang_rate <= 0.0
            && self.error_rate <= 0.0
    }
}

/// The code of an injected error that is written `word`, with or without its area.
pub fn code(word: &str) -> Option<Code> {
    let mut codes = CODES.iter();
    let matches = |code: &&Code| {
        let name = code.as_str();
        name == word || name.strip_prefix("lookup.") == Some(word)
    };
    codes.find(matches).copied()
}

/// The faults that the caller of one call asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct CallFaults(Vec<(Target, Faults)>);

#[derive(Clone, Debug, PartialEq)]
enum Target {
    All,
    Lookup(Box<str>),
    Backend(Box<str>),
}

impl CallFaults {
    /// Reads `weather=hang; backend/cache=delay:200ms; *=error:unavailable`. `lookup_of` gives the name of the lookup that a
    /// caller means, `is_backend` says whether there is one. `Err` says what can't be read.
    pub fn parse(
        text: &str,
        lookup_of: impl Fn(&str) -> Option<Box<str>>,
        is_backend: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("more than {TEXT_BYTES_MAX} bytes"));
        }
        let entries = text
            .split(';')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let entries = entries.map(|entry| {
            let read = entry.split_once('=').and_then(|(target, fault)| {
                Some((Target::parse(target.trim())?, parse_fault(fault.trim())?))
            });
            let (target, faults) = read.ok_or_else(|| {
                format!("`{entry}` is not a lookup, `backend/NAME` or `*` with `hang`, `delay:TIME`, `trickle:SIZE` or `error:CODE`")
            })?;
            let target = match target {
                Target::Lookup(name) => {
                    let found = lookup_of(&name);
                    Target::Lookup(found.ok_or_else(|| format!("there is no lookup `{name}`"))?)
                }
                Target::Backend(name) if !is_backend(&name) => {
                    return Err(format!("there is no backend `{name}`"));
                }
                target => target,
            };
            Ok((target, faults))
        });
        Ok(CallFaults(entries.collect::<Result<_, _>>()?))
    }

    /// The faults of a lookup: those of the first entry that means it.
    pub fn of(&self, lookup: &str, backend: Option<&str>) -> Option<&Faults> {
        let means = |target: &Target| match target {
            Target::All => true,
            Target::Lookup(name) => **name == *lookup,
            Target::Backend(name) => backend == Some(&**name),
        };
        let found = self.0.iter().find(|(target, _)| means(target));
        found.map(|(_, faults)| faults)
    }
}

impl Target {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "" => None,
            "*" => Some(Target::All),
            word => Some(match word.strip_prefix("backend/") {
                Some(name) => Target::Backend(name.into()),
                None => Target::Lookup(word.into()),
            }),
        }
    }
}

fn parse_fault(word: &str) -> Option<Faults> {
    let faults = Faults::default();
    if word == "hang" {
        let hang_rate = 1.0;
        return Some(Faults {
            hang_rate,
            ..faults
        });
    }
    match word.split_once(':')? {
        ("delay", time) => {
            let delay = Some(humantime::parse_duration(time.trim()).ok()?);
            Some(Faults { delay, ..faults })
        }
        ("trickle", size) => {
            let size = parse_size(size.trim()).filter(|size| *size > 0)?;
            let trickle = Some(size as u64);
            Some(Faults { trickle, ..faults })
        }
        ("error", word) => {
            let error = code(word.trim())?;
            let error_rate = 1.0;
            Some(Faults {
                error_rate,
                error,
                ..faults
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For a server with the lookups `a`, `b`, `other` and `weather`, which a view calls `wind`, and the backend `cache`.
    fn parse(text: &str) -> Result<CallFaults, String> {
        let lookup_of = |name: &str| match name {
            "a" | "b" | "other" | "weather" => Some(name.into()),
            "wind" => Some("weather".into()),
            _ => None,
        };
        CallFaults::parse(text, lookup_of, |name| name == "cache")
    }

    #[test]
    fn names_are_those_that_exist() {
        let faults = parse("wind=hang").expect("the view's name");
        assert!(faults.of("weather", None).is_some());
        assert_eq!(parse("nix=hang"), Err("there is no lookup `nix`".into()));
        let expected = Err("there is no backend `weather`".into());
        assert_eq!(parse("backend/weather=hang"), expected);
    }

    #[test]
    fn a_caller_describes_faults_by_lookup_backend_or_for_all() {
        let text = "weather=hang; backend/cache=delay:200ms;*=error:unavailable;";
        let faults = parse(text).expect("valid");
        let hang = faults
            .of("weather", Some("cache"))
            .expect("the first entry");
        assert!(hang.hang_rate >= 1.0 && hang.delay.is_none());
        let slow = faults.of("other", Some("cache")).expect("the second");
        assert_eq!(slow.delay, Some(Duration::from_millis(200)));
        let fails = faults.of("other", None).expect("the third");
        assert_eq!(
            (fails.error_rate, fails.error),
            (1.0, Code::LookupUnavailable)
        );
        let slow = parse("a=trickle: 64KiB").expect("valid");
        let slow = slow.of("a", None).expect("the only one");
        assert_eq!(slow.trickle, Some(65536));
        assert!(!slow.is_empty());
        let one = parse("a=hang").expect("valid");
        assert_eq!(one.of("b", Some("a")), None);
        assert_eq!(parse("").expect("valid"), CallFaults(Vec::new()));
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        for entry in [
            "a",
            "=hang",
            "a=",
            "a=slow",
            "a=delay",
            "a=delay:x",
            "a=trickle:0B",
            "a=trickle:7",
            "a=error:call.deadline",
            "a=error",
        ] {
            let err = parse(&format!("b=hang;{entry}")).expect_err(entry);
            assert!(err.starts_with(&format!("`{entry}` is not")), "{err}");
        }
        assert!(parse(&"a=hang;".repeat(200)).is_err(), "too long");
    }

    #[test]
    fn every_code_can_be_written_in_two_ways() {
        for expected in CODES {
            let name = expected.as_str();
            assert_eq!(code(name), Some(*expected));
            assert_eq!(
                code(name.strip_prefix("lookup.").expect("an area")),
                Some(*expected)
            );
        }
    }
}
