//! A small service over a table of two airports: one method that answers at once, one after a delay, one oneway.

use super::message::{REPLY, sized, with_body};
use super::{Tributary, bytes};

pub(crate) const IDL: &str = r"
struct Airport { 1: required string code, 2: required string name }
service Airports {
  Airport get(1: string code)
  Airport slow(1: string code)
  oneway void touch(1: string code)
}
";

pub(crate) const CONFIG: &str = r#"
[server]
idl = "airports.thrift"
limits = { frame_bytes_max = "4KiB" }

[backends.airports]
kind = "file"
path = "airports.csv"

[lookups.airport]
backend = "airports"
key = { code = "{code}" }
rows = "one"

[lookups.far]
backend = "airports"
key = { code = "{code}" }
rows = "one"
inject = { delay = "60ms" }

[views.get.lookups]
airport = { use = "airport", into = ".", required = true }

[views.slow.lookups]
airport = { use = "far", into = ".", required = true }

[views.touch.lookups]
airport = "far"
"#;

/// The files in the folder of the configuration.
pub(crate) const FILES: [(&str, &str); 2] = [
    ("airports.thrift", IDL),
    ("airports.csv", "code,name\nJFK,Kennedy\nLAX,Los Angeles\n"),
];

pub(crate) fn airports() -> Tributary {
    Tributary::start(CONFIG, &FILES)
}

/// The reply to a `get` of this code.
pub(crate) fn airport(name: &str, seqid: i32, code: &str, full: &str) -> Vec<u8> {
    let fields = [
        &bytes("0b 00 01")[..],
        &sized(code.as_bytes()),
        &bytes("0b 00 02"),
        &sized(full.as_bytes()),
    ];
    with_body(
        REPLY,
        name,
        seqid,
        &[&bytes("0c 00 00")[..], &fields.concat(), &[0, 0]].concat(),
    )
}
