//! `tributary init`: lays out a project around an IDL, which can be served and called at once.
//!
//! In: a `.thrift` file. Out: the standard include beside it, a commented `tributary.toml` with a view per method and
//! sample data for every lookup, and `compose.yaml`. The configuration has no problems, whatever the IDL.

mod draft; // a method -> the lookups of its view
mod text; // the files' texts

use std::path::{Component, Path, PathBuf};

use clap::Args;

use super::error::CommandError;
use super::exit::ExitStatus;
use super::include::IncludeArgs;
use super::method::pick_service;
use super::output::Output;
use super::standard_idl::{NewFile, write_files};
use crate::coerce::Sampler;
use crate::idl::{self, Method, STANDARD, Schema};
use crate::program::is_meta;
use draft::Drafts;
use text::{DraftConfig, DraftView, params_of, sample_path};

/// Lay out a project for an IDL: a configuration with a view per method, sample data, and the standard include
///
/// Writes `tributary.toml`, `compose.yaml`, `sample/*.json` and, beside the IDL, `tributary.thrift`. The result can be
/// served and called at once; replace the sample data with your own stores, lookup by lookup. An IDL from outside the
/// folder is copied into it, with its includes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Init {
    /// The IDL
    #[arg(value_name = "IDL")]
    idl: PathBuf,
    /// The project's folder [default: the folder of the IDL]
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The service to serve [default: the only one in the IDL]
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    #[command(flatten)]
    include: IncludeArgs,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  tributary init greet.thrift
  tributary init idl/greet.thrift .
  tributary init --service Greeter shared/all.thrift greeter";

pub(super) fn run(options: &Init, out: &mut Output) -> Result<ExitStatus, CommandError> {
    let folders = &options.include.folders;
    let schema = idl::load(&options.idl, folders)?;
    let shown = options.idl.display().to_string();
    let service = pick_service(&schema, &shown, options.service.as_deref())?;
    let service = &schema.services[service];
    let dir = options.dir.as_deref();
    let dir = dir.unwrap_or_else(|| folder_of(&options.idl));

    let mut files = Vec::new();
    let (idl, idl_path) = match path_inside(&options.idl, dir) {
        Some(idl) => {
            standard_includes(&schema, folder_of(&dir.join(&idl)), folders, &mut files);
            let folders = folders.iter().map(|folder| reachable(folder, dir));
            (idl, folders.collect())
        }
        // A copy needs no include path: each include is copied to where it is looked for first.
        None => (copy(&schema, dir, &mut files)?, Vec::new()),
    };
    let mut drafts = Drafts::new(&schema);
    let methods = service.methods.iter();
    let methods = methods.filter(|method| !is_meta(&schema, method));
    let config = DraftConfig {
        schema: &schema,
        idl,
        idl_path,
        service: &service.name,
        views: methods
            .map(|method| DraftView {
                method,
                lookups: drafts.of(method),
            })
            .collect(),
    };
    let mut add = |name: &str, text: String| {
        let path = dir.join(name);
        files.push(NewFile { path, text });
    };
    add("tributary.toml", text::config(&config));
    add("compose.yaml", text::compose(&service.name));
    for lookup in config.views.iter().flat_map(|view| &view.lookups) {
        add(&sample_path(lookup), format!("{:#}\n", lookup.sample));
    }
    write_files(&files, options.force, out)?;
    let called = config.views.first().map(|view| view.method);
    out.note(&next_steps(dir, &schema, called));
    Ok(ExitStatus::Done)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The path of a file relative to `dir`, if the file is inside.
fn path_inside(path: &Path, dir: &Path) -> Option<String> {
    let (path, dir) = (path.canonicalize().ok()?, dir.canonicalize().ok()?);
    let inside = path.strip_prefix(dir).ok()?;
    Some(inside.to_string_lossy().into_owned())
}

/// Copies the IDL and its includes into `dir`. Returns the name of the IDL there.
fn copy(schema: &Schema, dir: &Path, files: &mut Vec<NewFile>) -> Result<String, CommandError> {
    for source in &schema.sources {
        for path in &source.paths {
            let leaves = Path::new(path).components();
            if leaves.into_iter().any(|part| part == Component::ParentDir) {
                let message = format!("the IDL includes `{path}`, which is outside its folder");
                return Err(CommandError::failed(message)
                    .help("run `tributary init` in a folder that contains all of the IDL"));
            }
            files.push(NewFile {
                path: dir.join(path),
                text: source.text.clone(),
            });
        }
    }
    let (name, text) = STANDARD;
    if schema.sources.iter().all(|source| source.name != name) {
        files.push(NewFile {
            path: dir.join(name),
            text: text.to_owned(),
        });
    }
    let root = schema.sources.first().map(|source| source.name.clone());
    Ok(root.unwrap_or_default())
}

/// The path of a folder of the include path as the configuration in `dir` writes it.
fn reachable(folder: &Path, dir: &Path) -> String {
    path_inside(folder, dir).unwrap_or_else(|| {
        let absolute = folder.canonicalize();
        let absolute = absolute.unwrap_or_else(|_| folder.to_owned());
        absolute.to_string_lossy().into_owned()
    })
}

/// The standard include, wherever the IDL includes it and there is no such file; beside the IDL if it is not included.
fn standard_includes(
    schema: &Schema,
    beside: &Path,
    folders: &[PathBuf],
    files: &mut Vec<NewFile>,
) {
    let (name, text) = STANDARD;
    let mut sources = schema.sources.iter();
    let included = sources.find(|source| source.name == name);
    let alone = [name.to_owned()];
    for path in included.map_or(&alone[..], |source| &source.paths) {
        let mut places = [beside]
            .into_iter()
            .chain(folders.iter().map(PathBuf::as_path));
        if !places.any(|folder| folder.join(path).exists()) {
            files.push(NewFile {
                path: beside.join(path),
                text: text.to_owned(),
            });
        }
    }
}

fn next_steps(dir: &Path, schema: &Schema, called: Option<&Method>) -> String {
    let enter = if dir == Path::new(".") {
        String::new()
    } else {
        format!("  cd {}\n", dir.display())
    };
    let call = called.map_or_else(String::new, |method| {
        format!(
            "\nand in a second terminal:\n\n  tributary call {}{}\n",
            method.name,
            words(schema, method)
        )
    });
    format!("\nNext:\n\n{enter}  tributary check\n  tributary serve\n{call}")
}

/// Parameters with which the sample data is found, as `call` reads them.
fn words(schema: &Schema, method: &Method) -> String {
    let words = params_of(schema, method).map(|param| {
        let value = match Sampler::new(schema).value(&param.name, &param.ty) {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        let is_plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
        let quote = if value.chars().all(is_plain) { "" } else { "'" };
        format!(" {}={quote}{value}{quote}", param.name)
    });
    words.collect()
}

#[cfg(test)]
mod tests;
