//! Finds the method that `call` and `compare` name, in an IDL or in the IDL of a configuration.
//!
//! Of a configuration only `[server]` is used: calling a server does not need its secrets or its stores.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Failure;
use crate::config::{self, list, nearest};
use crate::idl::{self, Method, Schema, Service, Type};

/// Where the IDL is.
#[derive(Clone, Debug, Args)]
pub(super) struct IdlArgs {
    /// The IDL [default: the configuration's]
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    idl: Option<PathBuf>,
    /// The configuration that names the IDL [default: tributary.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The service [default: the configuration's, or the only one of the IDL]
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

const DEFAULT_CONFIG: &str = "tributary.toml";

/// A method with everything its types refer to.
#[derive(Debug)]
pub(super) struct Found {
    /// The IDL.
    pub(super) schema: Schema,
    service: usize,
    method: usize,
}

impl Found {
    /// The method called `name` of a service that is already known.
    pub(super) fn of(schema: &Schema, service: usize, name: &str) -> Option<Self> {
        let method = *schema.services[service].by_name.get(name)?;
        Some(Found {
            schema: schema.clone(),
            service,
            method,
        })
    }

    /// The service it is a method of.
    pub(super) fn service(&self) -> &Service {
        &self.schema.services[self.service]
    }

    /// The method.
    pub(super) fn method(&self) -> &Method {
        &self.service().methods[self.method]
    }

    /// The name of its `tributary.Context` parameter.
    pub(super) fn context_param(&self) -> Option<&str> {
        let context = Type::Struct(self.schema.standard.context?);
        let params = self.schema.get(self.method().params);
        let field = params.fields.iter().find(|field| field.ty == context)?;
        Some(&field.name)
    }

    /// The name of its reply's `tributary.Report` field.
    pub(super) fn report_field(&self) -> Option<&str> {
        let report = Type::Struct(self.schema.standard.report?);
        let Some(Type::Struct(reply)) = self.method().result else {
            return None;
        };
        let fields = &self.schema.get(reply).fields;
        Some(&fields.iter().find(|field| field.ty == report)?.name)
    }
}

/// Loads the IDL and finds the method called `name`.
pub(super) fn find(args: &IdlArgs, name: &str) -> Result<Found, Failure> {
    let (path, configured) = idl_path(args)?;
    let schema = idl::load(&path)?;
    let wanted = args.service.as_deref().or(configured.as_deref());
    let service = pick_service(&schema, &path, wanted)?;
    let methods = &schema.services[service];
    let Some(&method) = methods.by_name.get(name) else {
        let names = methods.methods.iter().map(|method| &*method.name);
        let message = format!("service `{}` has no method `{name}`", methods.name);
        return Err(Failure::misuse(message).help(suggestion(name, names)));
    };
    Ok(Found {
        schema,
        service,
        method,
    })
}

/// The IDL, and the service that the configuration serves.
fn idl_path(args: &IdlArgs) -> Result<(PathBuf, Option<String>), Failure> {
    if let Some(idl) = &args.idl {
        return Ok((idl.clone(), None));
    }
    let path = match &args.config {
        Some(path) => path.as_path(),
        None if Path::new(DEFAULT_CONFIG).is_file() => Path::new(DEFAULT_CONFIG),
        None => {
            let message = format!("no IDL: there is no `{DEFAULT_CONFIG}` here");
            return Err(Failure::misuse(message)
                .help("name the IDL with `--idl FILE`, or a configuration with `-c FILE`"));
        }
    };
    let document = config::open(&path.to_string_lossy()).map_err(|problem| vec![*problem])?;
    let server = config::read(&document).server;
    match server.idl {
        Some((idl, _)) => Ok((idl, server.service.map(|(name, _)| name))),
        // What is wrong with the rest of it does not matter here, but this may be why there is no `idl`.
        None => Err(document.problems.into_vec().into()),
    }
}

fn pick_service(schema: &Schema, path: &Path, wanted: Option<&str>) -> Result<usize, Failure> {
    let services = &schema.services;
    let names = || services.iter().map(|service| &*service.name);
    if let Some(wanted) = wanted {
        let found = services.iter().position(|service| &*service.name == wanted);
        return found.ok_or_else(|| {
            let message = format!("`{}` has no service `{wanted}`", path.display());
            Failure::misuse(message).help(suggestion(wanted, names()))
        });
    }
    let own_file = path.file_stem().map(|stem| stem.to_string_lossy());
    let own: Vec<usize> = (0..services.len())
        .filter(|&at| own_file.as_deref() == Some(&*services[at].file))
        .collect();
    match own[..] {
        [only] => Ok(only),
        [] => Err(Failure::misuse(format_args!(
            "`{}` declares no service",
            path.display()
        ))),
        _ => {
            let message = format!("`{}` declares {} services", path.display(), own.len());
            let own = own.iter().map(|&at| &*services[at].name);
            Err(Failure::misuse(message).help(format!("name one with `--service`: {}", list(own))))
        }
    }
}

/// The name that was meant, or all there are.
pub(super) fn suggestion<'a>(wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(wanted, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.clone().next().is_none() => "there are none".into(),
        None => format!("there are {}", list(known)),
    }
}
