//! A master and its replicas that sentinels name.

mod config; // the keys of sentinels and their master
mod finder; // the master
mod replicas; // its replicas, to read from

pub(super) use self::config::Sentinels;
pub(super) use self::finder::{Finder, Master};
pub(super) use self::replicas::Replicas;
