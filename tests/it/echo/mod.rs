//! Any Thrift client, in any language, connects as it is and gets its own replies.
//!
//! The service is that of `tests/clients/echo`: a method for each kind of type, each of which gives back what it was
//! given, so that clients know what to expect.

mod server; // the service, made of closures
mod clients; // which clients there are, what each can speak, how it is built
mod matrix; // runs each client in each wire_format and prints the table
mod numbers; // sequence ids of every kind, in the very bytes
mod thrown; // exceptions of closures
mod nonces; // a nonce in every value, many calls at once
