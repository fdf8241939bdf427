//! Compiles `else`: what a view asks instead of a lookup that fails.
//!
//! A name in `else` is a lookup of the view, which then is asked only instead of others, or a backend, which is asked the same
//! lookup. Either way the result is a step of its own with the target of the lookup that it stands in for.

use std::borrow::Cow;
use std::sync::Arc;

use super::compile::{CompileEnv, Compiler, Draft, Fallback};
use super::compiled::Target;
use crate::config::{Place, UseEntry, ViewEntry};
use crate::diagnostic::suggest;
use crate::error::Code;

/// The name of a lookup as it is asked at another backend.
pub fn replica(lookup: &str, backend: &str) -> String {
    format!("{lookup}@{backend}")
}

impl CompileEnv<'_> {
    /// The view without the lookups that are asked only instead of others, and those. `None` if there were problems.
    pub(super) fn set_aside(self, view: &ViewEntry) -> Option<(Cow<'_, ViewEntry>, Vec<UseEntry>)> {
        // What it names would be taken for lookups of their own, and reported for that.
        if (view.uses.iter()).any(|entry| entry.unreadable_else.is_some()) {
            return None;
        }
        if view.uses.iter().all(|entry| entry.fallbacks.is_empty()) {
            return Some((Cow::Borrowed(view), Vec::new()));
        }
        let before = self.document.problems.len();
        let mut spare: Vec<&UseEntry> = Vec::new();
        for entry in &view.uses {
            for (at, (name, place)) in entry.fallbacks.iter().enumerate() {
                let problem = |code, message: String, help: &str| {
                    let document = self.document;
                    document.problem(place, code, message, Some(help.to_owned()));
                };
                if entry.fallbacks[..at].iter().any(|(other, _)| other == name) {
                    problem(
                        Code::ConfigClash,
                        format!("`{name}` is named twice"),
                        "remove one",
                    );
                    continue;
                }
                let Some(of) = view.uses.iter().find(|of| *of.name == **name) else {
                    check_backend(self, view, entry, (name, place));
                    continue;
                };
                if spare.iter().all(|other| other.name != of.name) {
                    spare.push(of);
                    check_spare(view, entry, of, self);
                }
            }
        }
        if self.document.problems.len() > before {
            return None;
        }
        let (spare, uses) = view
            .uses
            .iter()
            .cloned()
            .partition(|entry| spare.iter().any(|spare| spare.name == entry.name));
        let view = ViewEntry {
            uses,
            ..view.clone()
        };
        Some((Cow::Owned(view), spare))
    }
}

/// Reports keys of `of` that it can't have, since it is asked only instead of others, of which `entry` is the first.
fn check_spare(view: &ViewEntry, entry: &UseEntry, of: &UseEntry, scope: CompileEnv<'_>) {
    for (key, place) in &of.own_keys {
        let (code, message, help) = match (*key, circle(view, of)) {
            // A circle is one mistake, and is reported at the first of its lookups.
            ("else", Some(names))
                if first(view, &names).is_some_and(|first| first.name != of.name) =>
            {
                continue;
            }
            ("else", Some(names)) => (
                Code::ConfigCycle,
                format!(
                    "lookups are asked instead of each other: {}",
                    names.join(" -> ")
                ),
                "name one of them in `else` of the other only".to_owned(),
            ),
            ("else", None) => (
                Code::ConfigClash,
                format!("`{}` is asked only instead of `{}`", of.name, entry.name),
                format!(
                    "name everything in `else` of `{}`, in the order in which it is to be asked",
                    entry.name
                ),
            ),
            _ => (
                Code::ConfigClash,
                format!(
                    "`{}` is asked only instead of `{}`, and `{key}` of that one holds",
                    of.name, entry.name
                ),
                format!("remove it, or set it for `{}`", entry.name),
            ),
        };
        scope.document.problem(place, code, message, Some(help));
    }
}

/// The first of the lookups with these names in the view.
fn first<'v>(view: &'v ViewEntry, names: &[&str]) -> Option<&'v UseEntry> {
    view.uses.iter().find(|of| names.contains(&&*of.name))
}

/// The lookups from `start` along their first `else` that lead back to it, if any do.
fn circle<'v>(view: &'v ViewEntry, start: &'v UseEntry) -> Option<Vec<&'v str>> {
    let mut path = vec![&*start.name];
    let mut open = vec![(start, 0)];
    while let Some((entry, at)) = open.last_mut() {
        let Some((name, _)) = entry.fallbacks.get(*at) else {
            open.pop();
            path.pop();
            continue;
        };
        *at += 1;
        if **name == *start.name {
            path.push(&start.name);
            return Some(path);
        }
        let next = view.uses.iter().find(|of| *of.name == **name);
        if let Some(next) = next.filter(|next| !path.contains(&&*next.name)) {
            path.push(&next.name);
            open.push((next, 0));
        }
    }
    None
}

/// Reports a name in `else` of `entry` that is no lookup of the view and no other backend of the same kind.
fn check_backend(
    scope: CompileEnv<'_>,
    view: &ViewEntry,
    entry: &UseEntry,
    (name, place): (&str, &Place),
) {
    let kind_of = |name: &str| {
        let found = scope.backends.iter().find(|(of, _)| **of == *name);
        found.map(|(_, kind)| *kind)
    };
    let lookup = scope.lookups.iter().find(|of| *of.name == *entry.lookup.0);
    // What else is wrong is reported where it is.
    let Some(lookup) = lookup.filter(|lookup| lookup.params.is_some()) else {
        return;
    };
    let own = &*lookup.backend;
    let problem = |code, message: String, help: String| {
        scope.document.problem(place, code, message, Some(help));
    };
    let Some(kind) = kind_of(name) else {
        let lookups = view.uses.iter().map(|of| &*of.name);
        let lookups = lookups.filter(|of| **of != *entry.name);
        let known = lookups.chain(scope.backends.iter().map(|(of, _)| &**of));
        let help = suggest(name, known, || "there is nothing else to ask".into());
        let message = format!("there is no lookup `{name}` in this view, and no such backend");
        return problem(Code::ConfigUnknownName, message, help);
    };
    if own == name {
        let message = format!("`{}` asks the backend `{name}` already", entry.name);
        let help = "name another backend, or a lookup of the view";
        problem(Code::ConfigClash, message, help.into());
    } else if let Some(kind) = kind.filter(|kind| kind_of(own) != Some(Some(kind))) {
        let message = match kind_of(own).flatten() {
            Some(own) => format!(
                "the backend `{name}` is of kind `{kind}`, and the lookup `{}` is written for `{own}`",
                lookup.name
            ),
            None => format!(
                "the lookup `{}` is code, which no backend can run",
                lookup.name
            ),
        };
        let help = "write a lookup for it, use that in this view, and name it here";
        problem(Code::ConfigType, message, help.into());
    }
}

impl Compiler<'_> {
    /// Drafts what is asked instead of each use. `spare` are the lookups of the view that are asked only so.
    pub(super) fn draft_fallbacks(
        &self,
        drafts: &mut [Draft],
        spare: &[UseEntry],
        targets: &[Target],
    ) {
        for ((entry, draft), target) in self.view.uses.iter().zip(drafts).zip(targets) {
            self.check_time(entry, draft.lookup, spare);
            let mut before = draft.lookup;
            for (name, place) in &entry.fallbacks {
                if before.is_some_and(|at| !self.scope.lookups[at].is_repeatable) {
                    let message = format!(
                        "what is asked before `{name}` changes its store, and may have done so although it seems to have failed"
                    );
                    let help = "leave `else` out, or ask with a lookup that only reads";
                    self.problem(place, Code::ConfigClash, message, Some(help.into()));
                }
                let spare = spare.iter().find(|spare| *spare.name == **name);
                let fallback = self.fallback(entry, (name, place), spare, target);
                self.check_inputs((entry, draft), &fallback);
                before = fallback.draft.lookup;
                draft.fallbacks.push(fallback);
            }
        }
    }

    /// Warns of a lookup that may take all the time of its call, so that none is left to ask elsewhere.
    fn check_time(&self, entry: &UseEntry, lookup: Option<usize>, spare: &[UseEntry]) {
        let Some(((last, place), before)) = entry.fallbacks.split_last() else {
            return;
        };
        let of_lookup = |at: Option<usize>| self.scope.lookups[at?].timeout;
        let deadline = self.view.deadline;
        let mut time = entry.timeout.or(of_lookup(lookup)).unwrap_or(deadline);
        for (name, _) in before {
            // A backend is asked the same lookup, with the same timeout.
            let spare = spare.iter().find(|spare| *spare.name == **name);
            let own = spare.and_then(|spare| {
                let mut lookups = self.scope.lookups.iter();
                let at = lookups.position(|of| *of.name == *spare.lookup.0);
                spare.timeout.or(of_lookup(at))
            });
            let own = own.or(entry.timeout).or(of_lookup(lookup));
            time = time.saturating_add(own.unwrap_or(deadline));
        }
        if time < deadline {
            return;
        }
        let shown = humantime::format_duration(deadline);
        let message = format!(
            "what is asked before `{last}` may take the whole deadline of {shown}: a store that hangs leaves no time for it"
        );
        let help =
            "give the lookups before it a `timeout`, which together are shorter than the deadline";
        let document = self.scope.document;
        document.warning(place, Code::ConfigClash, message, Some(help.into()));
    }

    /// What `name` stands for in `else` of `entry`: a lookup of the view, or a backend.
    fn fallback(
        &self,
        entry: &UseEntry,
        (name, place): (&str, &Place),
        spare: Option<&UseEntry>,
        target: &Target,
    ) -> Fallback {
        let entry = match spare {
            Some(spare) => UseEntry {
                lookup: spare.lookup.clone(),
                with: spare.with.clone(),
                timeout: spare.timeout,
                place: spare.place.clone(),
                when: None,
                ..entry.clone()
            },
            None => UseEntry {
                lookup: (replica(&entry.lookup.0, name), place.clone()),
                when: None,
                ..entry.clone()
            },
        };
        self.check_fit(&entry, target);
        Fallback {
            name: Arc::from(name),
            draft: self.draft(&entry),
            entry,
        }
    }

    /// Reports a fallback that takes an input for which the lookup does not wait that it stands in for.
    fn check_inputs(&self, (entry, draft): (&UseEntry, &Draft), fallback: &Fallback) {
        let needs = &fallback.draft.needs;
        let Some(need) = needs.iter().find(|need| !draft.needs.contains(need)) else {
            return;
        };
        let (of, need) = (&entry.name, &self.uses[*need]);
        self.problem(
            &fallback.entry.place,
            Code::ConfigReference,
            format!("it takes an input from `{need}`, for which `{of}` does not wait"),
            Some(format!(
                "take it from a parameter of the method, or from a lookup from which `{of}` takes one too"
            )),
        );
    }
}
