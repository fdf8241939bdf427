//! What someone who makes a call learns of it besides its reply: what happened when, and the id under which it is kept.

use std::cell::OnceCell;

use crate::timeline::Timeline;

/// Filled while a call runs. A call that is watched is kept for the admin port, whatever the sample takes.
#[derive(Debug, Default)]
pub struct Watched {
    /// What happened when, once its view ran.
    pub timeline: OnceCell<Timeline>,
    /// Its id in lists of calls, once it ended, if it is kept.
    pub id: OnceCell<String>,
}
