//! Lists the commands that a lookup can be, and reads the configuration keys of each.
//!
//! The table is the allow-list: it has only reads, each with its configuration key. A lookup has exactly one of them,
//! and the further keys that the command needs.

use std::sync::Arc;

use super::answer::{ReplyKind, ReplyShape};
use super::command::{Command, Extra};
use super::opening::Opening;
use crate::backend::format::Format;
use crate::backend::template::Template;
use crate::backend::{Compiled, Enums};
use crate::config::Section;
use crate::diagnostic::{list, nearest};
use crate::error::Code;
use crate::value::FieldNames;

/// One command of the table.
#[derive(Debug)]
struct Kind {
    /// The configuration key.
    key: &'static str,
    /// The command's name on the wire.
    wire: &'static str,
    needs: Needs,
    reply: ReplyKind,
}

/// What a command needs besides its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    Keys,
    Field,
    Fields,
    Member,
    Range,
    SortedRange,
}

const fn kind(key: &'static str, wire: &'static str, needs: Needs, reply: ReplyKind) -> Kind {
    Kind {
        key,
        wire,
        needs,
        reply,
    }
}

const KINDS: &[Kind] = &[
    kind("get", "GET", Needs::Nothing, ReplyKind::One),
    kind("mget", "MGET", Needs::Keys, ReplyKind::Many),
    kind("hget", "HGET", Needs::Field, ReplyKind::One),
    kind("hmget", "HMGET", Needs::Fields, ReplyKind::Fields),
    kind("hgetall", "HGETALL", Needs::Nothing, ReplyKind::Hash),
    kind("lrange", "LRANGE", Needs::Range, ReplyKind::Many),
    kind("smembers", "SMEMBERS", Needs::Nothing, ReplyKind::Many),
    kind("sismember", "SISMEMBER", Needs::Member, ReplyKind::Flag),
    kind("zrange", "ZRANGE", Needs::SortedRange, ReplyKind::Many),
    kind("zscore", "ZSCORE", Needs::Member, ReplyKind::Score),
    kind("exists", "EXISTS", Needs::Nothing, ReplyKind::Flag),
    kind("strlen", "STRLEN", Needs::Nothing, ReplyKind::Count),
    kind("hlen", "HLEN", Needs::Nothing, ReplyKind::Count),
    kind("llen", "LLEN", Needs::Nothing, ReplyKind::Count),
    kind("scard", "SCARD", Needs::Nothing, ReplyKind::Count),
    kind("zcard", "ZCARD", Needs::Nothing, ReplyKind::Count),
    kind("ttl", "TTL", Needs::Nothing, ReplyKind::Ttl),
];

/// Keys that accompany commands. They are never mistaken for a misspelt command.
const COMPANIONS: &[&str] = &[
    "field",
    "fields",
    "member",
    "start",
    "stop",
    "reverse",
    "with_scores",
    "format",
];

impl Command {
    /// Reads a lookup's keys.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Compiled<Self>> {
        let kind = choose(section)?;
        let enums = Enums::read(section, Enums::Number);
        let mut params = Vec::new();
        let key = Template::read(section, kind.key, &mut params);
        let mut command = Command {
            wire: kind.wire,
            key: key.clone().unwrap_or_default(),
            extra: Extra::Nothing,
            reply: ReplyShape {
                kind: kind.reply,
                format: Format::Text,
                names: None,
            },
            opening: Opening::default(),
        };
        let complete = command.read_extra(kind, section, &mut params);
        if kind.reply.has_format() {
            let words = ["json", "text", "bytes", "i64", "double"];
            command.reply.format = Format::read(section, &words, Format::Text)?;
        }
        if kind.needs == Needs::Keys && key.is_some() && params.is_empty() {
            let (place, help) = (
                section.place(),
                "`mget = \"airport:{codes}\"`, where `codes` is a list",
            );
            section.bad(
                place,
                "`mget` needs a parameter that is a list",
                Some(help.into()),
            );
            return None;
        }
        command.open();
        (key.is_some() && complete).then(|| Compiled {
            yields: command.yields(),
            lookup: command,
            params,
            enums,
        })
    }

    /// Reads the keys that accompany the command; false if something is missing or wrong.
    fn read_extra(
        &mut self,
        kind: &Kind,
        section: &mut Section<'_>,
        params: &mut Vec<Arc<str>>,
    ) -> bool {
        let before = section.document().problems.len();
        match kind.needs {
            Needs::Nothing => {}
            Needs::Keys => self.extra = Extra::Keys,
            Needs::Field => self.read_one(section, "field", "field = \"name\"", params),
            Needs::Member => self.read_one(section, "member", "member = \"{id}\"", params),
            Needs::Fields => {
                self.extra = Extra::Fields;
                self.reply.names = read_fields(section);
            }
            Needs::Range | Needs::SortedRange => {
                let sorted = kind.needs == Needs::SortedRange;
                let start = section.integer("start", i64::MIN..=i64::MAX).unwrap_or(0);
                let stop = section.integer("stop", i64::MIN..=i64::MAX).unwrap_or(-1);
                if sorted && section.bool("reverse").unwrap_or(false) {
                    // Unlike `ZRANGE .. REV`, every server has it.
                    self.wire = "ZREVRANGE";
                }
                let with_scores = sorted && section.bool("with_scores").unwrap_or(false);
                if with_scores {
                    self.reply.kind = ReplyKind::Scored;
                    self.reply.names = Some(FieldNames::new(["member", "score"]));
                }
                self.extra = Extra::Range {
                    start,
                    stop,
                    with_scores,
                };
            }
        }
        section.document().problems.len() == before
    }

    fn read_one(
        &mut self,
        section: &mut Section<'_>,
        key: &'static str,
        example: &str,
        params: &mut Vec<Arc<str>>,
    ) {
        if !section.has(key) {
            section.missing(key, example);
        }
        if let Some(template) = Template::read(section, key, params) {
            self.extra = Extra::One(template);
        }
    }
}

fn read_fields(section: &mut Section<'_>) -> Option<FieldNames> {
    if !section.has("fields") {
        section.missing("fields", "fields = [\"name\", \"city\"]");
    }
    let (fields, place) = section.strings("fields")?;
    for (at, (field, place)) in fields.iter().enumerate() {
        if fields[..at].iter().any(|(before, _)| before == field) {
            section.bad(place, format!("`{field}` is listed twice"), None);
        }
    }
    if fields.is_empty() {
        section.bad(
            &place,
            "no fields to ask for",
            Some("for all of them use `hgetall`".into()),
        );
    }
    Some(FieldNames::new(fields.into_iter().map(|(field, _)| field)))
}

/// The one command among the section's keys.
fn choose(section: &mut Section<'_>) -> Option<&'static Kind> {
    let found: Vec<&'static Kind> = KINDS.iter().filter(|kind| section.has(kind.key)).collect();
    match found[..] {
        [kind] => return Some(kind),
        [] => unknown(section),
        [first, ..] => {
            for second in &found[1..] {
                if let Some((_, place)) = section.take(second.key) {
                    let message = format!("`{}` can't be used with `{}`", second.key, first.key);
                    let help = Some("one lookup asks one command: keep one of them".into());
                    section
                        .document()
                        .problem(&place, Code::ConfigClash, message, help);
                }
            }
            section.take(first.key);
        }
    }
    // Without the command it is unknown which of them belong to it, so they are taken without a report.
    for key in COMPANIONS {
        section.take(key);
    }
    None
}

/// Reports that there is no command, at a misspelt one if there is one.
fn unknown(section: &mut Section<'_>) {
    let commands = || KINDS.iter().map(|kind| kind.key);
    let slip = section.keys().into_iter().find_map(|key| {
        let near = nearest(&key, commands())?;
        (!COMPANIONS.contains(&key.as_str())).then_some((key, near))
    });
    if let Some((key, near)) = slip
        && let Some(place) = section.place_of_name(&key)
    {
        section.take_named(&key);
        let help = Some(format!("did you mean `{near}`?"));
        let message = "no Redis command of that name can be asked";
        section
            .document()
            .problem(&place, Code::ConfigUnknownKey, message, help);
        return;
    }
    let help = format!(
        "one of {}, such as `get = \"airport:{{code}}\"`",
        list(commands())
    );
    let message = "no command says what to ask";
    section
        .document()
        .problem(section.place(), Code::ConfigMissingKey, message, Some(help));
}
