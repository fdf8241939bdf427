//! Makes responses: their status, type and headers.

use bytes::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::access::Denied;
use super::body::Answer;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Refuses a method; these are allowed.
pub(super) fn not_allowed(allowed: &'static str) -> Response<Answer> {
    let body = format!("{allowed} only\n");
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, body);
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// Refuses a request that may not be answered.
pub(super) fn denied(why: Denied) -> Response<Answer> {
    match why {
        Denied::Token => {
            let mut response = text(
                StatusCode::UNAUTHORIZED,
                "the token of `[admin]` is needed\n",
            );
            // A browser asks for a name and a password, which is the token.
            let challenge = HeaderValue::from_static("Basic realm=\"Tributary\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            response
        }
        Denied::Certificate => text(
            StatusCode::FORBIDDEN,
            "a certificate of an authority in `admin.tls.client_ca` is needed\n",
        ),
        Denied::Plain => text(
            StatusCode::BAD_REQUEST,
            "this port speaks TLS: connect with TLS, by `https://`\n",
        ),
        Denied::Open => text(
            StatusCode::FORBIDDEN,
            "other machines can reach this port, and it takes neither a token nor certificates of clients: set `admin.token` or `client_ca` in `admin.tls`, or let `admin.listen` be a loopback address such as 127.0.0.1:9091\n",
        ),
        Denied::Host => text(
            StatusCode::FORBIDDEN,
            "only as `localhost` or by an IP address: `admin.token` allows other host names\n",
        ),
    }
}

pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Answer> {
    with_type(status, body, TEXT)
}

pub(super) fn json(body: &serde_json::Value) -> Response<Answer> {
    with_type(StatusCode::OK, body.to_string(), JSON)
}

pub(super) fn with_type(
    status: StatusCode,
    body: impl Into<Bytes>,
    kind: HeaderValue,
) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
