//! Fuzz target: any text as JSON, and the value as the types of an IDL.

use crate::coerce::{Coercion, to_json};
use crate::fuzzing::{FuzzInput, hold, hold_type, same, zoo, zoo_struct};
use crate::idl::Type;
use crate::value::{Pointer, Value};

/// The first byte chooses a type; a JSON pointer follows after its length; the rest is JSON.
pub(crate) fn json(bytes: &[u8]) {
    let mut input = FuzzInput(bytes);
    let choice = input.byte();
    let pointer = String::from_utf8_lossy(input.part()).into_owned();
    let read = Value::from_json(input.0);
    let unmarked = input.0.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input.0);
    let known = serde_json::from_slice::<serde_json::Value>(unmarked);
    hold(
        read.is_ok() == known.is_ok(),
        "serde_json agrees on what is JSON",
        (&read, known),
    );
    if let Ok(pointer) = Pointer::parse(&pointer) {
        let picked = pointer.pick(input.0);
        // Only a skipped number may be out of range.
        hold(
            picked.is_ok() || read.is_err(),
            "a pointer can be followed in any JSON",
            &picked,
        );
        let text = std::str::from_utf8(input.0);
        hold(picked.is_err() || text.is_ok(), "JSON is UTF-8", &picked);
        let whole = pointer == Pointer::default();
        if let (true, Ok(picked), Ok(read)) = (whole, &picked, &read) {
            hold(
                same(picked, read),
                "the empty pointer selects the whole document",
                picked,
            );
        }
    }
    let Ok(value) = read else { return };
    let structs = ["All", "Node", "Choice", "Answer"];
    let ty = Type::Struct(zoo_struct(structs[usize::from(choice) % structs.len()]));
    let coercion = Coercion::new(zoo(), choice & 0x80 != 0);
    to_json(zoo(), &ty, &value);
    if let Ok(fitted) = coercion.value(value, &ty) {
        hold_type(zoo(), &ty, &fitted);
        to_json(zoo(), &ty, &fitted);
        let again = coercion.value(fitted.clone(), &ty);
        let settled = again.as_ref().is_ok_and(|again| same(again, &fitted));
        hold(
            settled,
            "a coerced value does not change when coerced again",
            (fitted, again),
        );
    }
}
