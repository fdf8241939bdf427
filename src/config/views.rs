//! Reads `[views.METHOD]`: the lookups of a method. Their names are not resolved here.

use std::sync::Arc;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::access::{AllowKey, read_allow};
use super::brownout::{BrownoutKey, read_brownout};
use super::section::{Place, Section};
use crate::diagnostic::nearest;
use crate::error::Code;
use crate::value::Value;

/// `[views.METHOD]`
#[derive(Clone, Debug)]
pub struct ViewEntry {
    /// METHOD
    pub name: Arc<str>,
    /// How long a call may take. Default 1 s.
    pub deadline: Duration,
    /// The report is always filled, even if the caller did not ask for it. Default false.
    pub report: bool,
    /// `throws = { "call.required_empty" = "notFound" }`: a code, or an area and `.*`, and a declared exception.
    pub throws: Vec<(String, String, Place)>,
    /// Who may call the method. Default: everyone.
    pub allow: Option<AllowKey>,
    /// When its optional lookups are left out. Default: never.
    pub brownout: Option<BrownoutKey>,
    /// Its lookups, in declared order.
    pub uses: Vec<UseEntry>,
    /// Its place.
    pub place: Place,
}

/// `[views.METHOD.lookups]` `NAME = { ... }`
#[derive(Clone, Debug)]
pub struct UseEntry {
    /// NAME, to which other lookups refer; by default also the field of the reply.
    pub name: Arc<str>,
    /// The place of NAME.
    pub name_place: Place,
    /// The lookup to ask; by default the one called NAME.
    pub lookup: (String, Place),
    /// Each parameter and what it is bound to.
    pub with: Vec<BoundParam>,
    /// The call fails if this lookup has no value. Default false.
    pub required: bool,
    /// The quality of the view below which it is left out.
    pub drop_below: Option<(f64, Place)>,
    /// The value to use if the lookup is empty or fails.
    pub default: Option<(Value, Place)>,
    /// The default is used only for `empty`. Default false.
    pub default_on_empty: bool,
    /// `else`: what is asked if this fails, in this order: lookups of the view, or other backends.
    pub fallbacks: Vec<(String, Place)>,
    /// The place of an `else` that is misspelt, or does not consist of names: it is not known which lookups are asked only
    /// instead of others.
    pub unreadable_else: Option<Place>,
    /// The keys of it that a lookup in an `else` can't have, with their places.
    pub own_keys: Vec<(&'static str, Place)>,
    /// The condition under which it runs.
    pub when: Option<WhenEntry>,
    /// Its value goes into the reply. Default true.
    pub emit: bool,
    /// The field of the reply; by default the one called NAME.
    pub into: Option<(String, Place)>,
    /// A list, for each element of which it runs once.
    pub foreach: Option<(String, Place)>,
    /// The most elements. Default 100.
    pub foreach_max: usize,
    /// Its timeout, instead of that of the lookup.
    pub timeout: Option<Duration>,
    /// Its place.
    pub place: Place,
}

/// A parameter in `with`.
#[derive(Clone, Debug)]
pub struct BoundParam {
    /// Its name.
    pub name: String,
    /// The place of its name.
    pub name_place: Place,
    /// What it is bound to.
    pub to: WithEntry,
    /// The place of that.
    pub place: Place,
}

/// What a parameter is bound to.
#[derive(Clone, Debug)]
pub enum WithEntry {
    /// A reference such as `trip.origin` or `flight.tailnum`.
    Reference(String),
    /// `{ value = 5 }`
    Literal(Value),
}

/// `when = "details"` or `when = { ref = "kind", equals = "CARGO" }`
#[derive(Clone, Debug)]
pub struct WhenEntry {
    /// The value to test, and its place.
    pub reference: (String, Place),
    /// What it must equal, and the place of that. If `None`, the value must be present and not false.
    pub equals: Option<(Value, Place)>,
}

/// Reads one view.
pub(super) fn read_view((name, mut section): (String, Section<'_>)) -> ViewEntry {
    let place = section.place().clone();
    let deadline = section.timeout("deadline").unwrap_or(DEFAULT_DEADLINE);
    let report = section.bool("report").unwrap_or(false);
    let throws = section
        .section("throws")
        .map(read_throws)
        .unwrap_or_default();
    let allow = read_allow(&mut section);
    let brownout = read_brownout(&mut section);
    let mut uses = Vec::new();
    if section.has("lookups") {
        if let Some(lookups) = section.section("lookups") {
            uses = read_uses(lookups);
        }
    } else {
        section.missing("lookups", &format!("[views.{name}.lookups]"));
    }
    section.finish();
    ViewEntry {
        name: Arc::from(name),
        deadline,
        report,
        throws,
        allow,
        brownout,
        uses,
        place,
    }
}

const DEFAULT_DEADLINE: Duration = Duration::from_secs(1);

fn read_throws(mut section: Section<'_>) -> Vec<(String, String, Place)> {
    let mut throws = Vec::new();
    for code in section.keys() {
        let name_place = section.place_of_name(&code);
        let Some((value, place)) = section.take_named(&code) else {
            continue;
        };
        let area = code.strip_suffix(".*");
        let known = Code::ALL.iter().any(|have| match area {
            Some(area) => have
                .as_str()
                .split_once('.')
                .is_some_and(|(first, _)| first == area),
            None => have.as_str() == code,
        });
        if !known {
            let codes = Code::ALL.iter().map(|code| code.as_str());
            let help = nearest(&code, codes).map(|near| format!("did you mean `\"{near}\"`?"));
            section.document().problem(
                name_place.as_ref().unwrap_or(&place),
                Code::ConfigUnknownName,
                format!("there is no error code `{code}`"),
                help.or_else(|| {
                    Some("`tributary manual error-codes` lists them; `\"lookup.*\"` means a whole area".into())
                }),
            );
        }
        match value {
            DeValue::String(field) => throws.push((code, field.into_owned(), place)),
            other => section.expected(
                &place,
                "the name of an exception that the method throws",
                &other,
            ),
        }
    }
    throws
}

fn read_uses(mut section: Section<'_>) -> Vec<UseEntry> {
    let mut uses = Vec::new();
    for name in section.keys() {
        let name_place = section.place_of_name(&name);
        let Some((value, place)) = section.take_named(&name) else {
            continue;
        };
        let named = (&*name, name_place.unwrap_or_else(|| place.clone()));
        match value {
            DeValue::Table(table) => {
                uses.push(read_use(
                    named,
                    Section::new(section.document(), place, table),
                ));
            }
            // `origin = "airport"` is short for `origin = { use = "airport" }`.
            DeValue::String(lookup) => {
                let table = Section::new(section.document(), place.clone(), DeTable::new());
                let mut entry = read_use(named, table);
                entry.lookup = (lookup.into_owned(), place);
                uses.push(entry);
            }
            other => section.expected(&place, "a table such as `{ use = \"airport\" }`", &other),
        }
    }
    uses
}

/// What belongs to a lookup that is asked on its own: one that is asked instead of it has what that one has.
const OF_ASKED: [&str; 8] = [
    "required",
    "drop_below",
    "default",
    "when",
    "emit",
    "into",
    "foreach",
    "else",
];

fn read_use((name, name_place): (&str, Place), mut section: Section<'_>) -> UseEntry {
    let place = section.place().clone();
    for (key, of) in [("default_on", "default"), ("foreach_max", "foreach")] {
        if !section.has(of)
            && let Some(place) = section.place_of(key)
        {
            let message = format!("it has an effect only together with `{of}`");
            let help = Some(format!("add `{of}`, or leave `{key}` out"));
            let document = section.document();
            document.problem(&place, Code::ConfigClash, message, help);
        }
    }
    let own_keys = OF_ASKED
        .iter()
        .filter_map(|key| Some((*key, section.place_of_name(key)?)));
    let own_keys = own_keys.collect();
    let else_place = section.place_of("else");
    let fallbacks = section.strings("else");
    let unreadable_else = else_place.filter(|_| fallbacks.is_none());
    let drop_place = section.place_of("drop_below");
    let drop_below = section.number("drop_below", 0.0..=1.0).zip(drop_place);
    let default_on = section.word("default_on", &["empty", "any"]);
    let mut entry = UseEntry {
        name: Arc::from(name),
        lookup: section
            .string("use")
            .unwrap_or_else(|| (name.to_owned(), name_place.clone())),
        with: section.section("with").map(read_with).unwrap_or_default(),
        required: section.bool("required").unwrap_or(false),
        drop_below,
        default: section.value("default"),
        default_on_empty: default_on.is_some_and(|(word, _)| word == "empty"),
        fallbacks: fallbacks.map(|(names, _)| names).unwrap_or_default(),
        unreadable_else,
        own_keys,
        when: read_when(&mut section),
        emit: section.bool("emit").unwrap_or(true),
        into: section.string("into"),
        foreach: section.string("foreach"),
        foreach_max: section.count("foreach_max", 100, 100_000),
        timeout: section.timeout("timeout"),
        name_place,
        place,
    };
    if section.has_misspelt("else") {
        entry.unreadable_else = Some(entry.place.clone());
    }
    section.finish();
    entry
}

fn read_with(mut section: Section<'_>) -> Vec<BoundParam> {
    let mut with = Vec::new();
    for name in section.keys() {
        let name_place = section.place_of_name(&name);
        let Some((value, place)) = section.take_named(&name) else {
            continue;
        };
        let to = match value {
            DeValue::String(reference) => WithEntry::Reference(reference.into_owned()),
            DeValue::Table(table) => {
                let mut literal = Section::new(section.document(), place.clone(), table);
                if !literal.has("value") {
                    literal.missing("value", "value = 5");
                }
                let value = literal.value("value").map(|(value, _)| value);
                literal.finish();
                WithEntry::Literal(value.unwrap_or_default())
            }
            other => {
                section.expected(
                    &place,
                    "a reference such as `\"flight.tailnum\"`, or a literal such as `{ value = 5 }`",
                    &other,
                );
                // The parameter counts as bound, so that it is not reported a second time.
                WithEntry::Literal(Value::Null)
            }
        };
        with.push(BoundParam {
            name,
            name_place: name_place.unwrap_or_else(|| place.clone()),
            to,
            place,
        });
    }
    with
}

fn read_when(section: &mut Section<'_>) -> Option<WhenEntry> {
    let (value, place) = section.take("when")?;
    match value {
        DeValue::String(reference) => Some(WhenEntry {
            reference: (reference.into_owned(), place),
            equals: None,
        }),
        DeValue::Table(table) => {
            let mut when = Section::new(section.document(), place, table);
            let reference = when.required_string("ref", "ref = \"kind\"");
            let equals = when.value("equals");
            when.finish();
            Some(WhenEntry {
                reference: reference?,
                equals,
            })
        }
        other => {
            section.expected(
                &place,
                "a reference or `{ ref = \"kind\", equals = \"CARGO\" }`",
                &other,
            );
            None
        }
    }
}
