//! Reads `tributary.toml` into types that mirror it, and checks every key on its own.
//!
//! In: the text of the file. Out: a [`ConfigFile`]. Problems go to its document. [`super::check`] resolves the names.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use super::inject::read_inject;
use super::replicas::replicas;
use super::sharing::Sharing;
use super::traces::{TracesConfig, read_traces};
use crate::backend::{AnyConfig, AnyLookup, Compiled, KINDS};
use crate::config::{
    AdminConfig, AdminProbe, BreakerConfig, CallerConfig, Definition, Document, GuardMode,
    LogConfig, Place, Section, ServerConfig, read_admin, read_callers, read_log, read_probe,
    read_server, text_of,
};
use crate::diagnostic::{Problem, SourceFile, list, suggest};
use crate::error::Code;
use crate::faults::Faults;
use crate::plan::replica;
use crate::stamp::FilesRead;

/// The whole file.
#[derive(Debug)]
pub struct ConfigFile {
    /// `[server]`
    pub server: ServerConfig,
    /// `[admin]`, if there is one.
    pub admin: Option<AdminConfig>,
    /// `[log]`, if there is one.
    pub log: Option<LogConfig>,
    /// `[traces]`, if there is one.
    pub traces: Option<TracesConfig>,
    /// `[callers.*]`, in the file's order.
    pub callers: Vec<CallerConfig>,
    /// `[backends.*]`, in the file's order.
    pub backends: Vec<BackendEntry>,
    /// `[lookups.*]`, in the file's order.
    pub lookups: Vec<LookupEntry>,
}

/// `[backends.NAME]`
pub struct BackendEntry {
    /// NAME
    pub name: Arc<str>,
    /// The keys of its kind; `None` if they had problems.
    pub config: Option<AnyConfig>,
    /// The most lookups in flight per loop. Default 1,024.
    pub in_flight_max: usize,
    /// The most lookups in one batch. Default 128.
    pub batch_max: usize,
    /// The most lookups that wait for a store which does not answer, per loop; additional ones are shed. Default 4,096.
    pub waiting_max: usize,
    /// How long a lookup may wait for its turn. Default: as long as it has time.
    pub wait_max: Option<Duration>,
    /// When it gets no lookups because it failed too often. Default: never.
    pub breaker: BreakerConfig,
    /// What its table says.
    pub definition: Definition,
    /// Its place.
    pub place: Place,
}

/// `[lookups.NAME]`
pub struct LookupEntry {
    /// NAME
    pub name: Arc<str>,
    /// The backend, as an index into [`ConfigFile::backends`]; `None` if there is no such backend.
    pub backend: Option<usize>,
    /// The keys of its kind, compiled; `None` if they had problems.
    pub compiled: Option<Compiled<AnyLookup>>,
    /// Its timeout. Default: the deadline of the call.
    pub timeout: Option<Duration>,
    /// The most of it in flight per loop. Default: what the backend allows.
    pub in_flight_max: Option<usize>,
    /// How long it may wait for its turn. Default: as the backend says.
    pub wait_max: Option<Duration>,
    /// Text may fill numbers and bools. Default false.
    pub parse_text: bool,
    /// How calls share its answers and questions. Default: not at all.
    pub sharing: Sharing,
    /// Planned faults, for testing.
    pub inject: Faults,
    /// What its table says.
    pub definition: Definition,
    /// Its place.
    pub place: Place,
}

impl std::fmt::Debug for BackendEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendEntry")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LookupEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LookupEntry")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Opens the file at `path`. `idl_path` are folders where its IDLs look for their includes, besides those of the file.
pub fn open(path: &str, idl_path: &[PathBuf]) -> Result<Document, Box<Problem>> {
    let mut files = FilesRead::default();
    files.note(Path::new(path));
    match text_of(Path::new(path)) {
        Ok(text) => {
            let source = SourceFile {
                path: Arc::from(path),
                text: Arc::from(text),
            };
            let document = Document::new(source, idl_path);
            document.files.borrow_mut().extend(files);
            Ok(document)
        }
        Err(err) => Err(Box::new(Problem {
            code: Code::ConfigFile,
            place: None,
            key: String::new(),
            message: format!("can't read `{path}`: {err}"),
            help: unreadable(err.kind()).map(Into::into),
        })),
    }
}

/// How to fix a configuration file that can't be read.
fn unreadable(why: ErrorKind) -> Option<&'static str> {
    match why {
        ErrorKind::NotFound => Some("write it there, or name another file with `-c FILE`"),
        ErrorKind::IsADirectory => Some("name the file in it: `-c DIRECTORY/tributary.toml`"),
        ErrorKind::PermissionDenied => Some("let the user that runs this read the file"),
        ErrorKind::InvalidData => Some("save the file as UTF-8"),
        _ => None,
    }
}

/// How a probe reaches the admin port of a document, or the problems of that. Nothing else is read.
pub fn admin_probe(document: Document) -> Result<Option<AdminProbe>, Vec<Problem>> {
    let admin = read_probe(&mut root(&document));
    let problems = document.problems.into_vec();
    if problems.is_empty() {
        Ok(admin)
    } else {
        Err(problems)
    }
}

/// Reads a document. The result is what could be read; the problems are in the document.
pub fn read(document: &Document) -> ConfigFile {
    let mut root = root(document);
    let server = read_server(&mut root);
    let admin = read_admin(&mut root, &server.listeners);
    let log = read_log(&mut root);
    let traces = read_traces(&mut root);
    let callers = read_callers(&mut root);
    let backends = named(&mut root, "backends")
        .into_iter()
        .map(read_backend)
        .collect::<Vec<_>>();
    let find = |name: &str| backends.iter().position(|of| *of.name == *name);
    let replicas = replicas(&server, find);
    let mut lookups = Vec::new();
    let mut copies = Vec::new();
    for (name, section) in named(&mut root, "lookups") {
        let at = replicas.iter().filter(|replica| *replica.lookup == *name);
        let at: Vec<_> = at.map(|at| (at.backend, section.clone())).collect();
        let lookup = read_lookup(&name, section, &backends, None);
        let at = at.into_iter().filter(|(at, _)| lookup.fits(*at, &backends));
        copies.extend(at.map(|(at, section)| {
            let name = replica(&name, &backends[at].name);
            read_lookup(&name, section, &backends, Some(at))
        }));
        lookups.push(lookup);
    }
    // The numbers of the others do not depend on them.
    lookups.append(&mut copies);
    root.finish();
    ConfigFile {
        server,
        admin,
        log,
        traces,
        callers,
        backends,
        lookups,
    }
}

/// The whole file as a table. What is no TOML is reported.
fn root(document: &Document) -> Section<'_> {
    let (table, errors) = DeTable::parse_recoverable(&document.source.text);
    for err in errors {
        let span: Range<usize> = err.span().unwrap_or(0..0);
        let place = Place {
            key: String::new(),
            span,
        };
        let message = err.message().trim_end();
        let help = if message.contains("duplicate") {
            Some("remove one of them".to_owned())
        } else {
            unquoted(&document.source.text[place.span.clone()])
        };
        document.problem(&place, Code::ConfigSyntax, message, help);
    }
    let place = Place {
        key: String::new(),
        span: 0..0,
    };
    Section::new(document, place, table.into_inner())
}

/// The help for the most common mistake, text without quotes.
fn unquoted(text: &str) -> Option<String> {
    let word = |c: char| c.is_alphanumeric() || "_-./:".contains(c);
    let is_word = !text.is_empty() && text.chars().all(word);
    is_word.then(|| format!("if this is text, put it in quotes: `\"{text}\"`"))
}

fn named<'d>(root: &mut Section<'d>, key: &'static str) -> Vec<(String, Section<'d>)> {
    root.section(key).map(Section::sections).unwrap_or_default()
}

fn read_backend((name, mut section): (String, Section<'_>)) -> BackendEntry {
    let definition = section.definition();
    let contents = &section.document().contents;
    contents.take();
    let in_flight_max = section.count("in_flight_max", 1024, 1_000_000);
    let waiting_max = section.count("waiting_max", 4096, 1_000_000);
    let wait_max = section.timeout("wait_max");
    let batch_max = section.count("batch_max", 128, 4096);
    let place = section.place().clone();
    let kind = if section.has("kind") {
        section.word("kind", KINDS)
    } else {
        let kinds = list(KINDS.iter().copied());
        let help = Some(format!("add `kind = \"...\"`, one of {kinds}"));
        section
            .document()
            .problem(&place, Code::ConfigMissingKey, "`kind` is missing", help);
        None
    };
    let mut breaker = BreakerConfig::default();
    let config = kind.and_then(|(kind, _)| {
        let breaker_place = section.place_of_name("breaker");
        // Each of several endpoints has a breaker of its own, which the kind reads.
        if !section.has("endpoints") && (breaker_place.is_some() || AnyConfig::fails(kind)) {
            breaker = BreakerConfig::read(&mut section, GuardMode::Off);
        }
        let config = AnyConfig::read(kind, &mut section);
        if let (Some(config), Some(place)) = (&config, &breaker_place) {
            check_breaker(&section, config, place);
        }
        section.finish();
        config
    });
    BackendEntry {
        name: Arc::from(name),
        config,
        in_flight_max,
        waiting_max,
        wait_max,
        definition: definition.with(&contents.take()),
        place,
        batch_max,
        breaker,
    }
}

/// Reports a breaker around a store that can't fail as a whole.
fn check_breaker(section: &Section<'_>, config: &AnyConfig, place: &Place) {
    let message = if !AnyConfig::fails(config.kind()) {
        "this kind of store has no server that could fail"
    } else if config.is_divided() {
        "with several servers that hold different keys, a breaker would keep lookups from those that work"
    } else {
        return;
    };
    let help = Some("leave `breaker` out".into());
    section
        .document()
        .problem(place, Code::ConfigClash, message, help);
}

impl LookupEntry {
    /// Whether another backend can be asked it.
    fn fits(&self, at: usize, backends: &[BackendEntry]) -> bool {
        let kind = |at: usize| backends[at].config.as_ref().map(AnyConfig::kind);
        let own = self.backend.filter(|_| self.compiled.is_some());
        own.is_some_and(|own| own != at && kind(own) == kind(at))
    }
}

/// Reads a lookup; `elsewhere`, if it is read once more for another backend than it names.
fn read_lookup(
    name: &str,
    mut section: Section<'_>,
    backends: &[BackendEntry],
    elsewhere: Option<usize>,
) -> LookupEntry {
    let definition = section.definition();
    let place = section.place().clone();
    let document = section.document();
    document.contents.take();
    let warnings = document.warnings.len();
    let timeout = section.timeout("timeout");
    let in_flight_max = section.integer("in_flight_max", 1..=1_000_000);
    let wait_max = read_wait_max(&mut section, timeout);
    let parse_text = section.bool("parse_text").unwrap_or(false);
    let (mut sharing, sharing_keys) = Sharing::read(&mut section);
    let inject = section
        .section("inject")
        .map(read_inject)
        .unwrap_or_default();
    let example = backends.first().map_or("ops", |backend| &*backend.name);
    let backend = section
        .required_string("backend", &format!("backend = \"{example}\""))
        .and_then(|(wanted, place)| find_backend(&section, backends, &wanted, &place));
    let backend = elsewhere.or(backend);
    let config = backend.and_then(|at| backends[at].config.as_ref());
    let compiled = config.and_then(|config| {
        if elsewhere.is_some() && config.balancing().is_none() {
            // The other backend has no second endpoint.
            section.take("hedge");
        }
        let before = document.problems.len();
        let compiled = config.read_lookup(&mut section);
        // If a lookup has a mistake, its parameters and its kind of value are unknown.
        let compiled = compiled.filter(|_| document.problems.len() == before);
        section.finish();
        if let Some(compiled) = &compiled {
            sharing_keys.check(document, (&compiled.lookup, config.kind()));
            let keys = (document, &sharing_keys);
            sharing.resolve(keys, (config, &compiled.lookup), &compiled.params);
        }
        compiled
    });
    if elsewhere.is_some() {
        // Each was given when the lookup was read for its own backend.
        document.warnings.truncate(warnings);
    }
    LookupEntry {
        name: Arc::from(name),
        backend,
        compiled,
        timeout,
        in_flight_max: in_flight_max.and_then(|most| usize::try_from(most).ok()),
        wait_max,
        parse_text,
        sharing,
        // Faults of the one show what the other is good for.
        inject: if elsewhere.is_none() {
            inject
        } else {
            Faults::default()
        },
        definition: definition.with(&document.contents.take()),
        place,
    }
}

/// Reports a wait that never ends before the lookup does.
fn read_wait_max(section: &mut Section<'_>, timeout: Option<Duration>) -> Option<Duration> {
    let place = section.place_of("wait_max");
    let wait_max = section.timeout("wait_max");
    if let (Some(place), Some(wait), Some(timeout)) = (place, wait_max, timeout)
        && wait >= timeout
    {
        let message = "it never has an effect: the `timeout` of the lookup is not longer";
        let help = Some("make it shorter than `timeout`, or leave it out".to_owned());
        let document = section.document();
        document.problem(&place, Code::ConfigClash, message, help);
    }
    wait_max
}

fn find_backend(
    section: &Section<'_>,
    backends: &[BackendEntry],
    wanted: &str,
    place: &Place,
) -> Option<usize> {
    let found = backends.iter().position(|backend| &*backend.name == wanted);
    if found.is_none() {
        let names = backends.iter().map(|backend| &*backend.name);
        section.document().problem(
            place,
            Code::ConfigUnknownName,
            format!("there is no backend `{wanted}`"),
            Some(suggest(wanted, names, || {
                format!("add `[backends.{wanted}]`")
            })),
        );
    }
    found
}
