//! The share of a simulated loop: what is served whole under overload, and how soon all calls are admitted again.

use super::*;

const MS: Duration = Duration::from_millis(1);
const BEAT: f64 = 0.05;
/// What a call takes, and what a refusal takes, in seconds.
const CALL: f64 = 250e-6;
const REFUSED: f64 = 0.03 * CALL;

/// A loop that gets so many times what it can serve. Calls arrive evenly, and a round takes all that arrived during the last one.
struct Simulation {
    share: AdmittedShare,
    now: f64,
    round: f64,
    /// When the next beat is due, when the last one was, and the work since then.
    due: f64,
    beat: f64,
    worked: f64,
    arrived: f64,
    /// How long calls wait for stores before their work begins, and until when those wait that do.
    delay: f64,
    waiting: Vec<f64>,
}

/// What a second of it was like.
#[derive(Debug)]
struct Second {
    /// Time spent on calls.
    served: f64,
    longest: f64,
    share: (f64, f64),
}

impl Simulation {
    fn new(delay: f64) -> Self {
        Simulation {
            share: AdmittedShare::default(),
            now: 0.0,
            round: 0.001,
            due: BEAT,
            beat: 0.0,
            worked: 0.0,
            arrived: 0.0,
            delay,
            waiting: Vec::new(),
        }
    }

    /// One round at that load. Returns the work on calls.
    fn round(&mut self, load: f64) -> f64 {
        self.arrived += load * self.round / CALL;
        let mut arrived = 0;
        while self.arrived >= 1.0 {
            self.arrived -= 1.0;
            arrived += 1;
        }
        let begun = self.now;
        let (due, waiting) = self.waiting.iter().partition(|at| **at <= begun);
        self.waiting = waiting;
        let due: Vec<f64> = due;
        let late_work = f64::from(u32::try_from(due.len()).expect("few")) * CALL;
        let (mut served, mut refused, mut arrived_late) = (0.0, 0.0, None);
        for at in 0..arrived {
            // The work of earlier calls is done in between.
            let worked = late_work * f64::from(at) / f64::from(arrived) + served + refused;
            if begun + worked > self.due + 0.005 {
                let since = *arrived_late.get_or_insert(worked);
                self.share.overdue(Duration::from_secs_f64(worked - since));
            }
            if self.share.is_limiting() && !self.share.admits(false) {
                refused += REFUSED;
            } else if self.delay <= 0.0 {
                served += CALL;
            } else {
                // Stores take between half and one and a half of the delay.
                let delay = self.delay * (0.5 + f64::from(at % 100) / 100.0);
                self.waiting.push(begun + worked + delay);
            }
        }
        served += late_work;
        self.worked += served + refused;
        self.round = (served + refused).max(0.001);
        self.now += self.round;
        served
    }

    fn second(&mut self, load: f64) -> Second {
        let end = self.now + 1.0;
        let mut found = Second {
            served: 0.0,
            longest: 0.0,
            share: (1.0, 0.0),
        };
        while self.now < end {
            let was_due = self.due < self.now;
            found.served += self.round(load);
            found.longest = found.longest.max(self.round);
            if was_due {
                self.beat();
            }
            let share = self.share.share.get();
            found.share = (found.share.0.min(share), found.share.1.max(share));
        }
        found
    }

    fn beat(&mut self) {
        let elapsed = self.now - self.beat;
        let busy = self.worked / elapsed;
        let [late, elapsed] = [self.now - self.due, elapsed].map(Duration::from_secs_f64);
        self.share.beat(late, (busy >= 0.9, busy), elapsed);
        (self.beat, self.due, self.worked) = (self.now, self.now + BEAT, 0.0);
    }
}

#[test]
fn rounds_stay_short_and_most_of_the_time_serves_calls() {
    for (load, least) in [(1.2, 0.9), (2.0, 0.9), (5.0, 0.75), (10.0, 0.6)] {
        let mut simulation = Simulation::new(0.0);
        let _onset = [simulation.second(load), simulation.second(load)];
        for _ in 0..4 {
            let second = simulation.second(load);
            assert!(second.served >= least, "{load}: {second:?}");
            assert!(second.longest < 0.1, "{load}: {second:?}");
        }
    }
}

#[test]
fn more_than_can_be_refused_leaves_time_for_calls() {
    let mut simulation = Simulation::new(0.0);
    for _ in 0..3 {
        simulation.second(30.0);
    }
    let (begun, served) = (
        simulation.now,
        (0..3).map(|_| simulation.second(30.0).served),
    );
    let served: f64 = served.sum();
    assert!(served > 0.35 * (simulation.now - begun), "{served}");
}

#[test]
fn work_that_comes_later_does_not_make_it_swing() {
    for (load, least) in [(2.0, 0.8), (5.0, 0.7), (10.0, 0.6)] {
        let mut simulation = Simulation::new(0.1);
        for _ in 0..3 {
            simulation.second(load);
        }
        let (begun, mut served) = (simulation.now, 0.0);
        for _ in 0..4 {
            let second = simulation.second(load);
            served += second.served;
            assert!(second.longest < 0.15, "{load}: {second:?}");
            assert!(second.share.1 < second.share.0 * 5.0, "{load}: {second:?}");
        }
        let served = served / (simulation.now - begun);
        assert!(served >= least, "{load}: {served}");
    }
}

#[test]
fn a_second_after_the_overload_all_calls_are_admitted() {
    for load in [2.0, 5.0, 10.0] {
        let mut simulation = Simulation::new(0.0);
        for _ in 0..3 {
            simulation.second(load);
        }
        assert!(simulation.share.is_limiting(), "{load}");
        simulation.second(0.5);
        assert!(!simulation.share.is_limiting(), "{load}");
    }
}

#[test]
fn a_pause_and_a_loop_that_waits_refuse_nothing() {
    let share = AdmittedShare::default();
    let beat = |late_ms, is_busy| {
        let busy = if is_busy { 1.0 } else { 0.5 };
        share.beat(late_ms * MS, (is_busy, busy), (50 + late_ms) * MS);
        share.is_limiting()
    };
    for _ in 0..10 {
        assert!(!beat(2000, true), "a single pause");
        assert!(!beat(20, true), "the next round is short");
        assert!(!beat(20, true));
    }
    for _ in 0..10 {
        assert!(!beat(300, false), "it has time left");
    }
    share.overdue(90 * MS);
    assert!(!share.is_limiting());
    assert!(!beat(300, true));
    assert!(beat(300, true));
}

#[test]
fn calls_are_admitted_evenly_and_the_first_of_a_connection_sooner() {
    let share = AdmittedShare::default();
    share.share.set(0.25);
    let admitted = |is_first: bool| {
        let admitted = (0..12).map(|_| share.admits(is_first));
        admitted
            .map(|admits| if admits { 'x' } else { '-' })
            .collect::<String>()
    };
    assert_eq!(admitted(false), "---x---x---x");
    assert_eq!(admitted(true), "xxxxxxxxxxxx");
    share.share.set(0.125);
    assert_eq!(admitted(false), "-------x----");
    assert_eq!(admitted(true), "x-x-x-x-x-x-");
}

#[test]
fn where_refusals_take_half_of_the_time_no_more_are_refused() {
    let share = AdmittedShare::default();
    let refuse = |calls| {
        let refused = (0..).filter(|_| !share.admits(false)).take(calls).count();
        assert_eq!(refused, calls);
    };
    share.share.set(0.5);
    share.late.set(75 * MS);
    refuse(30_000);
    share.beat(75 * MS, (true, 1.0), 125 * MS);
    assert!(share.share.get() >= 0.5, "75 of 125 ms");
    refuse(10_000);
    share.beat(100 * MS, (true, 1.0), 150 * MS);
    assert!(share.share.get() < 0.5, "25 of 150 ms");
}
