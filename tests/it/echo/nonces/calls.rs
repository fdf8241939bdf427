//! The calls of one connection, as a series that writer and reader generate independently.

use std::ops::Range;

use tributary::random::Random;
use tributary::thrift::{Protocol, Transport, WireFormat};
use tributary::value::{FieldNames, Record, Value};

use super::service::stored;

/// How many nonces one call of `several` requests.
pub(super) const SEVERAL: u32 = 3;

/// The sequence ids of a connection's calls.
#[derive(Clone, Copy)]
pub(super) enum Numbers {
    Zero,
    Random,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) nonce: i64,
    pub(super) sequence: i32,
    pub(super) protocol: Protocol,
    /// Whether the service's name comes before the method's.
    pub(super) multiplexed: bool,
}

/// The expected reply.
pub(super) enum Expected {
    Returned(Value),
    Threw(Value),
    Unknown,
    Nothing,
}

/// A series of calls; a clone generates the same calls again.
#[derive(Clone)]
pub(super) struct Calls {
    pub(super) wire_format: WireFormat,
    nonces: Range<i64>,
    numbers: Numbers,
    random: Random,
}

impl Calls {
    /// A call for each of `nonces`.
    pub(super) fn new(wire_format: WireFormat, nonces: Range<i64>, numbers: Numbers) -> Self {
        let seed = nonces.start.unsigned_abs();
        Calls {
            wire_format,
            nonces,
            numbers,
            random: Random::seeded(seed),
        }
    }
}

impl Iterator for Calls {
    type Item = Call;

    fn next(&mut self) -> Option<Call> {
        let nonce = self.nonces.next()?;
        let drawn = self.random.draw();
        let method = match drawn % 16 {
            0..4 => "now",
            4..6 => "later",
            6..10 => "stored",
            10 => "several",
            11..13 => "both",
            13 => "refuse",
            14 => "unknown",
            _ => "tell",
        };
        let bit = |at: u32| drawn >> at & 1 == 1;
        let [_, _, _, _, number @ ..] = drawn.to_be_bytes();
        let in_turn = self.wire_format.transport == Transport::Header && bit(8);
        Some(Call {
            method,
            nonce,
            sequence: match self.numbers {
                Numbers::Zero => 0,
                Numbers::Random => i32::from_be_bytes(number),
            },
            protocol: if in_turn {
                Protocol::Compact
            } else {
                self.wire_format.protocol
            },
            multiplexed: bit(9),
        })
    }
}

impl Call {
    /// The value of the method's parameter.
    pub(super) fn params(&self, names: &FieldNames) -> Value {
        let value = match self.method {
            "several" => Value::from(self.several().collect::<Vec<i64>>()),
            _ => Value::I64(self.nonce),
        };
        Value::Record(Record {
            names: names.clone(),
            values: vec![value],
        })
    }

    fn several(&self) -> impl Iterator<Item = i64> {
        self.nonce..self.nonce + i64::from(SEVERAL)
    }

    /// How many Redis lookups it causes.
    pub(super) fn stored(&self) -> u64 {
        match self.method {
            "stored" | "both" => 1,
            "several" => u64::from(SEVERAL),
            _ => 0,
        }
    }

    /// The expected reply; records are maps by field name.
    pub(super) fn expected(&self) -> Expected {
        let nonce = Value::I64(self.nonce);
        let text = stored(self.nonce);
        match self.method {
            "tell" => Expected::Nothing,
            "unknown" => Expected::Unknown,
            "refuse" if self.nonce % 2 != 0 => Expected::Threw(record([("nonce", nonce)])),
            "stored" => Expected::Returned(text.into()),
            "several" => {
                Expected::Returned(self.several().map(stored).collect::<Vec<String>>().into())
            }
            "both" => Expected::Returned(record([
                ("nonce", nonce),
                ("late", format!("late {text}").into()),
                ("stored", text.into()),
            ])),
            _ => Expected::Returned(nonce),
        }
    }
}

fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.map(|(name, value)| (name.into(), value)).into())
}

/// Whether `got` equals `expected`, where a map stands for a record.
pub(super) fn equal(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Map(fields), Value::Record(record)) => {
            let same = |(name, value): &(Value, Value)| {
                name.as_str().and_then(|name| record.get(name)) == Some(value)
            };
            fields.len() == record.values.len() && fields.iter().all(same)
        }
        _ => expected == got,
    }
}
