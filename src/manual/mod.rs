//! The manual: the pages of `src/manual`, carried in the program.
//!
//! [`PAGES`] is the table of all pages; the index says what each is about. [`topic`] names the page that helps with a
//! problem. `tributary manual` lays pages out for a terminal.

mod pages;
mod defaults; // of keys
mod help; // the page that helps with a problem
#[cfg(test)]
mod tests;

pub use defaults::defaults;
pub use help::topic;
pub use pages::{Group, Hit, INDEX, PAGES, Page, groups, page, search};
