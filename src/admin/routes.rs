//! The answer of each route. Bodies are short texts for people; the status is for probes.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Response, StatusCode};

use crate::metrics::{Health, LIVE_WITHIN, Metrics};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

const INDEX: &str = "\
/livez    whether every loop is alive
/readyz   whether calls are accepted
/metrics  all metrics, as OpenMetrics text
/cache/purge  removes cached answers (POST)
";

/// The answer to one request. For HEAD the library omits the body.
pub(super) fn answer(method: &Method, path: &str, metrics: &Arc<Metrics>) -> Response<Full<Bytes>> {
    let route = match path {
        "/" | "/livez" | "/readyz" | "/metrics" => path,
        _ => {
            return text(
                StatusCode::NOT_FOUND,
                "no such page; / has the list\n".into(),
            );
        }
    };
    if method != Method::GET && method != Method::HEAD {
        return not_allowed("GET, HEAD");
    }
    match route {
        "/livez" => livez(metrics.health()),
        "/readyz" => readyz(metrics.health()),
        "/metrics" => with_type(StatusCode::OK, metrics.scrape(), OPEN_METRICS),
        _ => text(StatusCode::OK, INDEX.into()),
    }
}

fn livez(health: &Health) -> Response<Full<Bytes>> {
    let mut body = String::new();
    let mut status = StatusCode::OK;
    for (at, age) in health.ages() {
        let stuck = age >= LIVE_WITHIN;
        let word = if stuck { "stuck" } else { "ok" };
        if stuck {
            status = StatusCode::SERVICE_UNAVAILABLE;
        }
        writeln!(
            body,
            "loop {at}: {word}, last heartbeat {} ms ago",
            age.as_millis()
        )
        .expect("a string takes what is written to it");
    }
    text(status, body)
}

fn readyz(health: &Health) -> Response<Full<Bytes>> {
    let stuck = health.ages().iter().any(|(_, age)| *age >= LIVE_WITHIN);
    let (status, word) = if health.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else if stuck {
        (StatusCode::SERVICE_UNAVAILABLE, "stuck\n")
    } else if health.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
    };
    text(status, word.into())
}

/// Refuses a method; these are allowed.
pub(super) fn not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let body = format!("{allowed} only\n");
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, body);
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

pub(super) fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    with_type(status, body, TEXT)
}

fn with_type(status: StatusCode, body: String, kind: HeaderValue) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn status(path: &str, metrics: &Arc<Metrics>) -> u16 {
        answer(&Method::GET, path, metrics).status().as_u16()
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_sees_a_loop_start_stick_and_stop() {
        let shutdown = CancellationToken::new();
        let metrics = Metrics::new(1, shutdown.clone());
        assert_eq!(status("/readyz", &metrics), 503);
        let heart = metrics.health().heart(0);
        heart.accepts();
        assert_eq!(status("/readyz", &metrics), 200);
        assert_eq!(status("/livez", &metrics), 200);
        tokio::time::advance(LIVE_WITHIN).await;
        assert_eq!(status("/livez", &metrics), 503);
        assert_eq!(status("/readyz", &metrics), 503);
        heart.beat();
        assert_eq!(status("/readyz", &metrics), 200);
        assert_eq!(status("/livez", &metrics), 200);
        shutdown.cancel();
        assert_eq!(status("/readyz", &metrics), 503);
        assert_eq!(
            status("/livez", &metrics),
            200,
            "a draining server is alive"
        );
    }

    #[test]
    fn the_index_names_every_route() {
        let metrics = Metrics::new(1, CancellationToken::new());
        let paths = INDEX.lines().map(|line| line.split(' ').next());
        for path in paths.map(|path| path.expect("a path")) {
            if path == super::super::purge::PATH {
                continue;
            }
            assert_ne!(status(path, &metrics), 404, "{path}");
        }
        assert_eq!(status("/debug", &metrics), 404);
        assert_eq!(answer(&Method::POST, "/metrics", &metrics).status(), 405);
    }
}
