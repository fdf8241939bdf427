//! Probes while a loop is stuck and while the server drains.

use std::net::TcpStream;

use super::{Served, get, patiently, status, status_of};

#[test]
fn the_port_answers_while_the_loop_is_stuck() {
    let served = Served::start();
    assert_eq!(status(served.admin, "/livez"), 200);
    let stuck = served.get_stuck();
    let scrape = served.scrape();
    assert_eq!(scrape.count("tributary_calls_in_flight", &[]), 1);
    // The heartbeat of a stuck loop only gets older.
    let loop_0 = [("loop", "0")];
    patiently(|| {
        served
            .scrape()
            .number("tributary_loop_heartbeat_age_seconds", &loop_0)
            >= 0.2
    });
    let (head, body) = get(served.admin, "/livez");
    assert_eq!(status_of(&head), 200, "ten seconds are not over");
    let age = body
        .strip_prefix("loop 0: ok, last heartbeat ")
        .and_then(|rest| rest.strip_suffix(" ms ago\n")?.parse::<u64>().ok());
    assert!(age.is_some_and(|age| age >= 200), "{body}");
    served.release.send(()).expect("the closure waits");
    assert_eq!(stuck.join().expect("no panic").as_deref(), Ok("\"done\""));
    // When its timer ran, the loop recorded how late it was.
    patiently(|| {
        served
            .scrape()
            .number("tributary_loop_lag_max_seconds", &loop_0)
            >= 0.1
    });
    served.server.stop().expect("it ends well");
}

#[test]
fn a_draining_server_is_not_ready_and_finishes_calls_in_flight() {
    let served = Served::start();
    assert_eq!(status(served.admin, "/readyz"), 200);
    let stuck = served.get_stuck();
    served.server.drain();
    let (head, body) = get(served.admin, "/readyz");
    assert_eq!((status_of(&head), body.as_str()), (503, "draining\n"));
    assert_eq!(served.scrape().count("tributary_draining", &[]), 1);
    served.release.send(()).expect("the closure waits");
    assert_eq!(stuck.join().expect("no panic").as_deref(), Ok("\"done\""));
    let admin = served.admin;
    served.server.stop().expect("it ends well");
    assert!(
        TcpStream::connect(admin).is_err(),
        "the port ends with the server"
    );
}

#[test]
fn a_loop_that_stands_still_is_counted_with_its_method_while_it_does() {
    let served = Served::start();
    let stalls = |method| {
        let labels = [("method", method)];
        served
            .scrape()
            .count("tributary_loop_stalls_total", &labels)
    };
    assert_eq!(stalls("wait"), 0);
    let stuck = served.get_stuck();
    patiently(|| stalls("wait") == 1);
    assert_eq!(stalls("page"), 0);
    served.release.send(()).expect("the closure waits");
    assert_eq!(stuck.join().expect("no panic").as_deref(), Ok("\"done\""));
    assert_eq!(stalls("wait"), 1, "once for each time");
    served.server.stop().expect("it ends well");
}
