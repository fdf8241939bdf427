"""The kinds of hostile clients: one line for each kind, and the bytes that it sends."""

import struct
from dataclasses import dataclass

IDL = """\
struct Airport { 1: required string code, 2: required string name }
struct Blank { 1: optional i32 a, 2: optional i32 b }
struct Deep { 1: optional Deep deep }
service Airports {
  Airport get(1: string code)
  Airport large(1: string code)
  Airport many(1: string code, 2: list<Blank> blanks, 3: map<string, i32> counts, 4: Deep deep)
}
"""

CONFIG = """\
admin = { listen = "127.0.0.1:ADMIN" }
[server]
idl = "airports.thrift"
listen = "127.0.0.1:PORT"
# Leaves connections for the clean client.
limits = { connections_max = CONNECTIONS }

[backends.airports]
kind = "file"
path = "airports.csv"
[backends.large]
kind = "file"
path = "large.json"

[lookups.airport]
backend = "airports"
key = { code = "{code}" }
rows = "one"
[lookups.large]
backend = "large"
rows = "one"

[views.get.lookups]
airport = { into = ".", required = true }
[views.many.lookups]
airport = { into = ".", required = true }
[views.large.lookups]
large = { into = ".", required = true }
"""

MIB = 1 << 20
LARGE = 8 * MIB
STRING, I32, STRUCT, MAP, LIST = 11, 8, 12, 13, 15


def lay_out(folder, port, admin, connections):
    (folder / "airports.thrift").write_text(IDL)
    (folder / "airports.csv").write_text("code,name\nJFK,Kennedy\n")
    (folder / "large.json").write_text('[{"code": "BIG", "name": "%s"}]' % ("x" * LARGE))
    (folder / "tributary.toml").write_text(CONFIG.replace("PORT", str(port)).replace("ADMIN", str(admin)).replace("CONNECTIONS", str(connections + 64)))


def text(value):
    return struct.pack(">i", len(value)) + value


def field(kind, number):
    return struct.pack(">bh", kind, number)


def head(method):
    return b"\x80\x01\x00\x01" + text(method) + struct.pack(">i", 7)


def frame(message):
    return text(message)


def call(method, *params):
    return frame(head(method) + b"".join(params) + b"\0")


CODE = field(STRING, 1) + text(b"JFK")


@dataclass(frozen=True)
class Kind:
    name: str
    what: str
    # What a connection sends first, and what it sends repeatedly after that.
    first: bytes
    again: bytes = b""
    # The seconds after which each connection sends again, or how often per second all of them send together.
    every: float = 0
    per_second: float = 0
    reads: bool = True
    # The maximum rate of new connections, per second.
    connects: int = 2000


def spread(name, what, message, per_second):
    """Whole messages, from one connection after the other."""
    return Kind(name, what, b"", message, per_second=per_second)


MAP_OF = [text(b"same") + struct.pack(">i", value) for value in range(50_000)]

KINDS = [
    Kind("silent", "nothing at all", b""),
    Kind("header-only", "the header of a frame of 1 MiB and the first bytes of a call, then nothing",
         struct.pack(">i", MIB) + head(b"get")),
    Kind("drip", "the same, then a byte every second", struct.pack(">i", MIB) + head(b"get"), b"x", every=1),
    spread("bomb: text", "a text that declares 99 MiB but has 3 bytes, 1,000 a second",
           call(b"get", field(STRING, 1) + struct.pack(">i", 99 * MIB) + b"JFK"), 1000),
    spread("bomb: list", "a list of 1,000,000 empty structs, 16 a second",
           call(b"many", CODE, field(LIST, 2) + struct.pack(">bi", STRUCT, 1_000_000) + bytes(1_000_000)), 16),
    spread("bomb: list under the limit", "a list of 30,000 empty structs, 16 a second",
           call(b"many", CODE, field(LIST, 2) + struct.pack(">bi", STRUCT, 30_000) + bytes(30_000)), 16),
    spread("bomb: map", "a map with the same key 50,000 times, 16 a second",
           call(b"many", CODE, field(MAP, 3) + struct.pack(">bbi", STRING, I32, 50_000) + b"".join(MAP_OF)), 16),
    spread("deep", "1,000,000 nested structs, 8 a second",
           call(b"many", CODE, field(STRUCT, 4) + field(STRUCT, 1) * 1_000_000), 8),
    Kind("huge", "the start of a frame of 15 MiB, as much as the server reads, from all connections together",
         struct.pack(">i", 15 * MIB) + head(b"get") + field(STRING, 9) + struct.pack(">i", 14 * MIB) + bytes(4 * MIB)),
    Kind("huge, declared", "frames of 2^31 - 1 bytes, 500 connections a second", struct.pack(">i", 2**31 - 1) + head(b"get"),
         connects=500),
    Kind("over the limit", "frames of 16 MiB and a byte, 500 connections a second",
         struct.pack(">i", 16 * MIB + 1) + head(b"get"), connects=500),
    Kind("never reads", "a call whose reply has 8 MiB, of which the client reads nothing",
         call(b"large", CODE), reads=False, connects=500),
    Kind("comes and goes", "connections that close as soon as they are open, 2,000 a second", b"", connects=2000),
]
