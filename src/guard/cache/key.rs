//! What answers are kept under: the values of all parameters that the lookup reads, each with its type.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use quick_cache::Equivalent;

use crate::value::{Identity, Value};

/// The parameters of a question, copied out of the buffers that they came in.
#[derive(Clone, Debug)]
pub(super) struct Key(Rc<[Value]>);

/// The parameters of a question that is being asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRef<'a>(pub(super) &'a [Value]);

impl Key {
    pub(super) fn copy_of(params: &[Value]) -> Self {
        Key(params.iter().map(Value::compacted).collect())
    }

    pub(super) fn params(&self) -> &Rc<[Value]> {
        &self.0
    }

    pub(super) fn as_ref(&self) -> KeyRef<'_> {
        KeyRef(&self.0)
    }

    /// How many bytes it takes, about.
    pub(super) fn memory(&self) -> usize {
        self.0.iter().map(Value::memory).sum()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Identity(&self.0) == Identity(&other.0)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Identity(self.0).hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        Identity(self.0) == Identity(&key.0)
    }
}
