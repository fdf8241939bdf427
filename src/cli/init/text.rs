//! Writes the files of a new project: the commented configuration and the file for `docker compose`.

use std::fmt::Write as _;

use super::draft::{Draft, Rows, is_scalar};
use crate::idl::{Field, Method, Schema, Type};

/// More columns are `*` in a hint.
const COLUMNS_MAX: usize = 8;

/// A method and the lookups of its view.
pub(super) struct DraftView<'s> {
    pub(super) method: &'s Method,
    pub(super) lookups: Vec<Draft>,
}

/// What the configuration is written from.
pub(super) struct DraftConfig<'s> {
    pub(super) schema: &'s Schema,
    /// The IDL's path, relative to the configuration.
    pub(super) idl: String,
    /// The folders of its include path, as the configuration writes them.
    pub(super) idl_path: Vec<String>,
    /// The name of the service.
    pub(super) service: &'s str,
    pub(super) views: Vec<DraftView<'s>>,
}

/// The text of `tributary.toml`.
pub(super) fn config(draft: &DraftConfig<'_>) -> String {
    let folders: Vec<String> = draft.idl_path.iter().map(|path| quoted(path)).collect();
    let idl_path = if folders.is_empty() {
        String::new()
    } else {
        format!("\nidl_path = [{}]", folders.join(", "))
    };
    let mut text = format!(
        "# How `{service}` is served: one view per method. Until you name your own stores, the answers are the sample
# data in `sample`.
#   tributary check                  what is wrong with this file
#   tributary explain METHOD         what a call does
#   tributary manual configuration   what can be written here

[server]
idl = {idl}{idl_path}
service = {service_text}
# Every network interface, as a container needs. \"127.0.0.1:9090\" is reached from this machine only.
listen = \"0.0.0.0:9090\"

# Health and metrics over HTTP.
#[admin]
#listen = \"127.0.0.1:9091\"

# A store of your own: `tributary manual backends` has the kinds. Name it as the `backend` of a lookup.
#[backends.database]
#kind = \"postgres\"
#url = \"env:DATABASE_URL\"
",
        service = draft.service,
        idl = quoted(&draft.idl),
        service_text = quoted(draft.service),
    );
    for view in &draft.views {
        text.push('\n');
        write_view(&mut text, draft.schema, view);
    }
    text
}

fn write_view(text: &mut String, schema: &Schema, view: &DraftView<'_>) {
    let method = view.method;
    let name = key(&method.name);
    let mut lines = vec![
        format!("# {}", signature(schema, method)),
        format!("[views.{name}]"),
        "# How long a call may take.".into(),
        "deadline = \"1s\"".into(),
        String::new(),
        format!("[views.{name}.lookups]"),
    ];
    lines.extend(view.lookups.iter().map(used));
    lines.extend(elements(schema, view));
    for lookup in &view.lookups {
        lines.extend(lookup_lines(schema, method, lookup));
    }
    for line in lines {
        // Writing to a String can't fail.
        let _infallible = writeln!(text, "{line}");
    }
}

/// The line of a lookup in its view.
fn used(lookup: &Draft) -> String {
    let mut keys = vec![format!("use = {}", quoted(&lookup.name))];
    if lookup.into_reply {
        keys.push("into = \".\"".into());
    }
    if lookup.required {
        keys.push("required = true".into());
    }
    format!("{} = {{ {} }}", key(&lookup.used_as), keys.join(", "))
}

/// How to ask once for each element of a list that is a parameter, if the method has one and answers with a list.
fn elements(schema: &Schema, view: &DraftView<'_>) -> Option<String> {
    let lookup = view.lookups.iter().find(|at| at.rows == Rows::Many)?;
    let mut params = params_of(schema, view.method);
    let param = params.find(|param| match &param.ty {
        Type::List(of) | Type::Set(of) => is_scalar(of),
        _ => false,
    })?;
    Some(format!(
        "# For one question per element of `{param}`, with `rows = \"one\"` and the parameter `{{id}}` in the lookup:\n\
         #{} = {{ use = {}, foreach = {}, with = {{ id = \"item\" }} }}",
        key(&lookup.used_as),
        quoted(&lookup.name),
        quoted(&param.name),
        param = param.name,
    ))
}

fn lookup_lines(schema: &Schema, method: &Method, lookup: &Draft) -> Vec<String> {
    let name = key(&lookup.name);
    let mut lines = vec![
        format!("\n[lookups.{name}]"),
        format!("backend = {}", quoted(&lookup.name)),
    ];
    let mut replaced = "`backend`";
    if !lookup.key.is_empty() {
        let terms = lookup.key.iter();
        let terms: Vec<String> = terms
            .map(|param| format!("{} = {}", key(param), quoted(&format!("{{{param}}}"))))
            .collect();
        lines.push(format!("key = {{ {} }}", terms.join(", ")));
        replaced = "`backend` and `key`";
    }
    lines.extend([
        format!("rows = {}", quoted(lookup.rows.as_str())),
        format!("# From a database, instead of {replaced}:"),
        "#backend = \"database\"".into(),
        format!("#sql = {}", quoted(&sql(schema, method, lookup))),
        format!("\n[backends.{name}]"),
        "kind = \"file\"".into(),
        format!("path = {}", quoted(&sample_path(lookup))),
    ]);
    lines
}

/// The path of a lookup's sample data, relative to the configuration.
pub(super) fn sample_path(lookup: &Draft) -> String {
    format!("sample/{}.json", lookup.name)
}

/// A query that may answer the lookup.
fn sql(schema: &Schema, method: &Method, lookup: &Draft) -> String {
    let columns = if lookup.rows != Rows::Value && lookup.columns.len() > COLUMNS_MAX {
        "*".to_owned()
    } else {
        lookup.columns.join(", ")
    };
    let mut params = lookup.key.clone();
    if params.is_empty() {
        let all = params_of(schema, method).filter(|param| is_scalar(&param.ty));
        params = all.map(|param| param.name.to_string()).collect();
    }
    let terms: Vec<String> = params
        .iter()
        .map(|param| format!("{param} = :{param}"))
        .collect();
    let mut sql = format!("select {columns} from {}", lookup.table);
    if !terms.is_empty() {
        sql = format!("{sql} where {}", terms.join(" and "));
    }
    sql
}

/// The parameters of a method, without its context.
pub(super) fn params_of<'s>(
    schema: &'s Schema,
    method: &Method,
) -> impl Iterator<Item = &'s Field> {
    let context = schema.standard.context.map(Type::Struct);
    let params = schema.get(method.params).fields.iter();
    params.filter(move |param| context.as_ref() != Some(&param.ty))
}

/// `greet.Greeting greet(i32 id, tributary.Context context)`
fn signature(schema: &Schema, method: &Method) -> String {
    let params = schema.get(method.params).fields.iter();
    let params: Vec<String> = params
        .map(|param| format!("{} {}", schema.describe(&param.ty), param.name))
        .collect();
    let result = match &method.result {
        Some(ty) => schema.describe(ty),
        None if method.oneway => "oneway void".into(),
        None => "void".into(),
    };
    format!("{result} {}({})", method.name, params.join(", "))
}

/// The text of `compose.yaml`.
pub(super) fn compose(service: &str) -> String {
    let service = service.to_lowercase();
    format!(
        "# Serves this folder in a container: docker compose up
# The image is built once, in Tributary's repository: docker build -f docker/Dockerfile -t tributary .
services:
  {service}:
    image: tributary
    command: [\"serve\", \"-c\", \"/etc/tributary/tributary.toml\"]
    volumes: [\".:/etc/tributary:ro\"]
    ports: [\"127.0.0.1:9090:9090\"]
    read_only: true
    cap_drop: [\"ALL\"]
    # The image asks the admin port for its health: remove this line once tributary.toml has `[admin]`.
    healthcheck: {{ disable: true }}
    # Longer than `server.drain_timeout`, so that calls in flight may finish.
    stop_grace_period: 15s
"
    )
}

/// A TOML key.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A TOML string: it has the escapes of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
