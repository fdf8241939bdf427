//! Reads `brownout` of a view: when its optional lookups are left out because calls take too long.

use super::guard_mode::GuardMode;
use super::section::{Place, Section};

/// `brownout = { target = 0.8, p = 95 }`
#[derive(Clone, Debug)]
pub struct BrownoutKey {
    /// The share of the view's deadline that a call may take.
    pub target: f64,
    /// The percentage of calls that keep to it.
    pub percentile: f64,
    /// Whether lookups are left out, or only counted.
    pub mode: GuardMode,
    /// Its place.
    pub place: Place,
}

/// Takes the key `brownout` of a view.
pub(super) fn read_brownout(section: &mut Section<'_>) -> Option<BrownoutKey> {
    let place = section.place_of("brownout")?;
    let mut table = section.section("brownout")?;
    let key = BrownoutKey {
        target: table.number("target", 0.01..=1.0).unwrap_or(0.8),
        percentile: table.number("p", 50.0..=99.9).unwrap_or(95.0),
        mode: GuardMode::read(&mut table),
        place,
    };
    table.finish();
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{document, whole};

    fn read(text: &str) -> (Option<BrownoutKey>, usize) {
        let document = document(text);
        let read = read_brownout(&mut whole(&document));
        (read, document.problems.into_vec().len())
    }

    #[test]
    fn without_keys_of_its_own_it_has_the_usual_target() {
        let (key, problems) = read("brownout = {}");
        let key = key.expect("it is there");
        assert_eq!(
            (key.target, key.percentile, key.mode, problems),
            (0.8, 95.0, GuardMode::Enforce, 0)
        );
        assert!(read("").0.is_none());
        for wrong in [
            "target = 0",
            "target = 1.1",
            "p = 100",
            "p = 0.95",
            "mode = \"on\"",
            "percent = 95",
        ] {
            assert_eq!(read(&format!("brownout = {{ {wrong} }}")).1, 1, "{wrong}");
        }
    }
}
