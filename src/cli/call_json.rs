//! One call with JSON in and JSON out, for programs that embed a server and want to test it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::client::{Client, MethodCall, MethodReply};
use super::connect::{ConnectArgs, on_loop};
use super::error::{CommandError, Reason};
use super::method::{ResolvedMethod, choose, split};
use super::params::ParamTree;
use super::reply::result_json;
use super::server_idl::server_idl;
use crate::program::Program;
use crate::thrift::{Limits, Protocol, Transport, WireFormat};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls `method` of the server at `addr`, which serves `program`. `params` is a JSON object; the result is compact JSON.
/// An exception is an error. Blocks this thread, so don't use it on an event loop.
pub fn call_json(
    addr: SocketAddr,
    program: &Program,
    method: &str,
    params: &str,
) -> anyhow::Result<String> {
    let found = ResolvedMethod::of_program(program, method);
    call_found(addr, found, (method, params))
}

/// Like [`call_json`], for a server whose program is not at hand: the server is asked for its IDL.
pub fn call_json_at(addr: SocketAddr, method: &str, params: &str) -> anyhow::Result<String> {
    let connect = ConnectArgs::to(addr, TIMEOUT);
    let idls = on_loop(server_idl(&connect))
        .and_then(|idls| idls)
        .map_err(to_error)?;
    let (service, name) = split(method);
    let found = choose(idls, service, name).map_err(to_error)?;
    call_found(addr, Some(found), (method, params))
}

fn call_found(
    addr: SocketAddr,
    found: Option<ResolvedMethod>,
    (method, params): (&str, &str),
) -> anyhow::Result<String> {
    let found = found.with_context(|| format!("there is no method `{method}`"))?;
    let mut read = ParamTree::new(&found.schema, found.method());
    read.json(params).map_err(to_error)?;
    let params = read.finish().map_err(to_error)?;
    let wire_format = WireFormat {
        transport: Transport::Framed,
        protocol: Protocol::Binary,
    };
    let reply = on_loop(async {
        let mut client =
            Client::connect(&addr.to_string(), wire_format, Limits::default(), TIMEOUT).await?;
        let call = MethodCall {
            schema: &found.schema,
            method: found.method(),
            service: found.prefix(),
            params: &params,
            timeout: TIMEOUT,
        };
        client.call(&call).await
    })
    .map_err(to_error)??;
    match reply {
        MethodReply::Returned(value) => Ok(result_json(&found, &value).to_string()),
        MethodReply::Threw { of, .. } => {
            Err(anyhow!("`{method}` threw {}", found.schema.get(of).name))
        }
        MethodReply::Sent => Ok("null".into()),
    }
}

fn to_error(failure: CommandError) -> anyhow::Error {
    match failure.reason {
        Reason::One { message, .. } => anyhow!(message),
        Reason::Problems(problems) => anyhow!("{} problems", problems.len()),
    }
}
