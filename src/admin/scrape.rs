//! The answer to a scrape. Scrapers ask for gzip, which makes it about twenty times shorter.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};
use hyper::{Response, StatusCode};

use super::body::Answer;
use super::response::with_type;
use crate::metrics::Metrics;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// All metrics.
pub(super) fn scrape(metrics: &Arc<Metrics>, headers: &HeaderMap) -> Response<Answer> {
    let text = metrics.scrape();
    let is_gzip = accepts_gzip(headers);
    let body = if is_gzip { gzip(&text) } else { text.into() };
    let mut response = with_type(StatusCode::OK, body, OPEN_METRICS);
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn gzip(text: &str) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let written = gzip.write_all(text.as_bytes());
    let written = written.and_then(|()| gzip.finish());
    written
        .expect("a vector takes what is written to it")
        .into()
}

/// Whether the client takes gzip: it names it, and not with a weight of zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).into_iter();
    let codings = values.filter_map(|value| value.to_str().ok());
    let mut codings = codings.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let refused = weight.is_some_and(|weight| weight.parse() == Ok(0.0));
        name.eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_scraper_gets_gzip_if_it_takes_it() {
        for value in ["gzip", "deflate, GZIP;q=0.5", "identity;q=1, gzip ; q=1"] {
            assert!(accepts_gzip(&accepting(value)), "{value}");
        }
        for value in ["", "identity", "gzip;q=0", "br, gzip; q=0.000", "xgzip"] {
            assert!(!accepts_gzip(&accepting(value)), "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));

        let metrics = Metrics::new(1, CancellationToken::new());
        let coding = |headers: &HeaderMap| {
            let response = scrape(&metrics, headers);
            response.headers().get(CONTENT_ENCODING).cloned()
        };
        assert_eq!(coding(&HeaderMap::new()), None);
        let gzipped = Some(HeaderValue::from_static("gzip"));
        assert_eq!(coding(&accepting("gzip")), gzipped);
        let mut text = String::new();
        let mut unzip = GzDecoder::new(std::io::Cursor::new(gzip("tributary 1\n")));
        unzip.read_to_string(&mut text).expect("it is gzip");
        assert_eq!(text, "tributary 1\n");
    }
}
