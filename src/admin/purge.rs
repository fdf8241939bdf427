//! Removes cached answers: `POST /cache/purge`, with the name of a lookup and values of its parameters, or without either.
//!
//! Every loop has caches of its own, so each is asked. A page in a browser can't ask: its requests say where they come from.

use std::time::Duration;

use futures_util::future::join_all;
use hyper::header::{CONTENT_LENGTH, HeaderMap, ORIGIN, TRANSFER_ENCODING};
use hyper::{Method, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::access::Permission;
use super::body::Answer;
use super::query;
use super::response::{not_allowed, text};
use crate::diagnostic::list;
use crate::guard::{NotPurged, Purge, PurgeRequest, PurgeSender, Purged};
use crate::value::Value;

pub(super) const PATH: &str = "/cache/purge";
/// How long a loop may take.
const LOOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The loops, and whether this port may ask them.
#[derive(Debug)]
pub struct Purging {
    /// One per loop.
    pub loops: Vec<PurgeSender>,
    /// Whether the configuration or the address allows it.
    pub allowed: Permission,
}

/// Why a request is refused.
type Refused = (StatusCode, String);

/// The answer to one request.
pub(super) async fn answer(
    method: &Method,
    (query, headers): (Option<&str>, &HeaderMap),
    purging: &Purging,
) -> Response<Answer> {
    if method != Method::POST {
        return not_allowed("POST");
    }
    let forbidden = match purging.allowed {
        Permission::Given if headers.contains_key(ORIGIN) => {
            Some("not from a page in a browser: use `curl -X POST`\n")
        }
        Permission::Given => None,
        Permission::Off => Some("this port removes no answers: `admin.purge` is false\n"),
        Permission::OtherAddress => Some(
            "other machines can reach this port: it removes answers only with `admin.purge = true`, or on a loopback address\n",
        ),
    };
    if let Some(why) = forbidden {
        return text(StatusCode::FORBIDDEN, why);
    }
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length != "0");
    if has_body {
        let why =
            "`lookup` and `key` belong to the query of the URL, and the request has no body\n";
        return text(StatusCode::BAD_REQUEST, why);
    }
    match purge(query.unwrap_or_default(), purging).await {
        Ok(done) => text(StatusCode::OK, done),
        Err((status, why)) => text(status, why),
    }
}

async fn purge(query: &str, purging: &Purging) -> Result<String, Refused> {
    let purge = read(query).map_err(|why| (StatusCode::BAD_REQUEST, format!("{why}\n")))?;
    let loops = purging.loops.iter().map(|of| ask(of, purge.clone()));
    let mut entries = 0;
    let mut silent = 0;
    for answer in join_all(loops).await {
        match answer {
            Some(Ok(purged)) => entries += purged,
            Some(Err(why)) => return Err(refused(&purge, &why)),
            None => silent += 1,
        }
    }
    let (answers, loops) = (
        count(entries, "answer"),
        count(purging.loops.len() - silent, "loop"),
    );
    if silent > 0 {
        let silent = count(silent, "loop");
        let why = format!("removed {answers} on {loops}; {silent} did not answer: ask again\n");
        return Err((StatusCode::SERVICE_UNAVAILABLE, why));
    }
    Ok(format!("removed {answers} on {loops}\n"))
}

/// What one loop says; `None` if it says nothing.
async fn ask(to: &PurgeSender, purge: Purge) -> Option<Purged> {
    let (purged, answer) = oneshot::channel();
    to.try_send(PurgeRequest { purge, purged }).ok()?;
    timeout(LOOP_TIMEOUT, answer).await.ok()?.ok()
}

fn refused(purge: &Purge, why: &NotPurged) -> Refused {
    let lookup = purge.lookup.as_deref().unwrap_or_default();
    match why {
        NotPurged::NoLookup => {
            let why = format!("there is no lookup `{lookup}`\n");
            (StatusCode::NOT_FOUND, why)
        }
        NotPurged::NoCache => {
            let why = format!("the lookup `{lookup}` has no cache\n");
            (StatusCode::NOT_FOUND, why)
        }
        NotPurged::WrongType(wanted) => (StatusCode::BAD_REQUEST, format!("{wanted}\n")),
        NotPurged::NoParameter(name, known) => {
            let known = match &known[..] {
                [] => "any".to_owned(),
                known => format!(
                    "`{name}`; it has {}",
                    list(known.iter().map(String::as_str))
                ),
            };
            let why = format!("the lookup `{lookup}` has no parameter {known}\n");
            (StatusCode::BAD_REQUEST, why)
        }
    }
}

/// Reads `lookup=NAME&key={"param": value}`.
fn read(query: &str) -> Result<Purge, String> {
    let mut purge = Purge::default();
    for (name, value) in query::pairs(query)? {
        match name {
            "lookup" => purge.lookup = Some(value),
            "key" => purge.params = params(&value)?,
            _ => {
                return Err(format!(
                    "`{name}` is not known here: `lookup` and `key` are"
                ));
            }
        }
    }
    if !purge.params.is_empty() && purge.lookup.is_none() {
        return Err("`key` is that of a `lookup`: name it".into());
    }
    Ok(purge)
}

fn params(json: &str) -> Result<Vec<(String, Value)>, String> {
    let expected =
        || "`key` is a JSON object with the values of parameters: {\"id\": 7}".to_owned();
    let Ok(Value::Map(pairs)) = Value::from_json(json.as_bytes()) else {
        return Err(expected());
    };
    let pairs = pairs.into_iter().map(|(name, value)| match name {
        Value::Text(name) => Ok((name.as_str().to_owned(), value)),
        _ => Err(expected()),
    });
    pairs.collect()
}

/// `1 answer`, `2 answers`
fn count(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_lookup_and_values() {
        let purge = read("lookup=flight&key=%7B%22carrier%22:%22A%2BB+C%22,%22number%22:7%7D");
        let purge = purge.expect("it is fine");
        assert_eq!(purge.lookup.as_deref(), Some("flight"));
        let params = [("carrier", Value::from("A+B C")), ("number", Value::I64(7))];
        let params = params.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(purge.params, params);
        let all = read("").expect("it is fine");
        assert!(all.lookup.is_none() && all.params.is_empty());
        for bad in [
            "key={}&loookup=a",
            "key={\"a\":1}",
            "lookup=a&key=7",
            "lookup=%ff",
            "lookup=a&lookup=b",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    /// The status and the body of an answer of one loop that answers so, or not at all.
    async fn asked(method: Method, query: &str, purging: &Purging) -> (u16, String) {
        use http_body_util::BodyExt as _;
        let response = answer(&method, (Some(query), &HeaderMap::new()), purging).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body");
        let body = String::from_utf8(body.to_bytes().to_vec()).expect("text");
        (status, body)
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn every_loop_is_asked_and_a_silent_one_is_named() {
        let (one, mut requests) = crate::guard::purge_channel();
        let (silent, _requests) = crate::guard::purge_channel();
        let answers = tokio::task::spawn_local(async move {
            let replies = [Ok(2), Ok(3), Err(NotPurged::NoCache)];
            for reply in replies {
                let request = requests.recv().await.expect("a request");
                assert_eq!(request.purge.lookup.as_deref(), Some("a"));
                drop(request.purged.send(reply));
            }
        });
        let mut purging = Purging {
            loops: vec![one],
            allowed: Permission::Given,
        };
        let query = "lookup=a";
        let done = asked(Method::POST, query, &purging).await;
        assert_eq!(done, (200, "removed 2 answers on 1 loop\n".into()));
        purging.loops.push(silent);
        let (status, body) = asked(Method::POST, query, &purging).await;
        let expected = "removed 3 answers on 1 loop; 1 loop did not answer: ask again\n";
        assert_eq!((status, &*body), (503, expected));
        assert_eq!(asked(Method::POST, query, &purging).await.0, 404);
        assert_eq!(asked(Method::GET, query, &purging).await.0, 405);
        assert_eq!(asked(Method::POST, "key=7", &purging).await.0, 400);
        purging.allowed = Permission::Off;
        assert_eq!(asked(Method::POST, query, &purging).await.0, 403);
        answers.await.expect("all were asked");
    }

    #[tokio::test(flavor = "local", start_paused = true)]
    async fn a_page_in_a_browser_is_refused() {
        let purging = Purging {
            loops: Vec::new(),
            allowed: Permission::Given,
        };
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, "http://elsewhere".parse().expect("a header"));
        let response = answer(&Method::POST, (None, &headers), &purging).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
}
