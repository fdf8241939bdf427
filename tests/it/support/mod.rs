//! The program and the servers it needs, each a process on a free port that ends when dropped.
//!
//! Nothing sleeps: a server is ready when its output says so, and tests read with a time limit that only a failure
//! reaches.

pub(crate) mod airports; // a small service
mod certificates;
pub(crate) mod faults; // a proxy that misbehaves on command
mod flights;
mod http;
mod memcached;
pub(crate) mod message;
mod pgbouncer;
mod postgres;
mod mysql;
mod port;
mod process;
mod prometheus;
mod python;
mod redis;
pub(crate) mod stub; // an HTTP server by the test's own rules
mod tls;
mod tributary;
mod wire;

pub(crate) use certificates::Certificates;
pub(crate) use flights::Flights;
pub(crate) use http::answer_airports;
pub(crate) use memcached::Memcached;
pub(crate) use mysql::Mysql;
pub(crate) use pgbouncer::PgBouncer;
pub(crate) use port::free_port;
pub(crate) use postgres::Postgres;
pub(crate) use process::{PATIENCE, Process, run, send_signal, wait_for_line};
pub(crate) use prometheus::{PROMETHEUS, Prometheus, docker};
pub(crate) use python::{PYTHON, Stock, interpreter, python, stubs};
pub(crate) use redis::Redis;
pub(crate) use tls::{Authority, Identity, TlsClient, TlsWire};
pub(crate) use tributary::Tributary;
pub(crate) use wire::{Wire, bytes};
