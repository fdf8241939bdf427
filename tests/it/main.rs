//! Everything that is tested from outside, in one binary: the library's doors and the program itself.
//!
//! A missing server or tool fails a test with the name of the package to install; nothing is skipped quietly.

#![expect(
    clippy::panic,
    reason = "the support code panics with what went wrong, as tests do"
)]

mod floors; // the modules of `src/` use each other in one direction
mod support; // the program and real servers as processes, and a bare socket
mod config; // each way for a configuration to be wrong, and what its operator reads
mod scenarios; // plan, run and merge with scripted lookups and paused time; data in tests/scenarios
mod spans; // a lookup's span is under its own call's, however calls interleave
mod calls; // calls byte by byte over a real socket
mod failures; // why a call fails, as its caller and its operator read it
mod header; // THeader frames by hand, and what connects without being a Thrift client
mod listeners; // several ports and Unix sockets, each with its own terms
mod secure; // listeners with TLS: certificates, handshakes, reload
mod access; // who may call what: names in certificates, and tokens
mod meta; // the `Tributary` service: what it tells, and the untyped door
mod limits; // README's table of limits is the code's
mod shutdown; // signals: drain and reload
mod log; // what is logged, and a log that nobody reads
mod admin; // the admin port: a scrape's counts, probes, requests that nobody means well with
mod hostile; // clients that nobody means well with: memory, frames, descriptors, silence
mod outages; // every store killed, hung and restarted under load
mod stores; // what travels to a real store together
mod memcached; // memcached servers under one ring, some of which go away
mod postgres; // every type, batches, limits and outages of a real PostgreSQL
mod connect; // `check --connect`: what only a store can tell of a configuration
mod prepared; // statements that are ready before they are asked
mod tls; // TLS to real servers, with certificates that are right and wrong
mod thrift; // Thrift services as stores: Apache's Python server, and another Tributary
mod clients; // real Python clients against the real binary; scripts in tests/clients
mod echo; // conformance: every client that there is, pipelined calls, a nonce in every value
mod bench; // `tributary bench` against the real server and a scripted one
mod docker; // the container image, built and run where an engine answers
mod readme; // its tables, its example and its commands
