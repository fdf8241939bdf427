//! The `Tributary` service of the real binary: descriptions, the generic API (`fetch`), and who may use them.

mod cli; // `call`, `compare` and `bench` without an IDL
mod clients; // real clients that know only the standard include
mod counts; // what is counted
mod doors; // its names, and where it is disabled
mod hostile; // hostile values
