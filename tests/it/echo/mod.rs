//! Any Thrift client, in any language, can connect without special settings and gets the right replies.
//!
//! The service of `tests/clients/echo` has a method for each kind of type. Each method returns its parameter, so that
//! clients know what to expect.

mod server; // the service, built from closures
mod clients; // the clients and what each supports
mod matrix; // runs each client in each wire format and prints the table
mod numbers; // sequence ids, byte by byte
mod thrown; // exceptions of closures
mod nonces; // a nonce in every value, many calls at once
