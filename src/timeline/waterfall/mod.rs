//! Draws a timeline as text for a terminal: one row per lookup, its bar where it ran.
//!
//! [`draw`] assembles the picture, [`layout`] divides the columns, [`axis`] maps times to columns, and [`ink`] defines the
//! characters and colours. All of it is pure: a [`super::Timeline`] and a [`Look`] in, a `String` out.

mod look;
mod draw;
mod layout;
mod axis;
mod ink;
#[cfg(test)]
mod tests;

pub use draw::{render, render_together};
pub use look::Look;
