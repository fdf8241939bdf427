//! Lists, strings and maps that declare more than the message holds, or a negative size.

use super::super::Protocol;
use super::{refused, stream_refused};
use crate::error::Code;

#[test]
fn a_list_declares_100_million_structs() {
    refused(Protocol::Binary, "0f 0004 0c 05f5e100", Code::WireTruncated);
    refused(Protocol::Compact, "49 fc 80c2d72f", Code::WireTruncated);
    stream_refused(
        Protocol::Binary,
        "0f 0004 0c 05f5e100",
        Code::WireFrameTooLarge,
    );
    stream_refused(Protocol::Compact, "49 fc 80c2d72f", Code::WireFrameTooLarge);
}

#[test]
fn a_list_declares_the_largest_possible_count() {
    refused(Protocol::Binary, "0f 0005 0b 7fffffff", Code::WireTruncated);
    refused(Protocol::Compact, "59 f8 ffffffff07", Code::WireTruncated);
    stream_refused(
        Protocol::Binary,
        "0f 0005 0b 7fffffff",
        Code::WireFrameTooLarge,
    );
    stream_refused(
        Protocol::Compact,
        "59 f8 ffffffff07",
        Code::WireFrameTooLarge,
    );
}

#[test]
fn a_list_declares_a_negative_count() {
    refused(Protocol::Binary, "0f 0005 0b ffffffff", Code::WireInvalid);
    refused(Protocol::Compact, "59 f8 ffffffff0f", Code::WireInvalid);
    stream_refused(Protocol::Binary, "0f 0005 0b ffffffff", Code::WireInvalid);
    stream_refused(Protocol::Compact, "59 f8 ffffffff0f", Code::WireInvalid);
}

#[test]
fn a_string_declares_100_million_bytes() {
    refused(Protocol::Binary, "0b 0002 05f5e100", Code::WireTruncated);
    refused(Protocol::Compact, "28 80c2d72f", Code::WireTruncated);
    stream_refused(
        Protocol::Binary,
        "0b 0002 05f5e100",
        Code::WireFrameTooLarge,
    );
    stream_refused(Protocol::Compact, "28 80c2d72f", Code::WireFrameTooLarge);
}

#[test]
fn a_string_declares_one_byte_too_many() {
    refused(
        Protocol::Binary,
        "0b 0002 00000003 7265",
        Code::WireTruncated,
    );
    refused(Protocol::Compact, "28 03 7265", Code::WireTruncated);
}

#[test]
fn a_string_declares_a_negative_length() {
    refused(Protocol::Binary, "0b 0002 ffffffff", Code::WireInvalid);
    refused(Protocol::Compact, "28 ffffffff0f", Code::WireInvalid);
    stream_refused(Protocol::Binary, "0b 0002 ffffffff", Code::WireInvalid);
    stream_refused(Protocol::Compact, "28 ffffffff0f", Code::WireInvalid);
}

#[test]
fn a_map_declares_too_many_or_a_negative_count() {
    refused(
        Protocol::Binary,
        "0d 0006 0b 0a 05f5e100",
        Code::WireTruncated,
    );
    refused(
        Protocol::Binary,
        "0d 0006 0b 0a 80000000",
        Code::WireInvalid,
    );
    refused(Protocol::Compact, "6b 80c2d72f 86", Code::WireTruncated);
    refused(Protocol::Compact, "6b ffffffff0f 86", Code::WireInvalid);
    stream_refused(
        Protocol::Binary,
        "0d 0006 0b 0a 05f5e100",
        Code::WireFrameTooLarge,
    );
    stream_refused(Protocol::Compact, "6b ffffffff0f 86", Code::WireInvalid);
}
