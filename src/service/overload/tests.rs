//! How connections rest whose calls are refused.

use super::*;

const DEADLINE: Duration = Duration::from_millis(400);

/// A beat of a loop that is late by so much and has worked all the time.
fn beat(late: Duration) -> Beat {
    Beat {
        late,
        elapsed: Duration::from_millis(50) + late,
        busy: 1.0,
        is_busy: true,
        kept_waiting: Duration::ZERO,
        next: Instant::now(),
    }
}

#[tokio::test(start_paused = true)]
async fn connections_rest_after_many_refusals_until_the_next_beat() {
    let overload = Overload::default();
    assert_eq!(overload.refused(DEADLINE), None, "the loop has time");
    for _ in 0..4 {
        overload.beat(&beat(Duration::from_millis(150)));
    }
    assert!(overload.is_limiting());
    for _ in 0..REFUSALS_MAX {
        assert!(!overload.has_refused_many());
        assert_eq!(overload.refused(DEADLINE), Some(Duration::from_millis(50)));
    }
    assert!(overload.has_refused_many());
    overload.beat(&beat(Duration::from_millis(150)));
    assert!(!overload.has_refused_many());
}
