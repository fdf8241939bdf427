//! Warns of structs of which no value can ever be built, because each value needs another one.
//!
//! A struct can be built if all its required struct fields can be built, a union if one of its fields can. Starting with
//! structs that need nothing, this marks structs until nothing changes; the rest require themselves. Lists, sets and
//! maps can be empty and need nothing.

use super::super::schema::{Requiredness, StructKind, StructType, Type};
use super::Resolver;

impl Resolver<'_> {
    pub(super) fn finite(&mut self) {
        let structs = &self.schema.structs;
        let buildable = buildable(structs);
        // For each of the others, the first struct it needs. Following these leads into a cycle.
        let needs: Vec<Option<(usize, usize)>> = structs
            .iter()
            .enumerate()
            .map(|(index, of)| {
                let mut needed = needed(of).filter(|&(_, other)| !buildable[other]);
                if buildable[index] {
                    None
                } else {
                    needed.next()
                }
            })
            .collect();
        let mut met = vec![0; structs.len()];
        for start in 0..structs.len() {
            let (mut at, run) = (start, start + 1);
            while let Some((_, next)) = needs[at]
                && met[at] == 0
            {
                met[at] = run;
                at = next;
            }
            // Only a path that reaches itself has found a cycle that was not reported before.
            if needs[at].is_some() && met[at] == run {
                self.report_endless(at, &needs);
            }
        }
    }

    fn report_endless(&mut self, start: usize, needs: &[Option<(usize, usize)>]) {
        let mut way = Vec::new();
        let mut at = start;
        while let Some((field, next)) = needs[at] {
            way.push((at, field));
            at = next;
            if at == start {
                break;
            }
        }
        let Some(&(of, field)) = way.iter().min_by_key(|(of, _)| *of) else {
            return;
        };
        let origin = &self.origins[of];
        let structs = &self.schema.structs;
        self.problems.warning(
            &self.files[origin.file],
            origin.fields[field].name.span,
            || {
                let steps = way.iter().take(8).map(|&(of, field)| {
                    format!("`{}.{}`", structs[of].name, structs[of].fields[field].name)
                });
                let steps: Vec<String> = steps.collect();
                let name = &structs[of].name;
                let message = format!("`{name}` can never be built: it requires itself");
                (
                    message,
                    format!("make one of these optional: {}", steps.join(", ")),
                )
            },
        );
    }
}

/// The fields, with their structs, that `of` needs: all of them, or one if it is a union.
fn needed(of: &StructType) -> impl Iterator<Item = (usize, usize)> {
    let fields = of.fields.iter().enumerate();
    fields.filter_map(|(index, field)| match field.ty {
        Type::Struct(id)
            if of.kind == StructKind::Union || field.requiredness == Requiredness::Required =>
        {
            Some((index, id.0 as usize))
        }
        _ => None,
    })
}

/// Whether a value of each struct can be built.
fn buildable(structs: &[StructType]) -> Vec<bool> {
    let mut missing = Vec::with_capacity(structs.len());
    let mut users = vec![Vec::new(); structs.len()];
    for (index, of) in structs.iter().enumerate() {
        let count = needed(of).count();
        missing.push(match of.kind {
            StructKind::Union if count < of.fields.len() || count == 0 => 0,
            StructKind::Union => 1,
            StructKind::Struct | StructKind::Exception => count,
        });
        for (_, other) in needed(of) {
            users[other].push(index);
        }
    }
    let mut ready: Vec<usize> = (0..structs.len()).filter(|&at| missing[at] == 0).collect();
    let mut buildable = vec![false; structs.len()];
    while let Some(at) = ready.pop() {
        if std::mem::replace(&mut buildable[at], true) {
            continue;
        }
        for &user in &users[at] {
            missing[user] = missing[user].saturating_sub(1);
            if missing[user] == 0 {
                ready.push(user);
            }
        }
    }
    buildable
}
