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

/// Places a statement, of whose lookup this is known.
pub(super) fn place(seen: &[Seen], usual: Usual) -> Place {
    let count = |wanted: fn(&Seen) -> bool| seen.iter().filter(|one| wanted(one)).count();
    let up = count(Seen::is_up);
    if up == 0 {
        let connecting = seen
            .iter()
            .position(|one| one.traffic == Traffic::Connecting);
        let unavailable = || {
            seen.iter()
                .position(|one| one.traffic == Traffic::Unavailable)
        };
        return Place::Attempt(connecting.or_else(unavailable).unwrap_or_default());
    }
    if usual == Usual::Slow && up > 1 {
        let free = count(|one| matches!(one.traffic, Traffic::Quick(_)));
        // Of two connections, the one with a late statement has to be enough for the others.
        let late = count(|one| one.traffic == Traffic::Late);
        if free + if up == 2 { late } else { 0 } <= 1 {
            return Place::Nowhere;
        }
    }
    let is_kept = up > 1 && count(|one| one.holds) + 1 >= up;
    let may_take =
        |one: &Seen| (one.holds || !is_kept) && (usual == Usual::Quick || !one.has_unready);
    let usable = seen
        .iter()
        .enumerate()
        .filter_map(|(at, one)| match one.traffic {
            Traffic::Quick(before) if may_take(one) => Some((one.is_extra, before, at)),
            _ => None,
        });
    // Of equally busy ones the first, so that taking turns is up to the caller.
    match usable.min() {
        Some((.., at)) => Place::At(at),
        None => Place::Nowhere,
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
        let seen: Vec<_> = seen.collect();
        [Usual::Quick, Usual::Slow].map(|usual| place(&seen, usual))
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
            place(&seen.collect::<Vec<_>>(), Usual::Quick)
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
        assert_eq!(place(&alone, Usual::Quick), Place::At(0));
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
            place(&seen.collect::<Vec<_>>(), usual)
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
            place(&seen.collect::<Vec<_>>(), usual)
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
