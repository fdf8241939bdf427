//! Bodies that are compressed, and bodies in other charsets.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn encoded(body: &[u8], headers: &[(&'static str, &'static str)]) -> Response<Body> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("in memory");
    let is_gzip = headers.iter().any(|(name, _)| *name == "content-encoding");
    let body = if is_gzip {
        encoder.finish().expect("in memory")
    } else {
        body.to_vec()
    };
    let mut response = reply(200, body);
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(*name, value);
    }
    response
}

const GZIP: (&str, &str) = ("content-encoding", "gzip");

#[tokio::test(flavor = "local")]
async fn compressed_bodies_are_asked_for_and_read_up_to_the_limit() {
    let server = Server::start(|path| match path {
        "/small" => encoded(br#"{"a": 1}"#, &[GZIP]),
        "/latin" => encoded(
            b"\"\xe9\"",
            &[GZIP, ("content-type", "application/json; charset=latin1")],
        ),
        "/unasked" => encoded(b"x", &[("content-encoding", "compress")]),
        _ => encoded(&[b' '; 2000], &[GZIP]),
    })
    .await;
    let backend = backend(&server.url, "body_bytes_max = '1000B'").await;
    assert_eq!(
        ask(&backend, "get = '/small'\npointer = '/a'", &[]).await,
        Ok(1.into())
    );
    assert_eq!(server.header("accept-encoding"), "gzip, deflate, br, zstd");
    assert_eq!(ask(&backend, "get = '/latin'", &[]).await, Ok("é".into()));
    assert_eq!(
        ask(&backend, "get = '/large'", &[]).await,
        Err(Code::LookupTooMany)
    );
    let bytes = ask(&backend, "get = '/small'\nformat = 'bytes'", &[]).await;
    assert_eq!(bytes, Ok(Value::Bytes(Bytes::from_static(br#"{"a": 1}"#))));
    let own = "get = '/small'\nheaders = { accept-encoding = 'identity' }";
    assert!(ask(&backend, own, &[]).await.is_ok());
    assert_eq!(server.header("accept-encoding"), "identity");
    assert_eq!(
        ask(&backend, "get = '/unasked'", &[]).await,
        Err(Code::LookupBadAnswer)
    );
}

#[tokio::test(flavor = "local")]
async fn byte_order_marks_and_charsets_are_read() {
    let server = Server::start(|path| match path {
        "/mark" => encoded(b"\xef\xbb\xbf{\"a\": 1}", &[]),
        "/utf-16" => encoded(b"\xff\xfe\"\0\xe9\0\"\0", &[]),
        "/latin" => encoded(
            b"\xe9",
            &[("content-type", "text/plain; charset=iso-8859-1")],
        ),
        _ => encoded(b"\xc1", &[("content-type", "text/plain; charset=koi8-r")]),
    })
    .await;
    let backend = backend(&server.url, "").await;
    assert_eq!(
        ask(&backend, "get = '/mark'\npointer = '/a'", &[]).await,
        Ok(1.into())
    );
    assert_eq!(ask(&backend, "get = '/utf-16'", &[]).await, Ok("é".into()));
    let text =
        async |path: &str| ask(&backend, &format!("get = '{path}'\nformat = 'text'"), &[]).await;
    assert_eq!(text("/latin").await, Ok("é".into()));
    assert_eq!(text("/koi8-r").await, Err(Code::LookupBadAnswer));
    let bytes = ask(&backend, "get = '/latin'\nformat = 'bytes'", &[]).await;
    assert_eq!(bytes, Ok(Value::Bytes(Bytes::from_static(b"\xe9"))));
}
