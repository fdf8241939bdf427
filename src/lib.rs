//! Tributary serves a Thrift service straight from its IDL.

pub mod error;
pub mod value;
pub mod context;
pub mod idl;
pub mod config;
pub mod backend;
pub mod timeline;
pub mod guard;
pub mod view;
