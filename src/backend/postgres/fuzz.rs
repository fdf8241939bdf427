//! Any bytes as a column of any type: a value, or an error.

use tokio_postgres::types::Type;

use super::decode::Decoder;
use crate::fuzzing::{FuzzInput, hold};

const TYPES: [Type; 28] = [
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::TEXT,
    Type::CHAR,
    Type::BYTEA,
    Type::UUID,
    Type::JSON,
    Type::JSONB,
    Type::NUMERIC,
    Type::DATE,
    Type::TIME,
    Type::TIMETZ,
    Type::TIMESTAMP,
    Type::TIMESTAMPTZ,
    Type::INTERVAL,
    Type::INT4_ARRAY,
    Type::TEXT_ARRAY,
    Type::NUMERIC_ARRAY,
    Type::JSONB_ARRAY,
    Type::BOOL_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
    Type::INTERVAL_ARRAY,
    Type::BYTEA_ARRAY,
];

/// The first byte chooses the type.
pub(in crate::backend) fn column(input: &mut FuzzInput<'_>) {
    let ty = &TYPES[usize::from(input.byte()) % TYPES.len()];
    let decoder = Decoder::of(ty).expect("a type that is known");
    match decoder.decode(input.0) {
        Ok(value) => hold(!value.is_null(), "a column that is there is no null", ty),
        Err(why) => hold(!why.is_empty(), "an error says why", ty),
    }
}
