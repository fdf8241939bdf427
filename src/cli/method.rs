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
use crate::program::{self, Program};

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

impl IdlArgs {
    /// Whether the server is asked for its IDL.
    pub(super) fn is_of_server(&self) -> bool {
        let is_standard = self.service.as_deref() == Some(META);
        self.idl.is_none() && self.config.is_none() && !is_standard
    }

    /// The configuration that is named.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Refuses `-c 64`: other programs that put load on a server take a number of connections there.
    pub(super) fn refuse_number_as_config(&self) -> Result<(), CommandError> {
        let number = self.config.as_ref().and_then(|path| path.to_str());
        match number.filter(|text| text.parse::<u64>().is_ok() && !Path::new(text).exists()) {
            None => Ok(()),
            Some(number) => {
                let message =
                    format!("`-c` names a configuration, and there is no file `{number}`");
                let help = format!("for {number} connections: `--connections {number}`");
                Err(CommandError::misuse(message).help(help))
            }
        }
    }
}

/// Whether a word that is not an option's value is probably meant as the configuration.
pub(super) fn is_config(word: &str) -> bool {
    let extension = Path::new(word).extension();
    extension.is_some_and(|is| is == "toml")
}

/// How to name the configuration `word`.
pub(super) fn config_help(word: &str) -> String {
    format!("name the configuration with `-c {word}`")
}

/// Refuses a method that is probably meant as the configuration.
pub(super) fn refuse_config_as_method(name: &str) -> Result<(), CommandError> {
    if is_config(name) {
        let message = format!("`{name}` is not a method");
        return Err(CommandError::misuse(message).help(config_help(name)));
    }
    Ok(())
}

/// A method with everything its types refer to.
#[derive(Debug)]
pub(super) struct ResolvedMethod {
    /// The IDL.
    pub(super) schema: Schema,
    service: usize,
    method: usize,
    /// The server has several services: the method is called with the name of its own.
    multiplexed: bool,
}

impl ResolvedMethod {
    /// The method that a person means by `name`, of a program.
    pub(super) fn of_program(program: &Program, name: &str) -> Option<Self> {
        let (of, method) = program::find(&program.services, name).or_else(|| {
            let plan = program.plan(name)?;
            Some((&program.services[plan.service], &*plan.method))
        })?;
        let found = ResolvedMethod::of(&of.schema, of.service, method)?;
        Some(ResolvedMethod {
            multiplexed: program.services.len() > 1,
            ..found
        })
    }

    /// The method called `name` of the service at that index.
    pub(super) fn of(schema: &Schema, service: usize, name: &str) -> Option<Self> {
        let method = *schema.services[service].by_name.get(name)?;
        Some(ResolvedMethod {
            schema: schema.clone(),
            service,
            method,
            multiplexed: false,
        })
    }

    /// The name of the service, if the method has to be called with it.
    pub(super) fn prefix(&self) -> Option<&str> {
        let service = self.service();
        let is_meta = &*service.name == META && *service.file == *"tributary";
        (is_meta || self.multiplexed).then_some(&*service.name)
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

/// Finds the method called `name`, or `service:method`, asking the server for its IDL if none is named.
pub(super) fn find(
    args: &IdlArgs,
    connect: &ConnectArgs,
    name: &str,
) -> Result<ResolvedMethod, CommandError> {
    refuse_config_as_method(name)?;
    let (prefix, name) = split(name);
    let wanted = match (prefix, args.service.as_deref()) {
        (Some(prefix), Some(service)) if prefix != service => {
            let message = format!("`{prefix}:{name}` is not a method of `{service}`");
            return Err(CommandError::misuse(message).help("leave `--service` out"));
        }
        (prefix, service) => prefix.or(service),
    };
    if let Some(idls) = named_idls(args)? {
        let multiplexed = prefix.is_some() || idls.len() > 1;
        let found = match <[NamedIdl; 1]>::try_from(idls) {
            Ok([idl]) => {
                let wanted = wanted.or(idl.service.as_deref());
                find_in(idl.schema, &idl.path, wanted, name)
            }
            Err(idls) => {
                let idls = idls.into_iter().map(|idl| {
                    let at = pick_service(&idl.schema, &idl.path, idl.service.as_deref())?;
                    let service = idl.schema.services[at].name.to_string();
                    let schema = idl.schema;
                    Ok(ServerIdl { schema, service })
                });
                choose(idls.collect::<Result<_, CommandError>>()?, wanted, name)
            }
        };
        return found.map(|found| ResolvedMethod {
            multiplexed,
            ..found
        });
    }
    if !args.include.folders.is_empty() {
        let help = "name the IDL with `--idl FILE`, or leave `-I` out: the server sends its IDL with all includes";
        return Err(CommandError::misuse("`-I` is for an IDL of this machine").help(help));
    }
    if wanted == Some(META) {
        return find_in(idl::standard().clone(), "tributary.thrift", wanted, name);
    }
    choose(on_loop(server_idl(connect))??, wanted, name)
}

/// `service:method`, or a method alone.
pub(super) fn split(name: &str) -> (Option<&str>, &str) {
    match name.split_once(':') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, name),
    }
}

/// Finds the method called `name` among those of a server's services. The service may be left out if only one has it.
pub(super) fn choose(
    mut idls: Vec<ServerIdl>,
    wanted: Option<&str>,
    name: &str,
) -> Result<ResolvedMethod, CommandError> {
    let multiplexed = idls.len() > 1;
    let has = |idl: &ServerIdl| {
        idl.schema
            .service(&idl.service)
            .is_some_and(|of| of.method(name).is_some())
    };
    let fits = |idl: &ServerIdl| wanted.map_or_else(|| has(idl), |wanted| idl.service == wanted);
    let fitting: Vec<usize> = (0..idls.len()).filter(|&at| fits(&idls[at])).collect();
    let at = match fitting[..] {
        [only] => only,
        // What is wrong shows where it is looked for.
        _ if !multiplexed
            && wanted.is_none_or(|wanted| idls[0].schema.service(wanted).is_some()) =>
        {
            0
        }
        [] => {
            let message = match wanted {
                Some(wanted) => format!("the server has no service `{wanted}`"),
                None => format!("no service of the server has a method `{name}`"),
            };
            let services = idls.iter().map(|idl| &*idl.service);
            let help = wanted.map_or_else(
                || format!("the services are {}", list(services.clone())),
                |wanted| suggestion(wanted, services.clone()),
            );
            return Err(CommandError::misuse(message).help(help));
        }
        _ => {
            let labels = fitting
                .iter()
                .map(|&at| format!("{}:{name}", idls[at].service));
            let labels: Vec<String> = labels.collect();
            let message = format!("several services have a method `{name}`");
            let help = format!(
                "name the service too: {}",
                list(labels.iter().map(String::as_str))
            );
            return Err(CommandError::misuse(message).help(help));
        }
    };
    let ServerIdl { schema, service } = idls.swap_remove(at);
    let wanted = wanted.unwrap_or(&service);
    let found = find_in(schema, "the server's IDL", Some(wanted), name)?;
    Ok(ResolvedMethod {
        multiplexed,
        ..found
    })
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
        multiplexed: false,
    })
}

/// An IDL of this machine.
struct NamedIdl {
    path: String,
    schema: Schema,
    /// The service in it that the configuration serves, if it names one.
    service: Option<String>,
}

/// The IDLs that were named: one, or those of the services of a configuration. `None` if none was named.
fn named_idls(args: &IdlArgs) -> Result<Option<Vec<NamedIdl>>, CommandError> {
    let folders = &args.include.folders;
    let read = |path: PathBuf, service, folders: &[PathBuf]| {
        Ok(NamedIdl {
            schema: idl::load(&path, folders)?,
            path: path.display().to_string(),
            service,
        })
    };
    if let Some(idl) = &args.idl {
        return Ok(Some(vec![read(idl.clone(), None, folders)?]));
    }
    let Some(path) = &args.config else {
        return Ok(None);
    };
    let opened = program::open(&path.to_string_lossy(), folders);
    let document = opened.map_err(|problem| vec![*problem])?;
    let services = program::read(&document).server.services;
    let folders = document.idl_path.take();
    // Other problems of the configuration do not matter here, but they may be why there is no `idl`.
    if services.is_empty() || services.iter().any(|entry| entry.idl.is_none()) {
        return Err(document.problems.into_vec().into());
    }
    let idls = services
        .into_iter()
        .filter_map(|entry| Some((entry.idl?.0, entry.service)));
    let idls = idls.map(|(path, service)| read(path, service.map(|(name, _)| name), &folders));
    Ok(Some(idls.collect::<Result<_, CommandError>>()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_the_only_service_of_a_server_is_not() {
        let idls = || {
            vec![ServerIdl {
                schema: idl::standard().clone(),
                service: META.into(),
            }]
        };
        let err = choose(idls(), Some("Catalog"), "health").err();
        let said = format!("{:?}", err.expect("there is no such service").reason);
        assert!(
            said.contains("the server has no service `Catalog`"),
            "{said}"
        );
        assert!(choose(idls(), Some(META), "health").is_ok());
    }
}
