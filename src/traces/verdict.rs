//! What an answer of a collector means for the calls that it was sent, by the specification of OTLP/HTTP. Pure.

use std::time::Duration;

use hyper::StatusCode;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They were taken.
    Taken,
    /// They may be sent again, after so long if the collector says.
    Again(Option<Duration>),
    /// They will not be taken.
    Refused,
}

/// What an answer with this status means. `retry_after` is the header's text.
pub(super) fn of(status: StatusCode, retry_after: Option<&str>) -> Verdict {
    match status {
        _ if status.is_success() => Verdict::Taken,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let seconds = retry_after.and_then(|text| text.trim().parse().ok());
            Verdict::Again(seconds.map(Duration::from_secs))
        }
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let of =
            |status: u16, after| super::of(StatusCode::from_u16(status).expect("a status"), after);
        assert_eq!(
            (of(200, None), of(202, Some("9"))),
            (Verdict::Taken, Verdict::Taken)
        );
        for status in [429, 502, 503, 504] {
            assert_eq!(of(status, None), Verdict::Again(None));
            assert_eq!(
                of(status, Some("7")),
                Verdict::Again(Some(Duration::from_secs(7)))
            );
            assert_eq!(
                of(status, Some("Fri, 31 Dec 1999 23:59:59 GMT")),
                Verdict::Again(None)
            );
        }
        for status in [301, 400, 401, 404, 413, 500, 501] {
            assert_eq!(of(status, Some("7")), Verdict::Refused, "{status}");
        }
    }
}
