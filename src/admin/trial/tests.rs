//! Who may make calls, what a request says, and loops that are silent.

use http_body_util::Full;
use hyper::header::HeaderName;

use super::request::DEADLINE_MAX;
use super::*;
use crate::service::trial_channel;

const OWN: [(&str, &str); 4] = [
    ("host", "localhost:9091"),
    ("content-type", "application/json; charset=utf-8"),
    ("origin", "http://LocalHost:9091"),
    ("sec-fetch-site", "same-origin"),
];

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    pairs.collect()
}

#[test]
fn only_a_page_of_this_port_or_no_page_may_ask() {
    let status = |pairs: &[(&'static str, &'static str)]| {
        is_of_own_page(&headers(pairs)).map_err(|(status, _)| status.as_u16())
    };
    assert_eq!(status(&OWN), Ok(()));
    assert_eq!(status(&OWN[..2]), Ok(()), "not a browser");
    assert_eq!(status(&OWN[1..2]), Ok(()), "not even a host");
    assert_eq!(status(&[]), Err(415));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "json"] {
        assert_eq!(status(&[("content-type", kind)]), Err(415), "{kind}");
    }
    for other in [
        ("origin", "http://evil.example"),
        ("origin", "http://localhost:9092"),
        ("origin", "http://localhost"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let mut pairs = OWN.to_vec();
        pairs.retain(|(name, _)| *name != other.0);
        pairs.push(other);
        assert_eq!(status(&pairs), Err(403), "{other:?}");
    }
}

#[test]
fn a_request_says_what_it_wants() {
    let read = |text: &str| Wanted::read(text.as_bytes());
    let wanted = read(r#"{"method": "get", "deadline_ms": 500, "mode": null}"#);
    let wanted = wanted.expect("it is fine");
    assert_eq!(wanted.method, "get");
    assert_eq!(wanted.deadline, Duration::from_millis(500));
    let whole = read(r#"{"method": "get"}"#).expect("it is fine");
    assert_eq!(whole.deadline, DEADLINE_MAX);
    for (bad, why) in [
        ("{", "not JSON"),
        ("[]", "expected an object"),
        ("{}", "`method` is missing"),
        (r#"{"method": 7}"#, "`method` is a text"),
        (r#"{"method": "a", "mode": "SLOW"}"#, "`mode` is"),
        (r#"{"method": "a", "deadline_ms": 0}"#, "1 to 10000"),
        (r#"{"method": "a", "deadline_ms": 10001}"#, "1 to 10000"),
        (r#"{"method": "a", "deadline_ms": "1s"}"#, "a whole number"),
        (r#"{"method": "a", "token": "a\r\nb"}"#, "is not a token"),
        (r#"{"method": "a", "param": {}}"#, "`param` is not known"),
    ] {
        let said = read(bad).expect_err("it is wrong");
        assert!(said.contains(why), "{bad}: {said}");
    }
}

static LONG: [u8; BODY_BYTES_MAX + 1] = [b' '; BODY_BYTES_MAX + 1];

/// The status and the text of an answer.
async fn asked(method: Method, body: &'static [u8], trying: &Trying) -> (u16, String) {
    let with = ("", &headers(&OWN));
    let response = answer(&method, with, Full::new(Bytes::from_static(body)), trying).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    let body = String::from_utf8(body.to_bytes().to_vec()).expect("text");
    (status, body)
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_silent_loop_a_long_body_and_a_port_that_may_not() {
    let (silent, _requests) = trial_channel();
    let trying = Trying::new(vec![silent], Permission::Given);
    let wanted = br#"{"method": "get"}"#;
    let (status, why) = asked(Method::POST, wanted, &trying).await;
    assert_eq!(status, 503, "{why}");
    assert_eq!(asked(Method::GET, b"", &trying).await.0, 503);
    assert_eq!(asked(Method::POST, &LONG, &trying).await.0, 413);
    assert_eq!(asked(Method::POST, b"{}", &trying).await.0, 400);
    assert_eq!(asked(Method::DELETE, b"", &trying).await.0, 405);
    let places = trying.places.acquire_many(4).await.expect("it is open");
    let (status, why) = asked(Method::POST, wanted, &trying).await;
    assert_eq!((status, why.contains("under way")), (503, true), "{why}");
    drop(places);
    let closed = Trying::new(Vec::new(), Permission::Off);
    for method in [Method::POST, Method::GET] {
        assert_eq!(asked(method, wanted, &closed).await.0, 403);
    }
}
