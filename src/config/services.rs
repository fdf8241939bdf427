//! Reads which services are served: by the keys of `[server]` and `[views]`, or by `[[services]]`.

use std::path::PathBuf;

use super::section::{Place, Section};
use super::unserved::{Unserved, read_unserved};
use super::views::{ViewEntry, read_view};
use crate::error::Code;

/// The most services of one server.
const SERVICES_MAX: usize = 64;
/// The keys that `[server]` and `[[services]]` have in common.
const KEYS: [&str; 3] = ["idl", "service", "unserved"];

/// One service, as `[server]` with `[views]`, or as one of `[[services]]`.
#[derive(Debug)]
pub struct ServiceEntry {
    /// The path of the IDL, ready to be opened. `None` if the key is missing, which is a problem.
    pub idl: Option<(PathBuf, Place)>,
    /// The service to serve. Optional if the IDL has only one.
    pub service: Option<(String, Place)>,
    /// Methods that are answered with `call.unknown_method` although the IDL has them.
    pub unserved: Unserved,
    /// `[views.*]`, in the file's order.
    pub views: Vec<ViewEntry>,
    /// The place of the table.
    pub place: Place,
}

/// Takes the services of the whole file; `server` is `[server]`, if there is one.
pub(super) fn read_services(
    root: &mut Section<'_>,
    server: Option<&mut Section<'_>>,
) -> Vec<ServiceEntry> {
    if !root.has_known("services") {
        let Some(server) = server else {
            root.section("views");
            return Vec::new();
        };
        let views = views(root);
        return vec![ServiceEntry {
            views,
            ..read_keys(server)
        }];
    }
    let help = "with `[[services]]`, each service has these keys for itself";
    if let Some(server) = server {
        for key in KEYS {
            if let Some((_, place)) = server.take(key) {
                let message = format!("`{key}` belongs to one of the services");
                let document = server.document();
                document.problem(&place, Code::ConfigClash, message, Some(help.into()));
            }
        }
    }
    if let Some((_, place)) = root.take("views") {
        let message = "views belong to one of the services: `[services.views.METHOD]` below its `[[services]]`";
        let document = root.document();
        document.problem(&place, Code::ConfigClash, message, Some(help.into()));
    }
    let place = root.place_of("services");
    let before = root.document().problems.len();
    let entries = root.tables("services", SERVICES_MAX);
    if let Some(place) = place.filter(|_| entries.is_empty())
        && root.document().problems.len() == before
    {
        root.bad(
            &place,
            "nothing would be served",
            Some("add `[[services]]`".into()),
        );
    }
    let entries = entries.into_iter().map(|mut section| {
        let views = views(&mut section);
        let entry = ServiceEntry {
            views,
            ..read_keys(&mut section)
        };
        section.finish();
        entry
    });
    entries.collect()
}

fn views(section: &mut Section<'_>) -> Vec<ViewEntry> {
    let views = section.section("views");
    let views = views.map(Section::sections).unwrap_or_default();
    views.into_iter().map(read_view).collect()
}

/// The keys of one service, without its views.
fn read_keys(section: &mut Section<'_>) -> ServiceEntry {
    ServiceEntry {
        idl: section
            .required_string("idl", "idl = \"my.thrift\"")
            .map(|(path, place)| (section.relative(&path), place)),
        service: section.string("service"),
        unserved: read_unserved(section),
        views: Vec::new(),
        place: section.place().clone(),
    }
}
