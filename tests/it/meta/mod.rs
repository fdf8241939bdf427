//! The `Tributary` service of the real binary: what it tells, the untyped door, and who may use them.

mod cli; // `call`, `compare` and `bench` without an IDL
mod clients; // real clients that know the standard include only
mod counts; // what is counted
mod doors; // under which names it is there, and where it is not
mod hostile; // values that nobody means well with
