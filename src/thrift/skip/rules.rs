//! What skipping needs to know about one protocol.

use thrift::protocol::TType;

use super::token::{Stop, Token};

/// How one protocol lays out heads, lengths and numbers. A method that fails has changed nothing but the token,
/// so the token can be read again when more bytes have arrived.
pub(crate) trait SkipRules {
    /// Reads a message's head up to the method's name: the name's length, and how many bytes of the head follow
    /// the name.
    fn head(token: &mut Token<'_>) -> Result<(usize, usize), Stop>;
    /// Reads a field's head: the type of its value, or `None` at the end of the struct.
    fn field(token: &mut Token<'_>) -> Result<Option<TType>, Stop>;
    /// Reads the length of a `string` or `binary`.
    fn length(token: &mut Token<'_>) -> Result<usize, Stop>;
    /// Reads the head of a list or set: element type and count.
    fn list(token: &mut Token<'_>) -> Result<(TType, usize), Stop>;
    /// Reads the head of a map: key type, value type and count.
    fn map(token: &mut Token<'_>) -> Result<(TType, TType, usize), Stop>;
    /// How many bytes each value of `ty` takes, if all take the same. A bool in a field may take none.
    fn width(ty: TType, in_field: bool) -> Option<usize>;
    /// The fewest bytes that an element of type `ty` takes.
    fn bytes_min(ty: TType) -> usize;
}
