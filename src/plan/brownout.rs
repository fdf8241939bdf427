//! Compiles `brownout` of a view: which lookups may be left out, and below which quality.

use super::compile::{Compiler, Draft};
use super::compiled::{Brownout, Target};
use crate::config::{BrownoutKey, GuardMode, UseEntry};
use crate::error::Code;

/// The quality below which an optional lookup is left out unless the view says otherwise.
const DROP_BELOW: f64 = 0.5;
/// How much a call within its target raises the quality.
const RAISE: f64 = 0.001;

impl Compiler<'_> {
    /// The brownout of the view, if it has one.
    pub(super) fn brownout(&self) -> Option<Brownout> {
        let key = self.view.brownout.as_ref()?;
        (key.mode != GuardMode::Off).then(|| Brownout {
            target: self.view.deadline.mul_f64(key.target),
            raise: RAISE,
            lower: RAISE * key.percentile / (100.0 - key.percentile),
            enforced: key.mode == GuardMode::Enforce,
        })
    }

    /// Reports a `drop_below` without an effect, and a `brownout` that can leave nothing out.
    pub(super) fn check_brownout(&self, drafts: &[Draft], targets: &[Target]) {
        let needed = needed(drafts, |at| self.is_required(at, targets.get(at)));
        let entries = self.view.uses.iter().zip(&needed);
        for (entry, needed) in entries.clone() {
            let Some((_, place)) = &entry.drop_below else {
                continue;
            };
            let (message, help) = if self.view.brownout.is_none() {
                (
                    "it has an effect only together with `brownout`",
                    "add `brownout = {}` to the view",
                )
            } else if *needed {
                (
                    "a required lookup needs this one, so it is never left out",
                    "remove it",
                )
            } else {
                continue;
            };
            self.problem(place, Code::ConfigClash, message.into(), Some(help.into()));
        }
        if let Some(BrownoutKey { place, .. }) = &self.view.brownout
            && entries.clone().all(|(_, needed)| *needed)
        {
            let message = "every lookup is required, so none can be left out";
            let help = Some("remove `brownout`".into());
            self.problem(place, Code::ConfigClash, message.into(), help);
        }
    }

    fn is_required(&self, at: usize, target: Option<&Target>) -> bool {
        self.view.uses[at].required || matches!(target, Some(Target::Whole(_)))
    }

    /// Below which quality of the view each use is left out: 0 for those that never are.
    pub(super) fn drop_below(&self, drafts: &[Draft], targets: &[Target]) -> Vec<f64> {
        let needed = needed(drafts, |at| self.is_required(at, targets.get(at)));
        let uses = self.view.uses.iter().zip(needed);
        let of = |(entry, needed): (&UseEntry, bool)| match (&entry.drop_below, needed) {
            (_, true) => 0.0,
            (Some((below, _)), false) => *below,
            (None, false) => DROP_BELOW,
        };
        match self.view.brownout {
            Some(_) => uses.map(of).collect(),
            None => vec![0.0; drafts.len()],
        }
    }
}

/// Which uses a required one needs, directly or through others.
fn needed(drafts: &[Draft], required: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut needed = vec![false; drafts.len()];
    let mut open: Vec<usize> = (0..drafts.len()).filter(|at| required(*at)).collect();
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut needed[at], true) {
            open.extend(&drafts[at].needs);
        }
    }
    needed
}
