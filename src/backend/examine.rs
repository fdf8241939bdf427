//! What a store says of its lookups before any of them is asked: the words between a kind and `check --connect`.
//!
//! A kind fills an [`Examination`] in its own `examine`; what it means for the IDL is found elsewhere, once for all
//! kinds.

/// What came of reaching a store.
#[derive(Debug)]
pub struct Examination {
    /// What was done, in a few words for the operator: `connected; no request was made`.
    pub did: String,
    /// Why it can't be reached, or a part of it; empty when it can.
    pub unreachable: Vec<String>,
    /// What is known of each lookup, in their order.
    pub lookups: Vec<Finding>,
}

/// What a store says of one lookup.
#[derive(Debug)]
pub enum Finding {
    /// Nothing.
    Unknown,
}

impl Examination {
    /// Nothing is known of any of `lookups` lookups.
    pub fn nothing(did: impl Into<String>, lookups: usize) -> Self {
        let unknown = std::iter::repeat_with(|| Finding::Unknown);
        Examination {
            did: did.into(),
            unreachable: Vec::new(),
            lookups: unknown.take(lookups).collect(),
        }
    }
}
