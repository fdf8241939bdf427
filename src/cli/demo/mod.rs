//! `tributary demo`: the server on real data, without anything to install or configure.

pub mod data;
pub mod weather;
