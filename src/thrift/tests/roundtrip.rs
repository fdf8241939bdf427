//! In every wire format, reading returns what was written, and damaged messages never cause a panic.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::entropy::Entropy;
use super::{Framer, Limits, call, first, receive, wire_formats};
use crate::coop::Coop;
use crate::thrift::{
    Protocol, WireError, decode_application_error, decode_result, decode_struct,
    decode_struct_counted, decode_struct_sliced, read_head, tests::sample,
};
use crate::value::Value;

fn entropy() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..400)
}

proptest! {
    #[test]
    fn reading_returns_what_was_written(bytes in entropy()) {
        let mut entropy = Entropy(&bytes);
        let (schema, id) = entropy.schema();
        let record = entropy.record(&schema, id);
        for wire_format in wire_formats() {
            let message = call(&schema, id, &record, wire_format);
            let (head, value) = receive(&schema, id, wire_format, &message).expect("as written");
            prop_assert_eq!(head.name.as_str(), "echo");
            prop_assert_eq!(&value, &record);
        }
    }

    #[test]
    fn a_message_cut_anywhere_is_refused_or_incomplete(bytes in entropy()) {
        let mut entropy = Entropy(&bytes);
        let (schema, id) = entropy.schema();
        let record = entropy.record(&schema, id);
        for wire_format in wire_formats() {
            let message = call(&schema, id, &record, wire_format);
            for end in 0..message.len() {
                prop_assert_eq!(first(&message[..end]), Ok(None));
            }
            let whole = first(&message).expect("valid").expect("whole");
            let (_, body) = read_head(wire_format.protocol, &whole).expect("a head");
            for end in 0..body.len() {
                let cut = body.slice(..end);
                prop_assert!(decode_struct(&schema, id, wire_format.protocol, &cut, &Limits::default()).is_err());
            }
        }
    }

    #[test]
    fn a_message_changed_anywhere_is_refused_or_read(
        bytes in entropy(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut entropy = Entropy(&bytes);
        let (schema, id) = entropy.schema();
        let record = entropy.record(&schema, id);
        for wire_format in wire_formats() {
            let mut message = call(&schema, id, &record, wire_format).to_vec();
            for (at, byte) in &changes {
                let at = at.index(message.len());
                message[at] = *byte;
            }
            read_all(&message, &schema, id);
        }
    }

    #[test]
    fn random_bytes_are_refused_or_read(bytes in entropy(), magic in 0..wire_formats().len()) {
        let (schema, id) = Entropy(&bytes).schema();
        read_all(&bytes, &schema, id);
        // The same after a valid head, so that more than the head is read.
        let empty = sample::schema(false);
        let none = sample::record(&empty, sample::EMPTY, &[]);
        let mut message = call(&empty, sample::EMPTY, &none, wire_formats()[magic]).to_vec();
        message.extend_from_slice(&bytes);
        read_all(&message, &schema, id);
    }
}

/// Reads `bytes` in every possible way.
fn read_all(bytes: &[u8], schema: &crate::idl::Schema, id: crate::idl::StructId) {
    let limits = Limits::default();
    let mut framers = vec![Framer::new(limits)];
    framers.extend(
        wire_formats()
            .into_iter()
            .map(|wire_format| Framer::with_wire_format(wire_format, limits)),
    );
    for mut framer in framers {
        let mut buffer = BytesMut::from(bytes);
        while let Ok(Some(message)) = framer.next(&mut buffer) {
            let protocol = framer.wire_format().expect("known by now").protocol;
            if let Ok((_, body)) = read_head(protocol, &message) {
                read_body(&body, schema, id);
            }
        }
    }
    read_body(&Bytes::copy_from_slice(bytes), schema, id);
}

/// Decodes in slices.
pub(super) fn in_slices(
    schema: &crate::idl::Schema,
    id: crate::idl::StructId,
    protocol: Protocol,
    body: &Bytes,
) -> Result<(Value, usize), WireError> {
    let coop = Coop::new();
    let limits = Limits::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::select! {
            () = coop.tick() => unreachable!(),
            decoded = decode_struct_sliced((schema, id), protocol, body, &limits, (&coop, |_| true)) => decoded,
        }
    })
}

fn read_body(body: &Bytes, schema: &crate::idl::Schema, id: crate::idl::StructId) {
    let limits = Limits::default();
    for wire_format in wire_formats() {
        // Both ways must return the same; otherwise it only matters that they return.
        let decoded = decode_struct_counted(schema, id, wire_format.protocol, body, &limits);
        assert_eq!(in_slices(schema, id, wire_format.protocol, body), decoded);
        drop(decode_result(
            schema,
            &[(0, &crate::idl::Type::Struct(id))],
            wire_format.protocol,
            body,
            &limits,
        ));
        drop(decode_application_error(
            wire_format.protocol,
            body,
            &limits,
        ));
    }
}
