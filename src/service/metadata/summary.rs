//! Summarizes what happened in a view, short enough for a header. Pure.

use std::cell::RefCell;
use std::fmt::Write as _;

use bytes::BytesMut;

use crate::coerce::to_json;
use crate::error::Code;
use crate::idl::{self, Type};
use crate::service::report::{Report, ReportLayout};
use crate::thrift::{Appendix as _, Limits, Protocol, decode_struct};
use crate::timeline::{Fate, Timeline, Track};

/// The lookups that are listed by name take at most this many bytes together; the others are only counted.
const LOOKUPS_BYTES_MAX: usize = 1024;
/// Longer names of lookups are cut.
const NAME_CHARS_MAX: usize = 64;
/// A longer report is omitted.
const REPORT_BYTES_MAX: usize = 16 * 1024;

/// The lookups whose answers are missing from the reply, in plan order: `weather=timeout,plane=error:lookup.refused`.
/// `None` if there are none.
pub(super) fn incomplete(timeline: &Timeline) -> Option<String> {
    let lookups = timeline.lanes.iter().zip(&timeline.tracks);
    let missing = lookups.filter(|(_, track)| !track.fate.is_complete());
    let mut list = String::new();
    let mut left_out = 0;
    for (lane, track) in missing {
        let word = word(&lane.name, track);
        // After the first one that does not fit, all others are omitted, so that the list is a prefix.
        if left_out > 0 || list.len() + word.len() >= LOOKUPS_BYTES_MAX {
            left_out += 1;
            continue;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list += &word;
    }
    if left_out > 0 {
        let _always_fits = write!(list, ",+{left_out}");
    }
    (!list.is_empty()).then_some(list)
}

/// Name, fate, and the code unless the fate implies it. Characters with a meaning in this list are replaced in names.
fn word(name: &str, track: &Track) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let name = name.chars().take(NAME_CHARS_MAX);
    let name: String = name.map(|c| if plain(c) { c } else { '_' }).collect();
    let fate = track.fate.as_str();
    match track.code {
        Some(code) if matches!(track.fate, Fate::Error | Fate::Default) => {
            format!("{name}={fate}:{}", Code::as_str(code))
        }
        _ => format!("{name}={fate}"),
    }
}

/// The call's `tributary.Report` as JSON, by the declaration in the program's own standard include.
pub(super) fn report(timeline: &Timeline) -> Option<String> {
    let schema = idl::standard();
    let of = schema.standard.report?;
    let report = Report {
        layout: &ReportLayout::of(schema)?,
        template: None,
        protocol: Protocol::Binary,
        timeline,
        analysis: &RefCell::default(),
    };
    let mut bytes = BytesMut::new();
    report.append(&mut bytes);
    let limits = Limits::default();
    let value = decode_struct(schema, of, Protocol::Binary, &bytes.freeze(), &limits).ok()?;
    let json = to_json(schema, &Type::Struct(of), &value).to_string();
    (json.len() <= REPORT_BYTES_MAX).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Mode;
    use crate::timeline::sample::{Sample, timeline};

    fn summary(lookups: &[(&str, Fate, Option<Code>)]) -> Option<String> {
        let lookups = lookups.iter();
        let samples =
            lookups.map(|(name, fate, code)| Sample::new(name).ran(0, 1).fate(*fate, *code));
        incomplete(&timeline(Mode::Evented, samples.collect(), 1))
    }

    #[test]
    fn lookups_are_listed_with_their_fate_and_the_code_where_it_adds_something() {
        assert_eq!(summary(&[]), None);
        let whole = [("a", Fate::Ok, None), ("b", Fate::SkippedDependency, None)];
        assert_eq!(summary(&whole), None);
        let some = [
            ("weather", Fate::Timeout, Some(Code::LookupTimeout)),
            ("flight", Fate::Ok, None),
            ("plane", Fate::Error, Some(Code::LookupRefused)),
            ("gate", Fate::Default, Some(Code::LookupTimeout)),
            ("seats", Fate::Default, None),
            ("a b,c=é\n", Fate::Shed, Some(Code::LookupShed)),
        ];
        let expected = "weather=timeout,plane=error:lookup.refused,gate=default:lookup.timeout,\
            seats=default,a_b_c___=shed";
        assert_eq!(summary(&some).as_deref(), Some(expected));
    }

    #[test]
    fn many_lookups_are_listed_up_to_a_length() {
        let long = "n".repeat(NAME_CHARS_MAX + 1);
        let many = vec![(&*long, Fate::Timeout, None); 100];
        let list = summary(&many).expect("some");
        assert!(list.len() <= LOOKUPS_BYTES_MAX + 5, "{}", list.len());
        let each = format!("{}=timeout,", &long[1..]);
        assert_eq!(list, format!("{}+86", each.repeat(14)));
    }

    #[test]
    fn a_report_is_the_json_that_it_is_read_from() {
        let lookup = Sample::new("a")
            .ran(1, 3)
            .fate(Fate::Timeout, Some(Code::LookupTimeout));
        let sample = timeline(Mode::Serial, vec![lookup], 4);
        let json: serde_json::Value =
            serde_json::from_str(&report(&sample).expect("short")).expect("JSON");
        assert_eq!(
            (&json["mode"], &json["complete"]),
            (&"SERIAL".into(), &false.into())
        );
        assert_eq!(json["lookups"][0]["code"], "lookup.timeout");
        let many = (0..200).map(|_| Sample::new("a").ran(1, 3).fate(Fate::Ok, None));
        assert_eq!(report(&timeline(Mode::Evented, many.collect(), 4)), None);
    }
}
