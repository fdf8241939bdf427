//! What becomes of values that a newer IDL has added: numbers and names of enums, fields of unions.
//!
//! An enum keeps a number that has no name here: on the wire it is a number like any other. Anything else leaves the
//! innermost field around it that need not be set unset, which is noted. A required field fails.

use std::cell::{Cell, RefCell};

/// How much of what is unknown a conversion accepts.
#[derive(Clone, Copy, Debug)]
pub enum Leniency<'a> {
    /// Nothing: for what people write.
    None,
    /// Numbers of enums in optional fields: for what is asked, which must not silently become less.
    Numbers,
    /// Numbers of enums except in required fields, and fields may stay unset: for what is answered.
    LeavesOut(&'a LeftOut),
}

/// What was left out because it is unknown.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// The error on its way up is due to something unknown.
    pub(super) is_unknown: Cell<bool>,
    first: RefCell<Option<String>>,
}

impl LeftOut {
    /// Keeps the first note.
    pub(super) fn note(&self, why: String) {
        self.first.borrow_mut().get_or_insert(why);
    }

    /// Why the first field was left unset, if one was.
    pub fn into_first(self) -> Option<String> {
        self.first.into_inner()
    }
}
