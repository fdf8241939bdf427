//! Reads `inject`: planned faults of a lookup, for testing.

use crate::config::Section;
use crate::diagnostic::{list, suggest};
use crate::error::Code;
use crate::faults::{CODES, Faults, code};

/// Reads the table `inject` of a lookup.
pub(super) fn read_inject(mut section: Section<'_>) -> Faults {
    let default = Faults::default();
    let delay_place = section.place_of("delay_rate");
    let has_trickle = section.has("trickle");
    let trickle_place = section.place_of("trickle_rate");
    let rate =
        |section: &mut Section<'_>, key, default| section.number(key, 0.0..=1.0).unwrap_or(default);
    let faults = Faults {
        delay: section.duration("delay").map(|(delay, _)| delay),
        delay_rate: rate(&mut section, "delay_rate", default.delay_rate),
        trickle: read_trickle(&mut section),
        trickle_rate: rate(&mut section, "trickle_rate", default.trickle_rate),
        hang_rate: rate(&mut section, "hang_rate", default.hang_rate),
        error_rate: rate(&mut section, "error_rate", default.error_rate),
        error: read_error(&mut section).unwrap_or(default.error),
    };
    if let (None, Some(place)) = (faults.delay, delay_place) {
        let help = Some("add `delay = \"100ms\"`".into());
        section.bad(&place, "a share of no delay", help);
    }
    if let (false, Some(place)) = (has_trickle, trickle_place) {
        let help = Some("add `trickle = \"64KiB\"`".into());
        section.bad(&place, "a share of no trickle", help);
    }
    section.finish();
    faults
}

/// Takes `trickle`: how many bytes of an answer arrive in a second.
fn read_trickle(section: &mut Section<'_>) -> Option<u64> {
    let place = section.place_of("trickle");
    let size = section.size("trickle")?;
    if let (0, Some(place)) = (size, place) {
        let help = Some("at least `\"1B\"`; for no answer at all, `hang_rate = 1.0`".into());
        section.bad(&place, "nothing would ever arrive", help);
    }
    u64::try_from(size).ok().filter(|size| *size > 0)
}

/// Takes `error`: the code of injected errors.
fn read_error(section: &mut Section<'_>) -> Option<Code> {
    let (word, place) = section.string("error")?;
    let read = code(&word);
    if read.is_none() {
        let words = || CODES.iter().map(|code| code.as_str());
        let help = suggest(&word, words(), || format!("one of {}", list(words())));
        section.bad(&place, format!("`{word}` can't be injected"), Some(help));
    }
    read
}
