//! Known bytes and their values, and bytes that are not what they should be.

use proptest::prelude::*;

use super::*;

/// A numeric's bytes.
fn numeric(weight: i16, sign: u16, decimals: i16, digits: &[i16]) -> Vec<u8> {
    let count = i16::try_from(digits.len()).expect("few");
    let mut bytes = Vec::new();
    bytes.extend(count.to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend(sign.to_be_bytes());
    bytes.extend(decimals.to_be_bytes());
    bytes.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
    bytes
}

#[test]
fn numerics_keep_their_decimals() {
    let text = |bytes: &[u8]| Decoder::Numeric.decode(bytes);
    for (bytes, expected) in [
        (numeric(0, 0, 0, &[]), "0"),
        (numeric(0, 0, 2, &[]), "0.00"),
        (numeric(0, 0, 2, &[12, 5000]), "12.50"),
        (numeric(1, 0x4000, 0, &[1, 2]), "-10002"),
        (numeric(2, 0, 0, &[7]), "700000000"),
        (numeric(-1, 0, 4, &[1]), "0.0001"),
        (numeric(-2, 0, 7, &[1230]), "0.0000123"),
        (numeric(0, 0xC000, 0, &[]), "NaN"),
        (numeric(0, 0xF000, 0, &[]), "-Infinity"),
    ] {
        assert_eq!(text(&bytes), Ok(Value::from(expected)));
    }
    assert!(text(&numeric(0, 0, 0, &[10_000])).is_err());
    assert!(text(&numeric(0, 1, 0, &[])).is_err());
}

#[test]
fn dates_across_leap_years_and_eras() {
    for (days, expected) in [
        (0, "2000-01-01"),
        (59, "2000-02-29"),
        (60, "2000-03-01"),
        (365, "2000-12-31"),
        (366, "2001-01-01"),
        (-1, "1999-12-31"),
        (-36_466, "1900-02-28"),
        (-36_465, "1900-03-01"),
        (4748, "2012-12-31"),
        (36_583, "2100-02-28"),
        (36_584, "2100-03-01"),
        (-730_119, "0001-01-01"),
        (-730_120, "0001-12-31 BC"),
        (i32::MAX, "infinity"),
        (i32::MIN, "-infinity"),
    ] {
        assert_eq!(time::date(days), expected);
    }
}

#[test]
fn times() {
    assert_eq!(time::time(0), "00:00:00");
    assert_eq!(time::time(86_400_000_000), "24:00:00");
    assert_eq!(time::time_zoned(1_250_000, 18_000), "00:00:01.25-05:00");
    assert_eq!(time::time_zoned(0, -5400), "00:00:00+01:30");
    assert_eq!(time::timestamp(-1, "Z"), "1999-12-31T23:59:59.999999Z");
    assert_eq!(time::timestamp(i64::MAX, "Z"), "infinity");
    assert_eq!(time::interval(0, 0, 0), "PT0S");
    assert_eq!(time::interval(14_706_500_000, 3, 14), "P1Y2M3DT4H5M6.5S");
    assert_eq!(time::interval(-500_000, 0, -1), "P-1MT-0.5S");
}

/// An array of int4: each dimension's length, then the elements.
fn array_of(lengths: &[i32], items: &[Option<i32>]) -> Vec<u8> {
    let dimensions = i32::try_from(lengths.len()).expect("few");
    let mut ints = vec![dimensions, 1, 23];
    ints.extend(lengths.iter().flat_map(|length| [*length, 1]));
    for item in items {
        match item {
            Some(item) => ints.extend([4, *item]),
            None => ints.push(-1),
        }
    }
    ints.into_iter().flat_map(i32::to_be_bytes).collect()
}

#[test]
fn arrays_and_arrays_of_arrays() {
    let decoder = Decoder::Array(Decoder::Int4.into());
    let json = |bytes: &[u8]| decoder.decode(bytes).map(|value| format!("{value:?}"));
    let of = |text: &str| {
        Ok(format!(
            "{:?}",
            Value::from_json(text.as_bytes()).expect("JSON")
        ))
    };
    assert_eq!(json(&array_of(&[], &[])), of("[]"));
    assert_eq!(json(&array_of(&[2], &[Some(1), None])), of("[1,null]"));
    let four = [Some(1), Some(2), Some(3), Some(4)];
    assert_eq!(json(&array_of(&[2, 2], &four)), of("[[1,2],[3,4]]"));
    assert_eq!(json(&array_of(&[1, 2, 2], &four)), of("[[[1,2],[3,4]]]"));
    for lengths in [
        &[3][..],
        &[],
        &[-1],
        &[i32::MAX, i32::MAX, i32::MAX, i32::MAX],
    ] {
        assert!(decoder.decode(&array_of(lengths, &four)).is_err());
    }
    assert_eq!(
        json(&array_of(&[1, 1, 1, 1, 1, 1], &[Some(1)])),
        of("[[[[[[1]]]]]]")
    );
}

#[test]
fn an_array_of_a_hundred_thousand_dimensions_is_refused() {
    let decoder = Decoder::Array(Decoder::Int4.into());
    let bytes = array_of(&vec![1; 100_000], &[Some(1)]);
    assert!(decoder.decode(&bytes).is_err());
}

#[test]
fn sizes_have_to_be_right() {
    assert_eq!(Decoder::Int4.decode(&[0, 0, 1, 0]), Ok(Value::I64(256)));
    assert!(Decoder::Int4.decode(&[0, 0, 1]).is_err());
    assert!(Decoder::Int4.decode(&[0, 0, 1, 0, 0]).is_err());
    assert!(Decoder::Jsonb.decode(b"\x02{}").is_err());
    assert!(Decoder::Text.decode(b"\xff").is_err());
}

#[test]
fn types_that_are_not_known_have_no_decoder() {
    for ty in [
        Type::POINT,
        Type::INT4_RANGE,
        Type::MONEY,
        Type::RECORD,
        Type::POINT_ARRAY,
    ] {
        assert_eq!(Decoder::of(&ty), None, "{ty}");
    }
    let texts = Decoder::Array(Decoder::Text.into());
    assert_eq!(Decoder::of(&Type::TEXT_ARRAY), Some(texts));
}

proptest! {
    /// Any bytes give a value or an error.
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let all = [
            Decoder::Numeric, Decoder::Date, Decoder::Time, Decoder::TimeZoned, Decoder::Timestamp,
            Decoder::Interval, Decoder::Jsonb, Decoder::Array(Decoder::Numeric.into()),
        ];
        for decoder in all {
            let _read = decoder.decode(&bytes);
        }
    }
}
