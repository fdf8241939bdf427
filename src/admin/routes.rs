//! The answer of each route. Bodies for probes are short texts for people; the status is for the probe.

use std::fmt::Write as _;
use std::sync::Arc;

use hyper::header::{ACCEPT, HeaderMap};
use hyper::{Method, Response, StatusCode};
use serde_json::Value as Json;

use super::access::Shows;
use super::body::Answer;
use super::calls;
use super::now;
use super::pages;
use super::query;
use super::response::{json, not_allowed, text, with_type};
use super::scrape::scrape;
use crate::metrics::{Health, LIVE_WITHIN, Metrics, Readiness};
use crate::recorder::Recorder;

const INDEX: &str = "\
/livez    whether every loop is alive
/readyz   whether calls are accepted
/metrics  all metrics, as OpenMetrics text
/calls    calls that are kept, as JSON: list, method, outcome, caller, slower, limit
/config   every value of the configuration, without secrets, as JSON; format=text
/gains    what decides how long calls take, as JSON: method
/now      the present numbers, as JSON
/events   what happens, once a second, as server-sent events
/manual/  the manual
/cache/purge  removes cached answers (POST)
/try      makes a call (POST), and describes a form of it: method
";

/// A page that is answered with its whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'p> {
    Index,
    Livez,
    Readyz,
    Metrics,
    Calls,
    Call(&'p str),
    Gains,
    Config,
    Now,
    File,
    Manual,
}

impl<'p> Route<'p> {
    /// The route of a path; `None` if there is none.
    pub(super) fn of(path: &'p str) -> Option<Self> {
        Some(match path {
            "/" => Route::Index,
            "/livez" => Route::Livez,
            "/readyz" => Route::Readyz,
            "/metrics" => Route::Metrics,
            "/calls" => Route::Calls,
            "/gains" => Route::Gains,
            "/config" => Route::Config,
            "/now" => Route::Now,
            _ if pages::file(path).is_some() => Route::File,
            _ if path.starts_with(pages::MANUAL) => Route::Manual,
            _ => Route::Call(path.strip_prefix("/calls/")?),
        })
    }

    pub(super) fn shows(self) -> Shows {
        match self {
            Route::Livez | Route::Readyz => Shows::Health,
            Route::Index | Route::Metrics | Route::Now | Route::File | Route::Manual => {
                Shows::Numbers
            }
            Route::Calls | Route::Call(_) | Route::Gains | Route::Config => Shows::Calls,
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'r> {
    pub(super) method: &'r Method,
    pub(super) path: &'r str,
    pub(super) query: &'r str,
    pub(super) headers: &'r HeaderMap,
}

pub(super) fn no_such_page() -> Response<Answer> {
    text(StatusCode::NOT_FOUND, "no such page; / has the list\n")
}

/// Whether the method reads. For HEAD the library omits the body.
pub(super) fn reads(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// The answer to one request.
pub(super) fn answer(
    route: Route<'_>,
    asked: Asked<'_>,
    metrics: &Arc<Metrics>,
) -> Response<Answer> {
    if !reads(asked.method) {
        return not_allowed("GET, HEAD");
    }
    match route {
        Route::Livez => livez(metrics.health()),
        Route::Readyz => readyz(metrics.health()),
        Route::Metrics => scrape(metrics, asked.headers),
        Route::Calls => of_calls(metrics, |recorder| {
            calls::list(recorder, &metrics.methods(), asked.query)
        }),
        Route::Call(id) => of_calls(metrics, |recorder| calls::one(recorder, id, asked.query)),
        Route::Gains => of_calls(metrics, |recorder| {
            calls::gains(recorder, &metrics.methods(), asked.query)
        }),
        Route::Now => json(&now::now(metrics)),
        Route::Config => config(metrics, asked.query),
        Route::File => pages::file(asked.path).map_or_else(no_such_page, |(kind, of)| {
            with_type(StatusCode::OK, of, kind)
        }),
        Route::Manual => pages::manual(asked.path).map_or_else(no_such_page, pages::html),
        Route::Index if takes_html(asked.headers) => pages::index(),
        Route::Index => text(StatusCode::OK, INDEX),
    }
}

/// Whether the client is a browser.
fn takes_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Every value of the configuration that is served.
fn config(metrics: &Metrics, query: &str) -> Response<Answer> {
    let (effective, loaded) = metrics.effective();
    let pairs = match query::pairs(query) {
        Ok(pairs) => pairs,
        Err(why) => return text(StatusCode::BAD_REQUEST, format!("{why}\n")),
    };
    let format = match &pairs[..] {
        [] => "json",
        [("format", format)] => &**format,
        _ => return text(StatusCode::BAD_REQUEST, "only `format` is known here\n"),
    };
    match format {
        "json" => {
            let mut shown = effective.json();
            shown["loaded_at"] = loaded.into();
            json(&shown)
        }
        "text" => text(StatusCode::OK, effective.text()),
        _ => text(StatusCode::BAD_REQUEST, "`format` is json or text\n"),
    }
}

fn of_calls(
    metrics: &Metrics,
    show: impl FnOnce(&Recorder) -> Result<Json, (StatusCode, String)>,
) -> Response<Answer> {
    let none = || {
        let why = "no calls are kept: `admin.calls_kept` is 0";
        (StatusCode::NOT_FOUND, why.to_owned())
    };
    let recorder = metrics.recorder().ok_or_else(none);
    match recorder.and_then(|recorder| show(recorder)) {
        Ok(shown) => json(&shown),
        Err((status, why)) => text(status, format!("{why}\n")),
    }
}

fn livez(health: &Health) -> Response<Answer> {
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

fn readyz(health: &Health) -> Response<Answer> {
    let readiness = health.readiness();
    let status = match readiness {
        Readiness::Ready => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, format!("{}\n", readiness.as_str()))
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::recorder::{RecorderLimits, Sinks};

    fn asked(method: &Method, path: &str, metrics: &Arc<Metrics>) -> u16 {
        let asked = Asked {
            method,
            path,
            query: "",
            headers: &HeaderMap::new(),
        };
        let response = Route::of(path).map(|route| answer(route, asked, metrics));
        response.map_or(404, |response| response.status().as_u16())
    }

    fn status(path: &str, metrics: &Arc<Metrics>) -> u16 {
        asked(&Method::GET, path, metrics)
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
        metrics.health().refuses(true);
        assert_eq!(status("/readyz", &metrics), 503);
        assert_eq!(status("/livez", &metrics), 200);
        metrics.health().refuses(false);
        assert_eq!(status("/readyz", &metrics), 200);
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
        let limits = RecorderLimits {
            kept: 1,
            per_second: 1,
            values: false,
        };
        let kept = Some(Recorder::new(limits, 1));
        let metrics = Metrics::recording(
            1,
            CancellationToken::new(),
            Sinks {
                kept,
                ..Sinks::default()
            },
        );
        let paths = INDEX.lines().map(|line| line.split(' ').next());
        for path in paths.map(|path| path.expect("a path")) {
            use super::super::{events, purge, trial};
            if [purge::PATH, events::PATH, trial::PATH].contains(&path) {
                continue;
            }
            assert_ne!(status(path, &metrics), 404, "{path}");
        }
        assert_eq!(status("/debug", &metrics), 404);
        assert_eq!(status("/calls/7", &metrics), 404);
        assert_eq!(asked(&Method::POST, "/metrics", &metrics), 405);
        let none = Metrics::new(1, CancellationToken::new());
        assert_eq!(status("/calls", &none), 404, "none are kept");
    }
}
