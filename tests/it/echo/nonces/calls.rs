//! The calls of one connection, as a series that its writer and its reader each make for themselves.

use std::ops::Range;

use tributary::random::Random;
use tributary::thrift::{Protocol, Transport, WireFormat};
use tributary::value::{FieldNames, Record, Value};

use super::service::stored;

/// Nonces that one call of `several` asks for.
pub(super) const SEVERAL: u32 = 3;

/// Which sequence ids a connection's calls have.
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
    /// Its service's name stands before the method's.
    pub(super) multiplexed: bool,
}

/// What a call is to be answered with.
pub(super) enum Expected {
    Returned(Value),
    Threw(Value),
    Unknown,
    Nothing,
}

/// The same calls whenever they are made anew from a clone.
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
    /// As the method's one parameter.
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

    /// How many lookups of Redis it means.
    pub(super) fn stored(&self) -> u64 {
        match self.method {
            "stored" | "both" => 1,
            "several" => u64::from(SEVERAL),
            _ => 0,
        }
    }

    /// What it is to be answered with; records as maps by their fields' names.
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

/// Whether `got` is `expected`, of which a map is a record by its names.
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
