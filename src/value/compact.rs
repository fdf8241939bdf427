//! Copies a value without the buffers that it shares: a short text that is kept must not keep a long message.

use bytes::{Bytes, BytesMut};

use super::{Record, Text, Value};

impl Value {
    /// A copy whose texts and bytes share one buffer of exactly their length.
    pub(crate) fn compacted(&self) -> Value {
        let mut buffer = BytesMut::with_capacity(self.buffered());
        copy(self, &mut buffer)
    }

    /// How many bytes its texts and bytes have.
    fn buffered(&self) -> usize {
        match self {
            Value::Text(text) => text.as_bytes().len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(values) => values.iter().map(Value::buffered).sum(),
            Value::Record(record) => record.values.iter().map(Value::buffered).sum(),
            Value::Map(pairs) => pairs
                .iter()
                .map(|(key, value)| key.buffered() + value.buffered())
                .sum(),
            _ => 0,
        }
    }
}

fn copy(value: &Value, buffer: &mut BytesMut) -> Value {
    match value {
        Value::Text(text) => Value::Text(Text::of_checked(append(text.as_bytes(), buffer))),
        Value::Bytes(bytes) => Value::Bytes(append(bytes, buffer)),
        Value::List(values) => Value::List(copy_all(values, buffer)),
        Value::Record(record) => Value::Record(Record {
            names: record.names.clone(),
            values: copy_all(&record.values, buffer),
        }),
        Value::Map(pairs) => {
            let mut copies = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                copies.push((copy(key, buffer), copy(value, buffer)));
            }
            Value::Map(copies)
        }
        other => other.clone(),
    }
}

fn copy_all(values: &[Value], buffer: &mut BytesMut) -> Vec<Value> {
    values.iter().map(|value| copy(value, buffer)).collect()
}

fn append(bytes: &[u8], buffer: &mut BytesMut) -> Bytes {
    if bytes.is_empty() {
        return Bytes::new();
    }
    buffer.extend_from_slice(bytes);
    buffer.split().freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_text_does_not_keep_the_message_it_came_in() {
        let message = Bytes::from(vec![b'a'; 1 << 20]);
        let text = Text::from_utf8(message.slice(7..10)).expect("ASCII");
        let values = Value::List(vec![Value::Text(text), Value::Bytes(message.slice(20..24))]);
        let copy = values.compacted();
        drop(values);
        assert!(message.is_unique(), "nothing else uses the message");
        let expected = vec![
            Value::from("aaa"),
            Value::Bytes(Bytes::from_static(b"aaaa")),
        ];
        assert_eq!(copy, Value::List(expected));
    }
}
