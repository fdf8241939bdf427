//! Asks a server for its IDL, by `idl()` of its `Tributary` service.
//!
//! In: how to connect to it. Out: the schema and the name of the served service. What the server sends is parsed with the
//! same limits as any IDL; its files may include only each other.

use std::collections::HashMap;

use super::client::{ClientError, MethodCall, MethodReply};
use super::connect::ConnectArgs;
use super::error::{CommandError, Reason};
use super::exit::ExitStatus;
use crate::idl::{self, Schema};
use crate::value::{Record, Value};

/// The built-in service that every server offers besides the one it serves.
pub(super) const META: &str = "Tributary";

/// The IDL of one service of a server.
pub(super) struct ServerIdl {
    pub(super) schema: Schema,
    /// The name of the served service.
    pub(super) service: String,
}

/// Asks the server for the IDLs of its services: at least one.
pub(super) async fn server_idl(connect: &ConnectArgs) -> Result<Vec<ServerIdl>, CommandError> {
    let standard = idl::standard();
    let method = standard.service(META).and_then(|meta| meta.method("idl"));
    let method = method.ok_or_else(|| CommandError::failed("the standard include has no `idl`"))?;
    let params = Value::Record(Record {
        names: standard.get(method.params).names.clone(),
        values: Vec::new(),
    });
    let call = MethodCall {
        schema: standard,
        method,
        service: Some(META),
        params: &params,
        timeout: connect.timeout,
    };
    let mut client = connect.asking()?.connect().await?;
    match client.call(&call).await {
        Ok(MethodReply::Returned(idl)) => {
            let others = match idl.get("others") {
                Some(Value::List(others)) => &others[..],
                _ => &[],
            };
            let all = std::iter::once(&idl).chain(others);
            all.map(|idl| read(connect.addr(), idl)).collect()
        }
        Ok(_) => Err(no_idl(connect, "it did not answer")),
        // A server other than Tributary answers with an error or closes the connection.
        Err(err @ (ClientError::Application { .. } | ClientError::Closed)) => {
            Err(no_idl(connect, &err.to_string()))
        }
        Err(err) => Err(err.into()),
    }
}

fn no_idl(connect: &ConnectArgs, why: &str) -> CommandError {
    let message = format!(
        "the server at `{}` does not provide its IDL: {why}",
        connect.addr()
    );
    CommandError::failed(message)
        .help("name the IDL with `--idl FILE`, or a configuration with `--config FILE`")
}

/// The schema of the files that a server sent.
fn read(addr: &str, sent: &Value) -> Result<ServerIdl, CommandError> {
    let text = |name| sent.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut files = HashMap::new();
    if let Some(Value::Map(pairs)) = sent.get("files") {
        let pairs = pairs.iter();
        files.extend(pairs.filter_map(|(name, text)| Some((name.as_str()?, text.as_str()?))));
    }
    let found = |name: &str| files.get(name).map(|text| (*text).to_owned());
    let schema = idl::load_from(text("root"), &found).map_err(|problems| CommandError {
        status: ExitStatus::Failed,
        reason: Reason::Problems(problems),
    })?;
    let service = text("service_name").to_owned();
    match schema.service(&service) {
        Some(_) => Ok(ServerIdl { schema, service }),
        None => Err(CommandError::failed(format_args!(
            "the IDL of the server at `{addr}` has no service `{service}`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(root: &str, files: &[(&str, &str)]) -> Value {
        let files = files
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()));
        Value::Map(vec![
            ("root".into(), root.into()),
            ("files".into(), Value::Map(files.collect())),
            ("service_name".into(), "S".into()),
        ])
    }

    #[test]
    fn files_find_each_other_as_they_did_on_the_server() {
        let files = [
            (
                "s.thrift",
                "include 'sub/a.thrift' include '../b.thrift' include 'tributary.thrift'
                service S { a.T get(1: b.U u, 2: tributary.Context c) }",
            ),
            (
                "sub/a.thrift",
                "include '../../b.thrift' struct T { 1: b.U u }",
            ),
            ("../b.thrift", "struct U { 1: i32 n }"),
        ];
        let read = read("x", &sent("s.thrift", &files)).expect("an IDL");
        assert_eq!(read.service, "S");
        // The standard include is there, as for any IDL.
        assert!(read.schema.standard.context.is_some());
        assert_eq!(read.schema.sources.len(), 4);
    }

    #[test]
    fn invalid_answers_are_reported() {
        let status = |files: &[(&str, &str)]| {
            let failure = read("x", &sent("s.thrift", files)).map(drop);
            failure.expect_err("no IDL").status
        };
        assert_eq!(status(&[]), ExitStatus::Failed);
        assert_eq!(status(&[("s.thrift", "service T {}")]), ExitStatus::Failed);
        assert_eq!(
            status(&[("s.thrift", "include 'etc.thrift'")]),
            ExitStatus::Failed
        );
        assert_eq!(status(&[("s.thrift", "service S {")]), ExitStatus::Failed);
        assert!(read("x", &Value::Null).is_err());
    }
}
