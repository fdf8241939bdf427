//! One call with JSON in and JSON out: for programs that embed a server and want to try it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::client::{Call, Client, Reply};
use super::connect::on_loop;
use super::exit::{Failure, Reason};
use super::method::Found;
use super::params::Params;
use super::reply::result_json;
use crate::config::Program;
use crate::thrift::{Limits, Protocol, Shape, Transport};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls `method` of the server at `addr`, which serves `program`: `params` is a JSON object, the result comes
/// as compact JSON. An exception is an error. Blocks this thread, so not for use on a loop.
pub fn call_json(
    addr: SocketAddr,
    program: &Program,
    method: &str,
    params: &str,
) -> anyhow::Result<String> {
    let found = Found::of(&program.schema, program.service, method)
        .with_context(|| format!("there is no method `{method}`"))?;
    let mut read = Params::new(&found.schema, found.method());
    read.json(params).map_err(told)?;
    let params = read.finish().map_err(told)?;
    let shape = Shape {
        transport: Transport::Framed,
        protocol: Protocol::Binary,
    };
    let reply = on_loop(async {
        let mut client =
            Client::connect(&addr.to_string(), shape, Limits::default(), TIMEOUT).await?;
        let call = Call {
            schema: &found.schema,
            method: found.method(),
            params: &params,
            timeout: TIMEOUT,
        };
        client.call(&call).await
    })
    .map_err(told)??;
    match reply {
        Reply::Returned(value) => Ok(result_json(&found, &value).to_string()),
        Reply::Threw { of, .. } => Err(anyhow!("`{method}` threw {}", found.schema.get(of).name)),
        Reply::Sent => Ok("null".into()),
    }
}

fn told(failure: Failure) -> anyhow::Error {
    match failure.reason {
        Reason::One { message, .. } => anyhow!(message),
        Reason::Problems(problems) => anyhow!("{} problems", problems.len()),
    }
}
