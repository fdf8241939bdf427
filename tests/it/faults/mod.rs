//! Calls of a server whose stores have one fault after another: every reply is its call's own, in time, and no more
//! incomplete than the faults explain.
//!
//! Every store is behind a proxy of `support::faults`. A run takes the faults in an order that its seed decides, under
//! load; `history.rs` judges every call. `tests/faults/run` makes long runs.
//!
//! It promises what `history.rs` promises, for one server process with one event loop and with the stores of `stores`,
//! whose connections are cut, held, slowed and damaged as bytes. It does not promise the same interleaving for the same
//! seed: sockets and processes are real. Lost packets, wrong clocks and full disks are not among its faults.

mod nonce; // what calls ask and stores answer
mod stores;
mod history; // the judge
mod planted; // the judge's own tests
mod weather; // the faults
mod load; // the callers
mod site; // the server and its stores
mod table; // what a run prints
mod run;

use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};

use run::{Options, run};

/// A short run for every test run, with two faults at a time; `FAULTS_CALLS`, `FAULTS_SEED` and
/// `FAULTS_CONNECTIONS` make it a long one, and `FAULTS_ONLY` one of certain faults or stores.
#[test]
fn no_reply_is_wrong_whatever_stores_do() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        let number: u64 = text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not `{text}`"));
        Some(number)
    };
    let seed = number("FAULTS_SEED").unwrap_or(1);
    let connections =
        usize::try_from(number("FAULTS_CONNECTIONS").unwrap_or(4)).expect("a small number");
    let only = std::env::var("FAULTS_ONLY").ok();
    let options = match number("FAULTS_CALLS") {
        Some(calls) => Options {
            seed,
            connections,
            calls,
            together: 1,
            fault: Duration::from_secs(2),
            only,
        },
        None => Options {
            seed,
            connections,
            calls: 3_000,
            together: 2,
            fault: Duration::from_millis(600),
            only,
        },
    };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("a runtime");
    let outcome = runtime.block_on(run(options));
    println!(
        "{} calls, {} rounds of faults, {:.0} s, seed {seed}: {} violations\n{}",
        outcome.calls,
        outcome.rounds,
        outcome.took.as_secs_f64(),
        outcome.violations,
        outcome.table,
    );
    assert_eq!(
        outcome.violations, 0,
        "with seed {seed}, first of all\n{:#?}\nwhile the server logged\n{}",
        outcome.first, outcome.log
    );
}
