//! Tributary serves a Thrift service straight from its IDL.

pub mod error;
pub mod value;
pub mod context;
pub mod server;
pub mod thrift;
pub mod idl;
pub mod service;
pub mod view;
pub mod guard;
pub mod backend;
pub mod config;
pub mod timeline;
pub mod cli;
