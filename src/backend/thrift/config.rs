//! Reads the keys of `[backends.NAME]`: the service, and how to talk to it.
//!
//! The service's IDL is read here, once; its mistakes are reported at their place in the IDL.

use std::sync::Arc;
use std::time::Duration;

use super::hosts::Hosts;
use crate::backend::endpoints;
use crate::backend::net::age_max;
use crate::config::{Section, pick_service, read_idl};
use crate::idl::{Schema, Service};
use crate::thrift::{Limits, Protocol, Transport, WireFormat};

const TRANSPORTS: &[&str] = &["framed", "unframed", "header"];
/// How long the reply to a dropped lookup may still take: dropped lookups are common, and most replies arrive within it.
const ABANDONED_MAX: Duration = Duration::from_millis(100);

/// A Thrift service as `[backends.NAME]` describes it.
#[derive(Clone)]
pub struct Config {
    pub(super) remote: Arc<Remote>,
    /// Its hosts: each connection starts at a different one.
    pub(super) hosts: Hosts,
    /// Its hosts, if they are found out while the server runs: each has connections of its own.
    pub(super) endpoints: Option<endpoints::Config>,
    /// How many connections each loop holds; with endpoints, to each of them.
    pub(super) connections: usize,
    /// How long one attempt to connect may take, TLS included.
    pub(super) connect_timeout: Duration,
    /// How old a connection may become.
    pub(super) age_max: Duration,
    /// The most calls in flight on one connection.
    pub(super) pipelined_max: usize,
    /// How long the reply to a dropped lookup may still take before its connection is closed.
    pub(super) abandoned_max: Duration,
}

/// A service: its IDL and its wire format.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) schema: Schema,
    /// An index into the schema's services.
    service: usize,
    pub(super) wire_format: WireFormat,
    /// For replies.
    pub(super) limits: Limits,
    /// Whether the service's name precedes those of methods.
    multiplexed: bool,
}

impl Config {
    /// Reads the keys.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let endpoints = endpoints::Config::read(section);
        let hosts = match &endpoints {
            Ok(None) => Hosts::read(section),
            Ok(Some(_)) | Err(()) => Hosts::of_endpoints(section),
        };
        let idl = section.required_string("idl", "idl = \"service.thrift\"");
        let wanted = section.string("service");
        let wire_format = wire_format(section);
        let multiplexed = section.bool("multiplexed").unwrap_or(false);
        let connections = section.count("connections", 4, 64);
        let connect_timeout = section.timeout("connect_timeout");
        let age_max = age_max(section);
        let pipelined_max = section.count("pipelined_max", 1, 1024);
        let mut limits = Limits::default();
        if let Some(size) = section.size("reply_bytes_max") {
            limits.frame_bytes_max = size;
        }
        let (path, place) = idl?;
        let document = section.document();
        let (schema, problems) = read_idl(document, &section.relative(&path), &place);
        for problem in problems {
            document.problems.push(problem);
        }
        let (schema, endpoints) = (schema?, endpoints.ok()?);
        let connect_timeout = connect_timeout
            .unwrap_or_else(|| endpoints::Config::connect_timeout(endpoints.as_ref()));
        let service = pick_service(document, &schema, wanted.as_ref(), section.place())?;
        Some(Config {
            remote: Arc::new(Remote {
                schema,
                service,
                wire_format: wire_format?,
                limits,
                multiplexed,
            }),
            hosts: hosts?,
            endpoints,
            connections,
            connect_timeout,
            age_max,
            pipelined_max,
            abandoned_max: ABANDONED_MAX,
        })
    }
}

impl Remote {
    /// The service.
    pub(super) fn service(&self) -> &Service {
        &self.schema.services[self.service]
    }

    /// A method's name on the wire.
    pub(super) fn name_of(&self, method: &str) -> String {
        if self.multiplexed {
            format!("{}:{method}", self.service().name)
        } else {
            method.to_owned()
        }
    }
}

fn wire_format(section: &mut Section<'_>) -> Option<WireFormat> {
    let transport = section.has("transport");
    let transport = match (transport, section.word("transport", TRANSPORTS)) {
        (true, None) => None,
        (_, Some(("unframed", _))) => Some(Transport::Unframed),
        (_, Some(("header", _))) => Some(Transport::Header),
        _ => Some(Transport::Framed),
    };
    let protocol = section.has("protocol");
    let protocol = match (protocol, section.word("protocol", &["binary", "compact"])) {
        (true, None) => None,
        (_, Some(("compact", _))) => Some(Protocol::Compact),
        _ => Some(Protocol::Binary),
    };
    Some(WireFormat {
        transport: transport?,
        protocol: protocol?,
    })
}
