//! Integration tests in one binary: the public library and the program itself.
//!
//! A missing server or tool fails a test and names the package to install; nothing is skipped silently.

#![expect(
    clippy::panic,
    reason = "the support code panics with what went wrong, as tests do"
)]

mod floors; // the modules of `src/` use each other in one direction
mod support; // the program and real servers as processes, and a bare socket
mod config; // mistakes in a configuration, and the problems that the operator reads
mod include_path; // `-I` and `server.idl_path`
mod several; // several services in one server
mod scenarios; // plan, run and merge with scripted lookups and paused time; data in tests/scenarios
mod spans; // a lookup's span belongs to its own call, however calls interleave
mod callers; // limits for callers
mod calls; // calls byte by byte over a real socket
mod failures; // why a call fails, for its caller and its operator
mod header; // THeader frames by hand, and connections that are not Thrift
mod listeners; // several ports and Unix sockets, each with its own settings
mod secure; // listeners with TLS: certificates, handshakes, reload
mod access; // access control: names in certificates, and tokens
mod meta; // the `Tributary` service: descriptions, and the generic API (`fetch`)
mod lifetime; // the age of connections
mod inject; // faults that callers ask for
mod limits; // the manual's tables of limits match the code
mod first_process; // PID 1, unprivileged, read-only
mod incidents; // what an operator sees in each incident of the manual
mod reload; // what a reload changes, and what it can't
mod systemd; // a service manager: what it is told, the sockets it hands over, the unit files
mod shutdown; // signals: drain and reload
mod log; // a log that is not read
mod call_log; // lines of calls, and the access log
mod admin; // the admin port: counts in a scrape, probes, hostile requests
mod traces; // spans that a collector gets, and collectors that misbehave
mod prometheus; // the dashboard and the alerts, by the real Prometheus
mod hostile; // hostile clients: memory, frames, descriptors, silence
mod health; // what an outage looks like in reports, metrics and the log
mod breaker; // a store that hangs, behind a breaker
mod fallback; // what is asked instead of a lookup that fails
mod waits; // lookups that wait too long for their turn
mod caching; // answers and questions that calls share
mod invalidation; // cached answers that are no longer right
mod endpoints; // several equal servers that come, go, hang and die
mod outages; // every store killed, hung and restarted under load
mod faults; // every store behind a proxy that misbehaves; every call is judged
mod stores; // batches to a real store
mod large; // answers that take long to convert
mod store_memory; // what large answers take together
mod neighbours; // a slow or silent thing costs those beside it nothing
mod overload; // calls are served whole or refused whole
mod memcached; // memcached servers in one ring, some of which go down
mod postgres; // every type, batches, limits and outages of a real PostgreSQL
mod connect; // `check --connect`: problems that only a store can detect
mod enums; // enums of the IDL as parameters: by name or by number, never as something else
mod prepared; // statements that are prepared before the first call
mod tls; // TLS to real servers, with valid and invalid certificates
mod thrift; // Thrift services as stores: Apache's Python server, and another Tributary
mod clients; // real Python clients against the real binary; scripts in tests/clients
mod echo; // conformance: many clients, pipelined calls, a nonce in every value
mod demo; // `tributary demo` in a terminal, in a container, and with its files kept
mod calling; // commands with TLS, tokens, headers and Unix sockets
mod foreign; // commands that are pointed at a server of another kind
mod bench; // `tributary bench` against the real server and a scripted one
mod deploy; // docker/: Docker Compose, Kubernetes, HAProxy; the scripts of Compose are run on real stores
mod docker; // the container image, built and run if there is an engine
mod manual; // its tables, its example and its commands; `tributary manual`
mod readme; // its example and its links
