//! Checks that a reply is not too large: for `reply_bytes_max`, and for the memory of its connection.

use super::memory::Reservation;
use crate::error::Code;
use crate::thrift::DEPTH_CEILING;
use crate::value::Value;

/// Deeper values are not examined.
const NESTED_MAX: usize = DEPTH_CEILING;

/// The limits on the reply of one call.
pub(super) struct ReplyLimit<'c> {
    /// The memory of the call's message and parameters, if it is counted.
    pub(super) reservation: Option<&'c Reservation>,
    /// `reply_bytes_max`.
    pub(super) bytes_max: usize,
}

impl ReplyLimit<'_> {
    /// Whether the memory is certainly too small for a reply of this value, so that encoding it would be in vain.
    pub(super) fn excludes(&self, value: &Value) -> bool {
        let Some(reservation) = self.reservation else {
            return false;
        };
        let left = reservation.memory().left();
        // If any reply would fit, nothing has to be added up.
        left < self.bytes_max && !fits(value, &mut { left }, NESTED_MAX)
    }

    /// Why an encoded reply of that many bytes must not be sent; `None` if it may.
    pub(super) fn refusal(&self, bytes: usize) -> Option<Code> {
        if bytes > self.bytes_max {
            return Some(Code::CallReplyTooLarge);
        }
        let reservation = self.reservation?;
        let fits = reservation.memory().takes_reply(bytes, reservation.bytes());
        (!fits).then_some(Code::ServerOverloaded)
    }
}

/// Whether the text and bytes in a value, nearly all of a long one, fit into `left`; subtracts them from it.
fn fits(value: &Value, left: &mut usize, nested_max: usize) -> bool {
    let own = match value {
        Value::Text(text) => text.as_bytes().len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 1,
    };
    let Some(rest) = left.checked_sub(own) else {
        return false;
    };
    *left = rest;
    // Deeper values can't be encoded anyway.
    let Some(nested_max) = nested_max.checked_sub(1) else {
        return true;
    };
    match value {
        Value::List(values) => values.iter().all(|value| fits(value, left, nested_max)),
        Value::Record(record) => (record.values.iter()).all(|value| fits(value, left, nested_max)),
        Value::Map(pairs) => (pairs.iter())
            .all(|(key, value)| fits(key, left, nested_max) && fits(value, left, nested_max)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_added_up_only_as_far_as_it_matters() {
        let text = |len| Value::from("x".repeat(len).as_str());
        let fits = |value: &Value, left| super::fits(value, &mut { left }, NESTED_MAX);
        assert!(fits(&text(10), 10) && !fits(&text(11), 10));
        let list = Value::List(vec![text(4), text(4)]);
        assert!(fits(&list, 9) && !fits(&list, 8));
        let map = Value::Map(vec![(text(3), list.clone())]);
        assert!(fits(&map, 13) && !fits(&map, 12));
        let mut deep = Value::Null;
        for _ in 0..1000 {
            deep = Value::List(vec![deep]);
        }
        assert!(!fits(&deep, 100), "each level counts");
        assert!(
            fits(&deep, NESTED_MAX + 1),
            "and below a certain depth none does"
        );
    }
}
