//! The real views, guards, and clients of Redis and memcached over a simulated network, in simulated time.
//!
//! Everything runs on one thread. Connections are streams in memory through the faults of `tests/it/support/faults`, time is
//! paused and passes only while everybody waits, and one seed decides every fault, call and hang-up. `SIMULATION_SEED=n`
//! plays one seed again; `SIMULATION_SEEDS=n` plays so many. Every call is judged as in `tests/it/faults`, with bounds of
//! milliseconds, because nothing here is ever short of processor time.
//!
//! It promises that a seed gives the same history again, which a test checks. It does not promise anything about sockets:
//! a reset looks like an end, there is no connection that takes time to be made, and neither TCP nor TLS. The clients of
//! other stores need the kernel's sockets; `tests/it/faults` has them, and the server's own connections.

#[path = "../../../tests/it/support/faults/pump.rs"]
mod pump;
#[path = "../../../tests/it/support/faults/queue.rs"]
mod queue;
#[expect(dead_code, reason = "not every fault makes sense in memory")]
#[path = "../../../tests/it/support/faults/toxic.rs"]
mod toxic;
#[path = "../../../tests/it/faults/stores/cut.rs"]
mod cut;
#[path = "../../../tests/it/faults/stores/memcached.rs"]
mod memcached;
#[path = "../../../tests/it/faults/stores/redis.rs"]
mod redis;
#[path = "../../../tests/it/faults/nonce.rs"]
mod nonce;
#[expect(
    dead_code,
    reason = "there are no connections of callers and no counts here"
)]
#[path = "../../../tests/it/faults/history.rs"]
mod history;
mod network; // stores behind faults
mod callers;
mod play; // one seed

use self::nonce::answer;
use self::play::{play, seeds};

#[tokio::test(flavor = "local", start_paused = true)]
async fn no_value_is_wrong_or_late_whatever_the_network_does() {
    for seed in seeds() {
        let played = play(seed).await;
        let found = &played.found;
        assert!(
            found.is_empty(),
            "SIMULATION_SEED={seed}: {} of {} calls, first of all {:#?}",
            found.len(),
            played.calls.len(),
            &found[..found.len().min(3)]
        );
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_seed_gives_the_same_history_again() {
    let (one, same, other) = (play(77).await, play(77).await, play(78).await);
    assert!(one.calls.len() > 100);
    assert_eq!(one.story(), same.story());
    assert_ne!(one.story(), other.story());
}
