//! Decides which connection takes a statement next, or that none does yet.
//!
//! The server works on the statements of one connection one after the other. So nothing is sent behind a statement that is
//! slow, may well be, or takes longer than it should: it waits until a connection is free, whichever is first. Neither is
//! something slow sent where a quick one waits for its statement to be prepared: it would run first. Two rules keep a
//! connection free for others. No lookup ever occupies all connections, and those that are slow leave one to the others
//! together.

use crate::backend::net::Usual;

/// What a connection has before it when a statement is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Only quick statements, this many.
    Quick(usize),
    /// A quick statement that takes longer than it should, or that is abandoned.
    Late,
    /// A statement that is slow, or of which nothing is known yet.
    Slow,
    Connecting,
    Unavailable,
    /// It is not kept at the moment.
    Closed,
}

/// A connection, as a statement finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) traffic: Traffic,
    /// A statement of the same lookup occupies it.
    pub(super) holds: bool,
    /// A quick statement is not ready to run there.
    pub(super) has_unready: bool,
    /// It is closed again unless it is needed, so others are preferred.
    pub(super) is_extra: bool,
}

/// Where a statement goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To this connection, now.
    At(usize),
    /// To whichever connection is up first: none is. This one is about to be, or knows why it isn't.
    Attempt(usize),
    /// Nowhere yet.
    Nowhere,
}

/// What connections have before them, all together.
#[derive(Debug, Default)]
struct Tally {
    up: usize,
    free: usize,
    late: usize,
    /// How many a statement of the same lookup occupies.
    held: usize,
    connecting: Option<usize>,
    unavailable: Option<usize>,
    /// The best one that may take the statement.
    best: Option<Candidate>,
    /// The best one of those that a statement of the same lookup occupies.
    best_held: Option<Candidate>,
}

/// A connection that may take the statement.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// How much is before the statement. Extra ones come after all others.
    cost: usize,
    at: usize,
}

/// More than any connection has before it.
const EXTRA: usize = usize::MAX / 2;

/// Places a statement, of whose lookup this is known.
pub(super) fn place(seen: impl IntoIterator<Item = Seen>, usual: Usual) -> Place {
    let mut all = Tally::default();
    for (at, one) in seen.into_iter().enumerate() {
        all.add(at, one, usual);
    }
    all.place(usual)
}

impl Tally {
    #[inline]
    fn add(&mut self, at: usize, one: Seen, usual: Usual) {
        match one.traffic {
            Traffic::Connecting => self.connecting = self.connecting.or(Some(at)),
            Traffic::Unavailable => self.unavailable = self.unavailable.or(Some(at)),
            Traffic::Quick(before) => {
                self.free += 1;
                if usual == Usual::Quick || !one.has_unready {
                    let cost = before + if one.is_extra { EXTRA } else { 0 };
                    let candidate = Candidate { cost, at };
                    better(&mut self.best, candidate);
                    if one.holds {
                        better(&mut self.best_held, candidate);
                    }
                }
            }
            Traffic::Late => self.late += 1,
            Traffic::Slow | Traffic::Closed => {}
        }
        self.up += usize::from(one.is_up());
        self.held += usize::from(one.holds);
    }

    fn place(&self, usual: Usual) -> Place {
        let up = self.up;
        if up == 0 {
            let attempt = self.connecting.or(self.unavailable);
            return Place::Attempt(attempt.unwrap_or_default());
        }
        if usual == Usual::Slow && up > 1 {
            // Of two connections, the one with a late statement has to be enough for the others.
            let late = if up == 2 { self.late } else { 0 };
            if self.free + late <= 1 {
                return Place::Nowhere;
            }
        }
        let is_kept = up > 1 && self.held + 1 >= up;
        match if is_kept { self.best_held } else { self.best } {
            Some(best) => Place::At(best.at),
            None => Place::Nowhere,
        }
    }
}

/// Of equally good ones the first stays, so that taking turns is up to the caller.
#[inline]
fn better(best: &mut Option<Candidate>, candidate: Candidate) {
    if best.is_none_or(|best| candidate.cost < best.cost) {
        *best = Some(candidate);
    }
}

impl Seen {
    fn is_up(&self) -> bool {
        matches!(
            self.traffic,
            Traffic::Quick(_) | Traffic::Late | Traffic::Slow
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Traffic::{Closed, Connecting, Late, Quick, Slow, Unavailable};
    use super::*;

    /// Places a quick and a slow statement whose lookups occupy nothing.
    fn both(traffic: &[Traffic]) -> [Place; 2] {
        let seen = traffic.iter().map(|traffic| Seen {
            traffic: *traffic,
            holds: false,
            has_unready: false,
            is_extra: false,
        });
        [Usual::Quick, Usual::Slow].map(|usual| place(seen.clone(), usual))
    }

    #[test]
    fn nothing_is_sent_behind_something_slow() {
        use Place::{At, Attempt, Nowhere};
        for (traffic, quick, slow) in [
            (&[Quick(2), Quick(1), Quick(1)][..], At(1), At(1)),
            (&[Slow, Quick(9), Quick(8)], At(2), At(2)),
            // The last free connection is for quick ones.
            (&[Slow, Quick(9), Slow], At(1), Nowhere),
            (&[Late, Quick(9), Slow], At(1), Nowhere),
            (&[Late, Quick(9), Late], At(1), Nowhere),
            (&[Slow, Late, Slow], Nowhere, Nowhere),
            (&[Quick(0), Slow], At(0), Nowhere),
            (&[Quick(0), Late], At(0), At(0)),
            (&[Quick(3)], At(0), At(0)),
            (&[Slow], Nowhere, Nowhere),
            // One that is about to come up may be first.
            (&[Connecting, Slow, Closed], Nowhere, Nowhere),
            (&[Connecting, Quick(1), Unavailable], At(1), At(1)),
            (&[Closed, Unavailable, Connecting], Attempt(2), Attempt(2)),
            (&[Closed, Unavailable], Attempt(1), Attempt(1)),
        ] {
            assert_eq!(both(traffic), [quick, slow], "{traffic:?}");
        }
    }

    #[test]
    fn no_lookup_occupies_all_connections() {
        let seen = |traffic: [Traffic; 3], holds: [bool; 3]| {
            let pairs = traffic.into_iter().zip(holds);
            let seen = pairs.map(|(traffic, holds)| Seen {
                traffic,
                holds,
                has_unready: false,
                is_extra: false,
            });
            place(seen, Usual::Quick)
        };
        let quick = [Quick(5), Quick(0), Quick(4)];
        assert_eq!(seen(quick, [true, false, false]), Place::At(1));
        assert_eq!(seen(quick, [true, false, true]), Place::At(2));
        let hangs = [Late, Quick(0), Late];
        assert_eq!(seen(hangs, [true, false, true]), Place::Nowhere);
        assert_eq!(seen(hangs, [true, false, false]), Place::At(1));
        let alone = [Seen {
            traffic: Quick(3),
            holds: true,
            has_unready: false,
            is_extra: false,
        }];
        assert_eq!(place(alone, Usual::Quick), Place::At(0));
    }

    #[test]
    fn nothing_slow_is_sent_where_a_quick_one_is_being_prepared() {
        let seen = |unready: &[bool], usual| {
            let seen = unready.iter().map(|has_unready| Seen {
                traffic: Quick(1),
                holds: false,
                has_unready: *has_unready,
                is_extra: false,
            });
            place(seen, usual)
        };
        for usual in [Usual::Slow, Usual::Unknown] {
            assert_eq!(seen(&[true, false], usual), Place::At(1));
            assert_eq!(seen(&[true], usual), Place::Nowhere);
        }
        assert_eq!(seen(&[true, false], Usual::Quick), Place::At(0));
    }

    #[test]
    fn an_extra_connection_is_used_if_no_other_can_be() {
        let seen = |traffic: [Traffic; 3], usual| {
            let seen = traffic.into_iter().zip([true, false, false]);
            let seen = seen.map(|(traffic, is_extra)| Seen {
                traffic,
                holds: false,
                has_unready: false,
                is_extra,
            });
            place(seen, usual)
        };
        assert_eq!(
            seen([Quick(0), Quick(9), Quick(8)], Usual::Quick),
            Place::At(2)
        );
        assert_eq!(seen([Quick(0), Slow, Quick(8)], Usual::Slow), Place::At(2));
        assert_eq!(seen([Quick(0), Slow, Slow], Usual::Quick), Place::At(0));
        assert_eq!(seen([Quick(0), Slow, Slow], Usual::Slow), Place::Nowhere);
    }
}
