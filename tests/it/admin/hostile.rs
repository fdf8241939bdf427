//! Hostile requests to the admin port, and its limits.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::{PATIENCE, Served, ask, get, status, status_of};
use crate::support::bytes;

#[test]
fn only_get_and_head_of_known_pages() {
    let served = Served::start();
    let asked = |line: &str| {
        ask(
            served.admin,
            &format!("{line} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        )
    };
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let (head, _) = asked(&format!("{method} /metrics"));
        assert_eq!(status_of(&head), 405, "{method}");
        assert!(head.contains("allow: GET, HEAD"), "{head}");
    }
    for path in [
        "/metrics/",
        "/../metrics",
        "//livez",
        "/livez%00",
        "/debug/pprof",
        "/configuration",
    ] {
        assert_eq!(status(served.admin, path), 404, "{path}");
    }
    let (head, body) = asked("HEAD /metrics");
    assert_eq!((status_of(&head), body.as_str()), (200, ""));
    let (head, body) = get(served.admin, "/?x=script");
    assert_eq!(status_of(&head), 200);
    assert!(
        body.contains("/readyz") && !body.contains("script"),
        "{body}"
    );
    served.server.stop().expect("it ends well");
}

#[test]
fn invalid_requests_are_refused_and_the_next_one_is_answered() {
    let served = Served::start();
    let many = "x: y\r\n".repeat(100);
    let long = "a".repeat(100_000);
    for request in [
        "\r\n\r\n\r\nnonsense\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
        "GET / HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
            .to_owned(),
    ] {
        let (head, _) = ask(served.admin, &request);
        // Some are refused with a status, others by closing the connection; none is served.
        assert!(
            head.is_empty() || (400..500).contains(&status_of(&head)),
            "{request:.60}: {head}"
        );
    }
    // A Thrift client on the wrong port.
    let mut wire = TcpStream::connect(served.admin).expect("the port is open");
    wire.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let call = bytes("00 00 00 11 80 01 00 01 00 00 00 04 'page' 00 00 00 01 00");
    wire.write_all(&call).expect("it is taken");
    let mut answer = Vec::new();
    let _end = wire.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
        "{answer:?}"
    );
    assert_eq!(status(served.admin, "/livez"), 200);
    served.server.stop().expect("it ends well");
}

#[test]
fn a_connection_gets_one_response_and_an_endless_request_is_ended() {
    let served = Served::start();
    let (head, body) = ask(
        served.admin,
        "GET / HTTP/1.1\r\nhost: localhost\r\n\r\nGET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    );
    assert_eq!(status_of(&head), 200);
    assert!(!body.contains("HTTP/1.1"), "one answer only: {body}");

    served.server.stop().expect("it ends well");
}

#[test]
fn connections_without_a_request_keep_no_probe_out() {
    let served = Served::start();
    // More than there may be, some of which have begun a request.
    let held: Vec<TcpStream> = (0..40)
        .map(|at| {
            let mut stream = TcpStream::connect(served.admin).expect("the port is open");
            if at % 2 == 0 {
                stream.write_all(b"GET / HT").expect("it is taken");
            }
            stream
        })
        .collect();
    for path in ["/livez", "/readyz", "/metrics"] {
        for _ in 0..20 {
            assert_eq!(status(served.admin, path), 200, "{path}");
        }
    }
    // Some of them hear events and go on hearing them.
    let mut hears = TcpStream::connect(served.admin).expect("the port is open");
    hears.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let request = b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    hears.write_all(request).expect("it is taken");
    let mut start = [0; 12];
    hears.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 200");
    let more: Vec<TcpStream> = (0..40)
        .map(|_| TcpStream::connect(served.admin).expect("the port is open"))
        .collect();
    assert_eq!(status(served.admin, "/livez"), 200);
    let mut piece = [0; 64];
    while !String::from_utf8_lossy(&piece).contains("data: ") {
        assert_ne!(hears.read(&mut piece).expect("an event"), 0);
    }
    drop((held, more));
    served.server.stop().expect("it ends well");
}
