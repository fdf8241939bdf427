//! Keeps the last of the values that have the same name in a JSON object.

use std::collections::HashMap;

use crate::value::Value;

/// Up to here, comparing all names with each other takes less time than a hash table.
const FEW: usize = 16;

/// Keeps each name once, where it came first and with the value that came last, as JSON readers usually do.
pub(super) fn keep_last(pairs: &mut Vec<(Value, Value)>) {
    if !has_repeats(pairs) {
        return;
    }
    let mut places: HashMap<Vec<u8>, usize> = HashMap::with_capacity(pairs.len());
    let mut kept: Vec<(Value, Value)> = Vec::with_capacity(pairs.len());
    for (name, value) in pairs.drain(..) {
        match places.get(bytes(&name)) {
            Some(at) => kept[*at].1 = value,
            None => {
                places.insert(bytes(&name).to_vec(), kept.len());
                kept.push((name, value));
            }
        }
    }
    *pairs = kept;
}

fn has_repeats(pairs: &[(Value, Value)]) -> bool {
    if pairs.len() <= FEW {
        let repeated = |at: usize| {
            let name = bytes(&pairs[at].0);
            pairs[..at].iter().any(|(have, _)| bytes(have) == name)
        };
        return (1..pairs.len()).any(repeated);
    }
    let mut seen = std::collections::HashSet::with_capacity(pairs.len());
    !pairs.iter().all(|(name, _)| seen.insert(bytes(name)))
}

fn bytes(name: &Value) -> &[u8] {
    match name {
        Value::Text(text) => text.as_bytes(),
        _ => b"",
    }
}
