//! Finds the method that `call`, `compare` and `bench` name: in the server's own IDL, in a file, or in the IDL of a
//! configuration.
//!
//! Only `[server]` of a configuration is read: calling a server requires neither its secrets nor its stores.

use std::path::{Path, PathBuf};

use clap::Args;

use super::connect::{ConnectArgs, on_loop};
use super::error::CommandError;
use super::include::IncludeArgs;
use super::server_idl::{META, ServerIdl, server_idl};
use crate::diagnostic::{list, suggest};
use crate::idl::{self, Method, Schema, Service, Type};
use crate::program;

/// The options that name the IDL.
#[derive(Clone, Debug, Args)]
pub(super) struct IdlArgs {
    /// The IDL [default: ask the server for its own]
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    idl: Option<PathBuf>,
    /// A configuration that names the IDL
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The service [default: the served one, or the only one in the IDL]; `Tributary` is the server's own
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    #[command(flatten)]
    include: IncludeArgs,
}

/// A method with everything its types refer to.
#[derive(Debug)]
pub(super) struct ResolvedMethod {
    /// The IDL.
    pub(super) schema: Schema,
    service: usize,
    method: usize,
}

impl ResolvedMethod {
    /// The method called `name` of the service at that index.
    pub(super) fn of(schema: &Schema, service: usize, name: &str) -> Option<Self> {
        let method = *schema.services[service].by_name.get(name)?;
        Some(ResolvedMethod {
            schema: schema.clone(),
            service,
            method,
        })
    }

    /// The name of the service, if the method has to be called with it: only for the server's own service.
    pub(super) fn prefix(&self) -> Option<&str> {
        let service = self.service();
        let is_meta = &*service.name == META && *service.file == *"tributary";
        is_meta.then_some(META)
    }

    /// The service of the method.
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

/// Finds the method called `name`, asking the server for its IDL if none is named.
pub(super) fn find(
    args: &IdlArgs,
    connect: &ConnectArgs,
    name: &str,
) -> Result<ResolvedMethod, CommandError> {
    let wanted = args.service.as_deref();
    if let Some((path, configured, folders)) = idl_path(args)? {
        let schema = idl::load(&path, &folders)?;
        let path = path.display().to_string();
        return find_in(schema, &path, wanted.or(configured.as_deref()), name);
    }
    if !args.include.folders.is_empty() {
        let help = "name the IDL with `--idl FILE`, or leave `-I` out: the server sends its IDL with all includes";
        return Err(CommandError::misuse("`-I` is for an IDL of this machine").help(help));
    }
    if wanted == Some(META) {
        return find_in(idl::standard().clone(), "tributary.thrift", wanted, name);
    }
    let ServerIdl { schema, service } = on_loop(server_idl(connect))??;
    let from = format!("the IDL of {}", connect.addr);
    find_in(schema, &from, wanted.or(Some(&service)), name)
}

/// Finds the method called `name` in `schema`, which comes from `path`.
fn find_in(
    schema: Schema,
    path: &str,
    service: Option<&str>,
    name: &str,
) -> Result<ResolvedMethod, CommandError> {
    let service = pick_service(&schema, path, service)?;
    let methods = &schema.services[service];
    let Some(&method) = methods.by_name.get(name) else {
        let names = methods.methods.iter().map(|method| &*method.name);
        let message = format!("service `{}` has no method `{name}`", methods.name);
        return Err(CommandError::misuse(message).help(suggestion(name, names)));
    };
    Ok(ResolvedMethod {
        schema,
        service,
        method,
    })
}

/// The path of an IDL, the service in it, and the include path.
type NamedIdl = (PathBuf, Option<String>, Vec<PathBuf>);

/// The path of the IDL that was named, the service that the configuration serves, if one was named, and the include path.
fn idl_path(args: &IdlArgs) -> Result<Option<NamedIdl>, CommandError> {
    let folders = &args.include.folders;
    if let Some(idl) = &args.idl {
        return Ok(Some((idl.clone(), None, folders.clone())));
    }
    let Some(path) = &args.config else {
        return Ok(None);
    };
    let document =
        program::open(&path.to_string_lossy(), folders).map_err(|problem| vec![*problem])?;
    let server = program::read(&document).server;
    match server.idl {
        Some((idl, _)) => {
            let service = server.service.map(|(name, _)| name);
            Ok(Some((idl, service, document.idl_path.take())))
        }
        // Other problems of the configuration do not matter here, but they may be why there is no `idl`.
        None => Err(document.problems.into_vec().into()),
    }
}

/// The service called `wanted`, or the only one that the IDL at `path` declares itself.
pub(super) fn pick_service(
    schema: &Schema,
    path: &str,
    wanted: Option<&str>,
) -> Result<usize, CommandError> {
    let services = &schema.services;
    let names = || services.iter().map(|service| &*service.name);
    if let Some(wanted) = wanted {
        let found = services.iter().position(|service| &*service.name == wanted);
        return found.ok_or_else(|| {
            let message = format!("`{path}` has no service `{wanted}`");
            CommandError::misuse(message).help(suggestion(wanted, names()))
        });
    }
    let own_file = Path::new(path)
        .file_stem()
        .map(|stem| stem.to_string_lossy());
    let own: Vec<usize> = (0..services.len())
        .filter(|&at| own_file.as_deref() == Some(&*services[at].file))
        .collect();
    match own[..] {
        [only] => Ok(only),
        [] => Err(CommandError::misuse(format_args!(
            "`{path}` declares no service"
        ))),
        _ => {
            let message = format!("`{path}` declares {} services", own.len());
            let own = own.iter().map(|&at| &*services[at].name);
            Err(CommandError::misuse(message)
                .help(format!("name one with `--service`: {}", list(own))))
        }
    }
}

/// The name that was probably meant, or all names.
pub(super) fn suggestion<'a>(wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    suggest(wanted, known, || "there are none".into())
}
