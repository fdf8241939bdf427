//! Structs and lists nested deeper than the limit, and exactly as deep.

use bytes::{Bytes, BytesMut};

use super::super::sample::{self, EMPTY, NODE};
use super::super::{Framer, Limits, Protocol, hex};
use super::{decode, stream};
use crate::error::Code;
use crate::thrift::{DEPTH_CEILING, decode_struct};

/// `unit`, repeated.
fn nested(unit: &str, times: usize) -> Bytes {
    hex(unit).repeat(times).into()
}

#[test]
fn structs_nested_200_000_deep() {
    for (protocol, unit) in [(Protocol::Binary, "0c 0001"), (Protocol::Compact, "1c")] {
        let body = nested(unit, 200_000);
        for id in [NODE, EMPTY] {
            assert_eq!(
                decode(id, protocol, &body).expect_err("too deep").code,
                Code::WireTooDeep
            );
        }
        assert_eq!(
            stream(protocol, &body).expect_err("too deep").code,
            Code::WireTooDeep
        );
    }
}

#[test]
fn lists_nested_100_000_deep() {
    for (protocol, head, unit) in [
        (Protocol::Binary, "0f 0063", "0f 00000001"),
        (Protocol::Compact, "09 c601", "19"),
    ] {
        let body: Bytes = [hex(head), nested(unit, 100_000)].concat().into();
        assert_eq!(
            decode(EMPTY, protocol, &body).expect_err("too deep").code,
            Code::WireTooDeep
        );
        assert_eq!(
            stream(protocol, &body).expect_err("too deep").code,
            Code::WireTooDeep
        );
    }
}

#[test]
fn depth_counts_structs_and_containers_from_the_parameters_on() {
    // A node in a list in a node: the innermost is level three.
    let body = hex("29 1c 00 00");
    let schema = sample::schema(false);
    for (depth_max, fits) in [(3, true), (2, false)] {
        let limits = Limits {
            depth_max,
            ..Limits::default()
        };
        for id in [NODE, EMPTY] {
            let got = decode_struct(&schema, id, Protocol::Compact, &body, &limits);
            assert_eq!(got.is_ok(), fits, "{depth_max}: {got:?}");
        }
        let mut buffer = BytesMut::from(&[&hex("82 21 00 01 74")[..], &body].concat()[..]);
        assert_eq!(Framer::new(limits).next(&mut buffer).is_ok(), fits);
    }
}

#[test]
fn the_deepest_that_can_be_allowed_fits_on_a_small_stack() {
    let limits = Limits {
        depth_max: usize::MAX,
        ..Limits::default()
    };
    let read = move |levels: usize| {
        let body: Bytes = [nested("1c", levels - 1), nested("00", levels)]
            .concat()
            .into();
        decode_struct(
            &sample::schema(false),
            NODE,
            Protocol::Compact,
            &body,
            &limits,
        )
        .map(drop)
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let (deepest, deeper) = thread
        .spawn(move || (read(DEPTH_CEILING), read(DEPTH_CEILING + 1)))
        .expect("a thread")
        .join()
        .expect("no overflow");
    assert_eq!(deepest, Ok(()));
    assert_eq!(deeper.expect_err("too deep").code, Code::WireTooDeep);
}
