//! Asks a Redis server whether it knows the commands and whether this user may run them.
//!
//! `COMMAND INFO` answers the first question. `ACL DRYRUN`, which runs nothing, answers the second, with `x` for each
//! parameter. Refused keys are ignored: a pattern may allow others. If the server does not answer these commands,
//! everything is assumed to be allowed.

use super::command::{Command, Extra};
use super::config::Servers;
use super::connection::Connection;
use super::resp::{Reply, put_argument, put_command, put_head, refused};
use super::server::Server;
use super::tracking::try_to_hear;
use super::{Config, Redis};
use crate::backend::examine::{Examination, Finding, Refusal};
use crate::backend::{Backend as _, LookupError, OnLoop, Planned};
use crate::error::Code;
use crate::value::Value;

/// Any command would do: it only matters whether there is a reply.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

pub(super) async fn examine(config: &Config, planned: &[Planned<'_, Command>]) -> Examination {
    let mut redis = Redis::connect(config, &[], &OnLoop::default()).await;
    if let Servers::Cluster(seeds) = &config.servers {
        // Commands and permissions are the same on every node, so it is enough to ask the first that can be reached.
        let connect =
            |server: Server| Connection::start(server, config.connect_timeout, &OnLoop::default());
        redis.connections.extend(seeds.servers().map(connect));
        for connection in &redis.connections {
            if connection.ask(PING, 1).await.is_ok() {
                break;
            }
        }
    }
    match ask(&redis, planned).await {
        Ok((user, lookups)) => {
            let words = match user {
                Some(_) => "connected, permissions of the commands read",
                None => "connected, permissions are unknown",
            };
            let did = words.to_owned();
            Examination {
                found: Vec::new(),
                did,
                failures: Vec::new(),
                lookups,
            }
        }
        Err(err) => Examination::failed(in_own_words(err), planned.len()),
    }
}

/// A server that refuses a session is unavailable to lookups, but not out of reach.
fn in_own_words(err: LookupError) -> LookupError {
    let kinds = ["ERR ", "NOAUTH ", "NOPERM ", "WRONGPASS "];
    // An address may come before them.
    let is_said =
        |kind: &&str| err.detail.starts_with(kind) || err.detail.contains(&format!(": {kind}"));
    if kinds.iter().any(is_said) {
        return refused(&err.detail);
    }
    err
}

async fn ask(
    redis: &Redis,
    planned: &[Planned<'_, Command>],
) -> Result<(Option<Vec<u8>>, Vec<Finding>), LookupError> {
    let mut out = Vec::new();
    put_command(&mut out, &[b"ACL", b"WHOAMI"]);
    let user = match redis.next().ask(&out, 1).await?.pop() {
        Some(Reply::String(user)) => Some(user.to_vec()),
        _ => None,
    };
    let mut lookups = Vec::with_capacity(planned.len());
    for planned in planned {
        lookups.push(finding(redis, planned.lookup, user.as_deref()).await?);
    }
    // Last, since nothing else can be asked over that connection then.
    let is_kept = |of: &&Planned<'_, Command>| of.invalidate.is_some();
    let kept = planned.iter().filter(is_kept);
    let prefixes: Vec<&str> = kept.map(|of| of.lookup.key.first_text()).collect();
    if !prefixes.is_empty()
        && let Some(why) = try_to_hear(redis.next(), prefixes).await?
    {
        let findings = lookups.iter_mut().zip(planned);
        for (finding, _) in findings.filter(|(_, of)| is_kept(of)) {
            finding.refusals.push(unheard(&why));
        }
    }
    Ok((user, lookups))
}

async fn finding(
    redis: &Redis,
    command: &Command,
    user: Option<&[u8]>,
) -> Result<Finding, LookupError> {
    let mut out = Vec::new();
    put_command(&mut out, &[b"COMMAND", b"INFO", command.wire.as_bytes()]);
    let dry = user.and_then(|user| dry_run(command, user));
    out.extend(dry.iter().flatten());
    let count = 1 + usize::from(dry.is_some());
    let mut replies = redis.next().ask(&out, count).await?.into_iter();
    let unknown = match replies.next() {
        Some(Reply::Array(known)) => known == [Reply::Nil],
        _ => false,
    };
    let denied = replies.next().and_then(denied);
    let why = match denied {
        _ if unknown => Some("this server has no such command".to_owned()),
        denied => denied,
    };
    let refusal = why.map(|why| Refusal {
        key: command.wire.to_lowercase(),
        code: Code::ConfigBadValue,
        message: format!("Redis: {why}"),
        help: None,
    });
    Ok(Finding {
        refusals: refusal.into_iter().collect(),
        statement: None,
    })
}

/// Why nothing is kept until it changes.
fn unheard(why: &str) -> Refusal {
    let help = "let the user run `hello` and `client|tracking`, of Redis 6 or newer; or leave `invalidate` out, and choose a short `ttl`";
    Refusal {
        key: "cache.invalidate".into(),
        code: Code::ConfigBadValue,
        message: format!("changes can't be heard: Redis: {why}"),
        help: Some(help.into()),
    }
}

/// The message that the user may not run a command at all.
fn denied(reply: Reply) -> Option<String> {
    let Reply::String(said) = reply else {
        return None;
    };
    let said = String::from_utf8_lossy(&said).into_owned();
    said.contains("permissions to run").then_some(said)
}

/// `ACL DRYRUN user get airport:x`
fn dry_run(command: &Command, user: &[u8]) -> Option<Vec<u8>> {
    let is_list = matches!(command.extra, Extra::Keys);
    let text = || Value::from("x");
    let mut params = vec![text(); command.params()];
    if let (true, Some(list)) = (is_list, command.key.positions().next()) {
        params[list] = Value::List(vec![text()]);
    }
    let mut packed = Vec::new();
    command.pack(&params, &mut packed).ok()?;
    // `*2`, and the arguments after it.
    let head = packed.windows(2).position(|pair| pair == b"\r\n")?;
    let count: usize = std::str::from_utf8(&packed[1..head]).ok()?.parse().ok()?;
    let mut out = Vec::new();
    put_head(&mut out, count + 3);
    for word in [b"ACL", &b"DRYRUN"[..], user] {
        put_argument(&mut out, word);
    }
    out.extend_from_slice(&packed[head + 2..]);
    Some(out)
}
