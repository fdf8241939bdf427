//! Any text as a key or an address: no parameter becomes a command, and no address turns into a different one.

use super::address::Address;
use super::key::Get;
use crate::config::{document, whole};
use crate::fuzzing::{FuzzInput, hold};
use crate::value::Value;

thread_local! {
    static GET: Get = {
        let document = document("get = \"a:{x}:{x}\"");
        let compiled = Get::read(&mut whole(&document));
        compiled.expect("a lookup without problems").lookup
    };
}

/// A parameter of a key.
pub(in crate::backend) fn key(input: &FuzzInput<'_>) {
    let value = match std::str::from_utf8(input.0) {
        Ok(text) => Value::from(text),
        Err(_) => Value::Bytes(bytes::Bytes::copy_from_slice(input.0)),
    };
    if let Ok(key) = GET.with(|get| get.key(&[value], &mut Vec::new())) {
        let fits = key.len() <= 250 && key.iter().all(u8::is_ascii_graphic);
        hold(fits, "a key is one word", key);
    }
}

/// An address.
pub(in crate::backend) fn address(input: &FuzzInput<'_>) {
    let text = String::from_utf8_lossy(input.0);
    if let Ok(address) = Address::parse(&text) {
        let url = address.url();
        hold(
            url.bytes().all(|byte| byte.is_ascii_graphic()),
            "an address is one word",
            &url,
        );
        hold(!address.ring_name().is_empty(), "a server has a name", url);
    }
}
