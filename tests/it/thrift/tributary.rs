//! A server behind a server: the context is passed on, and codes come back.

use serde_json::json;

use super::{call, fates};
use crate::support::Tributary;

const BACK: &str = "
include 'tributary.thrift'
struct Airport { 1: required string code, 2: optional string name, 3: optional i32 altitude }
service Airports {
  Airport get(1: string code, 2: tributary.Context context) throws (1: tributary.LookupFailed failed)
  Airport plain(1: string code)
  string who(1: tributary.Context context)
  Airport slow(1: string code, 2: tributary.Context context) throws (1: tributary.DeadlineExceeded late)
}";

const BACK_CONFIG: &str = r#"
[server]
idl = "back.thrift"
service = "Airports"

[backends.airports]
kind = "file"
path = "airports.csv"
types = { altitude = "i64" }

[lookups.airport]
backend = "airports"
key = { code = "{code}" }
rows = "one"

[lookups.slow]
backend = "airports"
key = { code = "{code}" }
rows = "one"
inject = { delay = "30s" }

[lookups.id]
backend = "airports"
key = { code = "{id}" }
columns = ["code"]
rows = "value"

[views.get.lookups]
airport = { use = "airport", into = ".", required = true }

[views.plain.lookups]
airport = { use = "airport", into = ".", required = true }

[views.who.lookups]
id = { use = "id", into = ".", with = { id = "context.request_id" } }

[views.slow]
deadline = "60s"

[views.slow.lookups]
airport = { use = "slow", into = ".", required = true }
"#;

const FRONT: &str = "
include 'tributary.thrift'
struct Airport { 1: required string code, 2: optional string name, 3: optional i64 altitude }
struct Page {
  1: optional Airport origin
  2: optional Airport missing
  3: optional Airport refused
  4: optional string who
  5: optional list<Airport> all
  6: optional tributary.Report report
  7: optional Airport slow
}
service Front {
  Page page(1: string code, 2: tributary.Context context, 3: list<string> codes)
  Page late(1: string code, 2: tributary.Context context)
}";

fn front(port: u16, keys: &str) -> String {
    format!(
        r#"
[server]
idl = "front.thrift"

[backends.airports]
kind = "thrift"
url = "thrift://127.0.0.1:{port}"
idl = "back.thrift"
{keys}

[lookups.airport]
backend = "airports"
call = "get"
empty_on = ["call.required_empty"]

[lookups.plain]
backend = "airports"
call = "plain"

[lookups.who]
backend = "airports"
call = "who"

[lookups.slow]
backend = "airports"
call = "slow"

[views.page]
report = true
deadline = "30s"

[views.page.lookups]
origin = {{ use = "airport" }}
missing = {{ use = "airport", with = {{ code = {{ value = "???" }} }} }}
refused = {{ use = "plain", with = {{ code = {{ value = "???" }} }} }}
who = "who"
all = {{ use = "airport", foreach = "codes", with = {{ code = "item" }} }}

[views.late]
report = true
deadline = "200ms"

[views.late.lookups]
slow = "slow"
"#
    )
}

const AIRPORTS: &str = "code,name,altitude\nJFK,Kennedy,13\nLAX,Los Angeles,126\nr-1,nobody,0\n";

#[test]
fn pages_come_from_another_tributary() {
    let files = [("back.thrift", BACK), ("airports.csv", AIRPORTS)];
    let back = Tributary::start(BACK_CONFIG, &files);
    for keys in [
        "",
        "transport = 'unframed'\nprotocol = 'compact'\nmultiplexed = true\npipelined_max = 32\nconnections = 1",
    ] {
        let files = [("front.thrift", FRONT), ("back.thrift", BACK)];
        let server = Tributary::start(&front(back.addr.port(), keys), &files);
        let words = [
            "page",
            "--json",
            r#"{"code": "LAX", "context": {"request_id": "r-1"}, "codes": ["JFK", "LAX"]}"#,
        ];
        let page = call(&server, &words);
        let lax = json!({ "code": "LAX", "name": "Los Angeles", "altitude": 126 });
        let jfk = json!({ "code": "JFK", "name": "Kennedy", "altitude": 13 });
        assert_eq!(page["origin"], lax);
        assert_eq!(page["who"], "r-1");
        assert_eq!(page["all"], json!([jfk, lax]));
        let fates = fates(&page);
        let fate = |name: &str| {
            let found = fates.iter().find(|(have, ..)| have == name);
            found.map(|(_, fate, code)| (&**fate, &**code))
        };
        assert_eq!(fate("missing"), Some(("empty", "-")));
        assert_eq!(fate("refused"), Some(("error", "lookup.refused")));

        let words = ["late", "--json", r#"{"code": "LAX"}"#];
        let late = call(&server, &words);
        assert_eq!(super::fates(&late)[0].1, "timeout");
    }
}
